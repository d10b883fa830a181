"""Fixtures of all tiers: backends, and guards that hold for every test."""
