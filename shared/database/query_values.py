"""Values of a query as the types of columns: what cannot be one is None, and equals nothing."""

import math
from datetime import UTC, datetime, timedelta

from shared.database.query import Scalar
from shared.database.text import storable
from shared.domain.moments import iso

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_text(value: Scalar) -> str | None:
    """Return the value as a text column holds it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return storable(value)
        case int() | float():
            return f"{value!r}" if isinstance(value, float) and not value.is_integer() else f"{int(value)}"
        case datetime():
            moment = as_time(value)
            return None if moment is None else iso(moment)
        case _:
            return None


def as_number(value: Scalar) -> float | None:
    """Return the value as a finite number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_time(value: Scalar) -> datetime | None:
    """Return the value as a moment in UTC; one without a zone is taken to be in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except OverflowError:  # in UTC it lies outside the calendar
        return None


def as_epoch_ms(value: Scalar) -> datetime | None:
    """Return the value as a moment in UTC; a number counts the milliseconds since 1970."""
    number = as_number(value)
    if number is None:
        return as_time(value)
    try:
        return _EPOCH + timedelta(milliseconds=number)
    except OverflowError:
        return None
