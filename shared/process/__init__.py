"""How any service starts, is watched, and leaves."""
