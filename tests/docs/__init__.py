"""The documentation, executed: what it says to type is typed."""
