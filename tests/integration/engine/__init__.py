"""The execution engine on this machine's real sandboxes."""
