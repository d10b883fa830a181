"""Moments as the clients of the Extra Horizon dialect are shown them."""

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """Return ``2024-05-01T10:00:00.000Z``: ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
