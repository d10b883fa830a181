"""
Request bodies of tasks, schedules and direct executions (contracts/extrahorizon.md sections 3.1, 3.4 and 3.5).

As in ``bodies.py`` every problem names its field, and unknown fields are ignored. A field that is null counts as not
given. ``data`` is handed on as the JSON text that is stored and run on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime
from typing import Any, TypeVar

import orjson

from services.api.dialects.extrahorizon.bodies import SAFE_INTEGER, read_object, require, text, whole, wrong
from shared.domain.task import LONGEST_INTERVAL_S

DATA_BYTES = 250 * 1024
MOST_TAGS = 100
LONGEST_TAG = 256
LONGEST_NAME = 128

_LEVELS_AROUND = 3
"""Data becomes part of the event, and of a page."""
_NUL = b"\\u0000"
_MILLISECOND_US = 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFields:
    """A task to be made. None where the body says nothing."""

    function_name: str
    data: bytes | None
    starts_at: datetime | None
    priority: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFields:
    """A schedule to be made. None where the body says nothing."""

    function_name: str
    interval_s: int
    data: bytes | None
    starts_at: datetime | None
    priority: int | None


def read_new_task(body: bytes) -> TaskFields:
    """Read the body of a new task; raise what is wrong with it, a ``InvalidRequestError``."""
    data = read_object(body)
    require(data, "functionName")
    return TaskFields(
        function_name=_function_name("functionName", data["functionName"]),
        data=_given(data, "data", _small_object),
        starts_at=_given(data, "startTimestamp", _moment),
        priority=_given(data, "priority", whole(-SAFE_INTEGER, SAFE_INTEGER)),
        tags=_given(data, "tags", _tags) or (),
    )


def read_new_schedule(body: bytes) -> ScheduleFields:
    """Read the body of a new schedule; raise what is wrong with it, a ``InvalidRequestError``."""
    data = read_object(body)
    require(data, "interval", "functionName")
    return ScheduleFields(
        function_name=_function_name("functionName", data["functionName"]),
        interval_s=whole(1, LONGEST_INTERVAL_S)("interval", data["interval"]),
        data=_given(data, "data", _small_object),
        starts_at=_given(data, "startTimestamp", _moment),
        priority=_given(data, "priority", whole(-SAFE_INTEGER, SAFE_INTEGER)),
    )


def read_execution(body: bytes) -> bytes | None:
    """Read the body of a direct execution, which may be absent; return its data, any JSON."""
    return _given(read_object(body), "data", _json) if body.strip() else None


def _given(data: Mapping[str, Any], field: str, reader: Callable[[str, Any], _T]) -> _T | None:
    value = data.get(field)
    return None if value is None else reader(field, value)


def _function_name(field: str, value: Any) -> str:
    name = text(field, value)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise wrong(field, f"1 to {LONGEST_NAME} characters long")
    return name


def _small_object(field: str, value: Any) -> bytes:
    if not isinstance(value, dict):
        raise wrong(field, "an object")
    encoded = _json(field, value)
    if len(encoded) > DATA_BYTES:
        raise wrong(field, f"at most {DATA_BYTES} bytes of JSON")
    return encoded


def _json(field: str, value: Any) -> bytes:
    """Return the value as JSON text that a database can hold, and others can write anew."""
    around = value
    for _ in range(_LEVELS_AROUND):
        around = [around]
    try:
        encoded = orjson.dumps(around)[_LEVELS_AROUND:-_LEVELS_AROUND]
    except TypeError:
        raise wrong(field, "nested less deeply") from None
    if _NUL in encoded and _has_nul(value):
        raise wrong(field, "without NUL characters")
    return encoded


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
        case list():
            return any(map(_has_nul, value))
        case _:
            return False


def _tags(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_TAGS:
        raise wrong(field, f"a list of at most {MOST_TAGS} strings")
    tags = tuple(text(field, tag) for tag in value)
    if any(len(tag) > LONGEST_TAG for tag in tags):
        raise wrong(field, f"strings of at most {LONGEST_TAG} characters")
    return tags


def _moment(field: str, value: Any) -> datetime:
    """Return an ISO 8601 moment in UTC, to the millisecond; without a zone it is in UTC."""
    try:
        given = datetime.fromisoformat(text(field, value))
        moment = given.astimezone(UTC) if given.tzinfo is not None else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong(field, "an ISO 8601 date") from None
    if moment.year == MINYEAR:
        # To the database's client the first moment of the calendar is minus infinity: nothing can be added to that.
        raise wrong(field, "an ISO 8601 date after the year 1")
    return moment.replace(microsecond=moment.microsecond // _MILLISECOND_US * _MILLISECOND_US)
