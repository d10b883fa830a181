"""
What callers send of functions, their files and resources, checked field by field (contracts/gateways.md 3.1 to 3.8).

What a cloud would refuse is refused here, before it is asked; nothing of a refused body takes effect.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from services.api.dialects.gateways.bodies import Body
from services.api.operations.place_function import PlacedFunction
from services.api.operations.update_function import FunctionPatch
from services.api.package_files import MAX_TEXT_BYTES
from shared.database.resources import Resource
from shared.domain import lambda_rules
from shared.domain.errors import InvalidRequestError
from shared.domain.function import LOCKED_VALUE
from shared.packages.files import Edit
from shared.packages.handlers import parse_handler

MAX_LABEL = 255
MAX_LOCKED = 200
FILE_BODY_BYTES = 2 * MAX_TEXT_BYTES + 4096
"""A file's text as JSON: most characters take one byte, some two."""
NEW_BODY_BYTES = FILE_BODY_BYTES
"""A new function, with the code that is ignored: programs written before functions had files send it along."""

_PATCHED = frozenset(
    {
        "handler",
        "architecture",
        "memorySize",
        "timeout",
        "ephemeralStorage",
        "description",
        "environmentVariables",
        "environmentVariablesLocked",
    }
)
CHANGEABLE = _PATCHED | {"positionX", "positionY"}
"""The fields of a change; all others are ignored."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to become of a function: ``patch`` is None when it only moves on the canvas."""

    patch: FunctionPatch | None
    x: float | None
    y: float | None

    @property
    def moves(self) -> bool:
        """Whether it stands somewhere else then."""
        return self.x is not None or self.y is not None


def new_function(body: Body) -> PlacedFunction:
    """Return a function as it is asked for; any ``code`` is ignored."""
    name = label(body)
    lambda_rules.cloud_name(name)
    runtime, handler, region = (_text(body, field) for field in ("runtime", "handler", "region"))
    if "architecture" in body:
        architecture = lambda_rules.check_architecture(body["architecture"])
    else:
        architecture = lambda_rules.DEFAULT_ARCHITECTURE
    parse_handler(runtime, handler)
    return PlacedFunction(
        name=name,
        runtime=runtime,
        handler=handler,
        region=region,
        architecture=architecture,
        description=_description(body),
        environment=lambda_rules.check_environment(body.get("environmentVariables")),
        locked_variables=_locked(body) or (),
        position_x=_coordinate(body, "positionX"),
        position_y=_coordinate(body, "positionY"),
    )


def changes(body: Body, resource: Resource, stored: Mapping[str, str]) -> Changes:
    """Return what is to become of a function whose variables are ``stored`` now."""
    if not body.keys() & CHANGEABLE:
        raise InvalidRequestError("No fields provided to update", field="body", issue="empty")
    x, y = _coordinate(body, "positionX"), _coordinate(body, "positionY")
    if not body.keys() & _PATCHED:
        return Changes(patch=None, x=x, y=y)
    locked = _locked(body)
    environment, kept = _variables(body, {*resource.locked_variables, *(locked or ())}, stored)
    if "handler" in body:
        parse_handler(resource.runtime, body["handler"])
    patch = FunctionPatch(
        handler=body.get("handler"),
        architecture=_given(body, "architecture", lambda_rules.check_architecture),
        memory_mb=_given(body, "memorySize", lambda_rules.check_memory),
        timeout_s=_given(body, "timeout", lambda_rules.check_timeout),
        tmp_mb=_given(body, "ephemeralStorage", lambda_rules.check_storage),
        description=_description(body) if "description" in body else None,
        environment=environment,
        kept_variables=kept,
        locked_variables=locked,
    )
    return Changes(patch=patch, x=x, y=y)


def label(body: Body) -> str:
    """Return the required name of a function, trimmed."""
    name = _text(body, "name").strip()
    if len(name) > MAX_LABEL or not name.isprintable():
        raise _wrong("name", f"must be at most {MAX_LABEL} characters that can be printed")
    return name


def point(body: Any, field: str = "position") -> tuple[float, float]:
    """Return a place on the canvas: both of its coordinates."""
    if not isinstance(body, dict):
        raise _wrong(field, "must be an object with the numbers x and y")
    x, y = _coordinate(body, "x"), _coordinate(body, "y")
    if x is None or y is None:
        raise _wrong(field, "needs both of the numbers x and y")
    return x, y


def new_file(body: Body) -> Edit:
    """Return the making of a file."""
    return Edit(kind="create", path=_text(body, "path"), content=_content(body))


def changed_file(body: Body, path: str | None = None) -> Edit:
    """Return the change of a file, whose path may stand elsewhere than in the body."""
    return Edit(kind="replace", path=_text(body, "path") if path is None else path, content=_content(body))


def renamed_file(body: Body) -> Edit:
    """Return the renaming of a file."""
    return Edit(kind="rename", path=_text(body, "oldPath"), new_path=_text(body, "newPath"))


def _variables(
    body: Body, locked: set[str], stored: Mapping[str, str]
) -> tuple[Mapping[str, str] | None, frozenset[str]]:
    """Return the variables given, and which of them are locked ones that come back as they were shown."""
    given = body.get("environmentVariables")
    if given is None:
        return None, frozenset()
    checked = lambda_rules.check_environment(given)
    kept = frozenset(
        name for name, value in checked.items() if value == LOCKED_VALUE and name in locked and name in stored
    )
    lambda_rules.check_environment({**checked, **{name: stored[name] for name in kept}})
    return checked, kept


def _locked(body: Body) -> tuple[str, ...] | None:
    value = body.get("environmentVariablesLocked")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_LOCKED or not all(isinstance(name, str) for name in value):
        raise _wrong("environmentVariablesLocked", f"must be an array of at most {MAX_LOCKED} names of variables")
    if any("\0" in name or len(name) > MAX_LABEL for name in value):
        raise _wrong("environmentVariablesLocked", "has a name that is none for a variable")
    return tuple(dict.fromkeys(value))


def _description(body: Body) -> str:
    description = lambda_rules.check_description(body.get("description"))
    if "\0" in description:
        raise _wrong("description", "must have no NUL character")
    return description


def _content(body: Body) -> str:
    value = body.get("content")
    if not isinstance(value, str) or "\0" in value:
        raise _wrong("content", "must be a text without NUL characters")
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise _wrong("content", f"may be at most {MAX_TEXT_BYTES} bytes")
    return value


def _coordinate(body: Body, field: str) -> float | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(field, "must be a number")
    return float(value)


def _text(body: Body, field: str) -> str:
    value = body.get(field)
    if value is None:
        raise InvalidRequestError(f"{field} is required", field=field, issue="missing")
    if not isinstance(value, str) or not value.strip():
        raise _wrong(field, "must be a text that is not empty")
    return value


def _given(body: Body, field: str, check: Callable[[object], Value]) -> Value | None:
    return check(body[field]) if field in body else None


def _wrong(field: str, issue: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field} {issue}", field=field, issue=issue)
