"""Tokens, keys and passwords; values sealed at rest; canonical JSON and what is signed over it."""
