"""Running functions that are not on our own machines: one module a cloud."""
