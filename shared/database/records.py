"""What records of runs have in common: parts stored as JSON, read back into their domain types."""

import dataclasses
from typing import Any

from shared.domain.outcome import Failure, Timings

_FAILURE = frozenset(field.name for field in dataclasses.fields(Failure))
_TIMINGS = frozenset(field.name for field in dataclasses.fields(Timings))


def failure_from(stored: dict[str, Any] | None) -> Failure | None:
    """Return the failure of a row; fields that a newer release wrote are ignored."""
    return None if stored is None else Failure(**{name: stored[name] for name in _FAILURE & stored.keys()})


def timings_from(stored: dict[str, Any] | None) -> Timings | None:
    """Return the timings of a row; fields that a newer release wrote are ignored."""
    return None if stored is None else Timings(**{name: stored[name] for name in _TIMINGS & stored.keys()})
