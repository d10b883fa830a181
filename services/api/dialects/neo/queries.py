"""
What the Neo dialect reads from query strings: paging, filters, dates.

Out of range is refused, never clamped; unknown parameters are ignored; a parameter given twice counts by its
first value. The name of a refused one is in ``details.field``.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.domain.errors import InvalidRequestError

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
_MAX_OFFSET = 2**31 - 1
_WHOLE = re.compile(r"-?[0-9]{1,12}")
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)(Z|[+\- ]\d\d(?::?\d\d)?)?)?", re.ASCII | re.IGNORECASE
)
_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC)
_TRUE, _FALSE = ("true", "1"), ("false", "0")

Query = Mapping[str, str]


def page(query: Query, default_limit: int = DEFAULT_LIMIT) -> tuple[int, int]:
    """Return limit and offset."""
    return (
        _whole(query, "limit", default_limit, 1, MAX_LIMIT),
        _whole(query, "offset", 0, 0, _MAX_OFFSET),
    )


def choice(query: Query, name: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
    """Return one of ``choices``, or ``default`` when the parameter is absent."""
    value = query.get(name)
    if value is None:
        return default
    if value not in choices:
        raise _wrong(name, f"must be one of {', '.join(choices)}")
    return value


def switch(query: Query, name: str) -> bool:
    """Return a boolean parameter: ``true``, ``false``, ``1`` or ``0``; absent is false."""
    value = choice(query, name, (*_TRUE, *_FALSE))
    return value in _TRUE


def since(query: Query, name: str) -> datetime | None:
    """Return the first moment that is printed as the one given or later: moments are printed in whole seconds."""
    moment = _moment(query, name)
    if moment is None or moment.microsecond == 0 or moment > _LAST_SECOND:
        return moment
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def until(query: Query, name: str) -> datetime | None:
    """Return the last moment that is printed as the one given or earlier."""
    moment = _moment(query, name)
    return None if moment is None else moment.replace(microsecond=999_999)


def _moment(query: Query, name: str) -> datetime | None:
    value = query.get(name)
    return None if value is None else moment(value, name)


def moment(value: str, name: str) -> datetime:
    """
    Return an ISO 8601 date (its first moment) or date-time; without a zone it is UTC. ``name`` is the field's.

    Of the many forms of ISO 8601 this is the extended one with a calendar date; a space may stand for the ``T``.
    """
    found = _MOMENT.fullmatch(value.strip())
    try:
        if found is None:
            raise ValueError(value)
        day, clock, zone = found[1], found[2] or "00:00", found[3] or "Z"
        # A "+" that the caller did not encode arrives as a space.
        parsed = datetime.fromisoformat(f"{day}T{clock}{zone.upper().replace(' ', '+')}")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong(name, "must be an ISO 8601 date or date-time") from None


def _whole(query: Query, name: str, default: int, low: int, high: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    bounds = f"from {low} to {high}" if high < _MAX_OFFSET else f"of {low} or more"
    if not _WHOLE.fullmatch(value):
        raise InvalidRequestError(f"{name} must be an integer {bounds}", field=name, issue="not an integer")
    if not low <= int(value) <= high:
        raise InvalidRequestError(f"{name} must be an integer {bounds}", field=name, issue="out of range")
    return int(value)


def _wrong(name: str, issue: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name} {issue}", field=name, issue=issue)
