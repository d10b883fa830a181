"""Part of the test suite; CONTRIBUTING.md explains the tiers."""
