"""
Request bodies of the task service: JSON in, checked fields out (contracts/extrahorizon.md section 3.1).

Every problem names its field. Unknown fields are ignored. A field that is given is checked the same way
whether it makes a function or changes one; which fields must be given is all that differs.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from shared.domain.errors import (
    EmptyBodyError,
    EnvironmentTooLargeError,
    InvalidFunctionNameError,
    InvalidPackageError,
    InvalidRequestError,
    MalformedBodyError,
    MissingFieldError,
)
from shared.domain.function import Convention, PermissionMode, RetryPolicy
from shared.domain.runtime import require_runtime

SHORTEST_TIME_LIMIT_S, LONGEST_TIME_LIMIT_S = 3, 300
DEFAULT_TIME_LIMIT_S = 30
SMALLEST_MEMORY_MB, LARGEST_MEMORY_MB = 128, 10_240
DEFAULT_MEMORY_MB = 128
ENVIRONMENT_BYTES = 4096

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ENTRY_POINT = re.compile(r"(?!/)(?!.*\.\./)[^\0\s]+\.[^\0\s./]+")
_LONGEST_ENTRY_POINT = 256
_LONGEST_DESCRIPTION = 10_000
_MOST_ERROR_NAMES = 100
SAFE_INTEGER = 2**53 - 1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFields:
    """The fields of a function that a body gives; None for those it does not."""

    name: str | None = None
    code: bytes | None = None
    description: str | None = None
    entry_point: str | None = None
    runtime: str | None = None
    time_limit_s: int | None = None
    memory_mb: int | None = None
    environment: Mapping[str, str] | None = None
    permission_mode: PermissionMode | None = None
    default_priority: int | None = None
    retry_policy: RetryPolicy | None = None


def read_object(body: bytes) -> dict[str, Any]:
    """
    Return a body that must be a JSON object.

    Raises:
        EmptyBodyError: there is none.
        MalformedBodyError: it is not JSON, not UTF-8, or not an object.

    """
    if not body.strip():
        raise EmptyBodyError("A body is required.")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"The body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise MalformedBodyError("The body is expected to be a JSON object.")
    return data


def read_new_function(body: bytes) -> FunctionFields:
    """Return the fields of a function to be made; ``name``, ``code``, ``entry_point`` and ``runtime`` are there."""
    data = read_object(body)
    require(data, "name", "code", "entryPoint", "runtime")
    return _fields(data, name=read_field(data, "name", _name))


def read_function_changes(body: bytes) -> FunctionFields:
    """Return the fields to be changed; a name in the body is ignored."""
    return _fields(read_object(body), name=None)


def require(data: Mapping[str, Any], *names: str) -> None:
    """Raise ``MissingFieldError`` naming the fields that are absent or null."""
    missing = [name for name in names if data.get(name) is None]
    if missing:
        raise MissingFieldError(f"Required fields are missing: {', '.join(missing)}.", field=missing[0])


def text(field: str, value: Any) -> str:
    """Return a value that must be a string a database can hold."""
    if not isinstance(value, str):
        raise wrong(field, "a string")
    if "\0" in value:
        raise wrong(field, "a string without NUL characters")
    return value


def _fields(data: Mapping[str, Any], *, name: str | None) -> FunctionFields:
    options = read_field(data, "executionOptions", _execution_options)
    return FunctionFields(
        name=name,
        code=read_field(data, "code", _code),
        description=read_field(data, "description", _description),
        entry_point=read_field(data, "entryPoint", _entry_point),
        runtime=read_field(data, "runtime", _runtime),
        time_limit_s=read_field(data, "timeLimit", whole(SHORTEST_TIME_LIMIT_S, LONGEST_TIME_LIMIT_S)),
        memory_mb=read_field(data, "memoryLimit", whole(SMALLEST_MEMORY_MB, LARGEST_MEMORY_MB)),
        environment=read_field(data, "environmentVariables", _environment),
        permission_mode=options and options[0],
        default_priority=None if options is None else options[1],
        retry_policy=read_field(data, "retryPolicy", _retry_policy),
    )


def read_field(data: Mapping[str, Any], field: str, reader: Callable[[str, Any], _T]) -> _T | None:
    """Return a field as the reader makes it; None when it is not given."""
    return reader(field, data[field]) if field in data else None


def wrong(field: str, expected: str) -> InvalidRequestError:
    """Return the error of a field that is not what is expected."""
    return InvalidRequestError(f"The field {field} is expected to be {expected}.", field=field, issue=expected)


def _name(field: str, value: Any) -> str:
    if not NAME.fullmatch(text(field, value)):
        raise InvalidFunctionNameError(
            "The name of a function is 1 to 128 letters, digits, hyphens and underscores.", field=field
        )
    return str(value)


def _description(field: str, value: Any) -> str:
    description = text(field, value)
    if len(description) > _LONGEST_DESCRIPTION:
        raise wrong(field, f"at most {_LONGEST_DESCRIPTION} characters long")
    return description


def _code(field: str, value: Any) -> bytes:
    encoded = text(field, value)
    try:
        code = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPackageError("The code is expected to be a zip file in Base64.", field=field) from None
    if not code:
        raise InvalidPackageError("The code is empty.", field=field)
    return code


def _entry_point(field: str, value: Any) -> str:
    entry_point = text(field, value)
    if len(entry_point) > _LONGEST_ENTRY_POINT or not _ENTRY_POINT.fullmatch(entry_point):
        raise wrong(field, "file.export, as in index.handler or build/index.handler")
    return entry_point


def _runtime(field: str, value: Any) -> str:
    return require_runtime(text(field, value), Convention.LAMBDA).name


def whole(lowest: int, highest: int) -> Callable[[str, Any], int]:
    """Return a reader of whole numbers between two bounds."""

    def read(field: str, value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise wrong(field, f"a whole number from {lowest} to {highest}")
        return value

    return read


def _environment(field: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(field, 'an object like {"KEY":{"value":"text"}}')
    variables: dict[str, str] = {}
    for key, entry in value.items():
        if not key or "=" in key or "\0" in key:
            raise wrong(f"{field}.{key}", "named by a variable's name")
        if not isinstance(entry, dict) or "value" not in entry:
            raise wrong(f"{field}.{key}", 'an object like {"value":"text"}')
        variables[key] = text(f"{field}.{key}.value", entry["value"])
    size = sum(len(key.encode()) + len(content.encode()) for key, content in variables.items())
    if size > ENVIRONMENT_BYTES:
        raise EnvironmentTooLargeError(
            f"The environment variables have {size} bytes; {ENVIRONMENT_BYTES} are allowed.",
            field=field,
            limit=ENVIRONMENT_BYTES,
        )
    return variables


def _execution_options(field: str, value: Any) -> tuple[PermissionMode, int]:
    if not isinstance(value, dict):
        raise wrong(field, "an object")
    mode = value.get("permissionMode", PermissionMode.PERMISSION_REQUIRED.value)
    try:
        permission_mode = PermissionMode(mode)
    except ValueError:
        raise wrong(f"{field}.permissionMode", f"one of {', '.join(PermissionMode)}") from None
    priority = whole(-SAFE_INTEGER, SAFE_INTEGER)(f"{field}.defaultPriority", value.get("defaultPriority", 0))
    return permission_mode, priority


def _retry_policy(field: str, value: Any) -> RetryPolicy:
    if not isinstance(value, dict):
        raise wrong(field, "an object")
    enabled = value.get("enabled", False)
    if not isinstance(enabled, bool):
        raise wrong(f"{field}.enabled", "a boolean")
    names = value.get("errorsToRetry", [])
    if not isinstance(names, list) or len(names) > _MOST_ERROR_NAMES:
        raise wrong(f"{field}.errorsToRetry", f"a list of at most {_MOST_ERROR_NAMES} error names")
    return RetryPolicy(enabled=enabled, errors_to_retry=tuple(text(f"{field}.errorsToRetry", name) for name in names))
