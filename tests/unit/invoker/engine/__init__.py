"""The pure parts of the execution engine."""
