"""Clouds that functions may be placed at: who may enter which account, and what each cloud says of a function."""
