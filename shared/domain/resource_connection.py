"""Which kinds of resources may be connected, and how far a connection may be (contracts/gateways.md section 3.12)."""

STATUSES = ("pending", "connecting", "connected", "failed", "disconnected")

ALLOWED: frozenset[tuple[str, str]] = frozenset(
    {
        ("function", "function"),
        ("function", "database"),
        ("function", "storage_bucket"),
        ("function", "cache_server"),
        ("function", "queue"),
        ("application", "function"),
    }
)
"""The pairs (from, to) that may be connected."""
