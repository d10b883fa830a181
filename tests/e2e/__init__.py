"""The four services as real processes, through HTTP only."""
