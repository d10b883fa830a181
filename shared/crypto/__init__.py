"""Secrets we hand out and never keep: tokens, keys and passwords."""
