"""
What AWS Lambda takes, judged before it is asked: names, variables, sizes. Pure; nothing here calls anybody.

Its own answers come late, one at a time, and some emulators give none; and a wrong value must change nothing
(contracts/gateways.md sections 4.2 and 5). Every function returns what may be used or raises ``InvalidRequestError``
with the ``field`` as the Gateways dialect calls it. Handlers are judged where packages are: they name files.
"""

import re
from collections.abc import Mapping

from shared.domain.errors import InvalidRequestError

ARCHITECTURES = ("x86_64", "arm64")
DEFAULT_ARCHITECTURE = "x86_64"
DEFAULT_TIMEOUT_S = 30
DEFAULT_MEMORY_MB = 128
DEFAULT_STORAGE_MB = 512

MAX_NAME = 64
MAX_DESCRIPTION = 256
MAX_ENVIRONMENT_BYTES = 4096
MEMORY_MB = (128, 10_240)
TIMEOUT_S = (1, 900)
STORAGE_MB = (512, 10_240)

_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: Lambda sets these itself."""


def cloud_name(name: str) -> str:
    """
    Return the name a function gets at AWS.

    Each run of characters that AWS does not take becomes one hyphen, hyphens at the ends go, the rest is cut to 64.
    """
    cleaned = _ILLEGAL.sub("-", name.strip()).strip("-")[:MAX_NAME].rstrip("-")
    if not cleaned:
        raise _wrong("name", "has no letter, digit or underscore that a cloud takes in a name")
    return cleaned


def check_architecture(value: object) -> str:
    """Return one of ``ARCHITECTURES``."""
    if value not in ARCHITECTURES:
        raise _wrong("architecture", f"must be one of {', '.join(ARCHITECTURES)}")
    return str(value)


def check_region(value: object) -> str:
    """Return a code that has the form of a region; whether there is such a one the catalogue knows."""
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        raise _wrong("region", "must be the code of a region, like eu-west-1")
    return value


def check_description(value: object) -> str:
    """Return a description, empty for None."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION:
        raise _wrong("description", f"must be a text of at most {MAX_DESCRIPTION} characters")
    return value


def check_memory(value: object) -> int:
    """Return megabytes."""
    return _within("memorySize", value, MEMORY_MB)


def check_timeout(value: object) -> int:
    """Return seconds."""
    return _within("timeout", value, TIMEOUT_S)


def check_storage(value: object) -> int:
    """Return megabytes."""
    return _within("ephemeralStorage", value, STORAGE_MB)


def check_environment(value: object) -> dict[str, str]:
    """Return environment variables, an empty table for None. The text of an error holds no value."""
    field = "environmentVariables"
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(field, "must be an object of texts")
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise _wrong(field, f"has a name that is none for a variable: {ascii(name)[:80]}")
        if name in _RESERVED:
            raise _wrong(field, f"has {name}, which AWS Lambda sets itself")
        if not isinstance(text, str) or "\0" in text:
            raise _wrong(field, f"must have a text without NUL for {name}")
    if (size := environment_bytes(value)) > MAX_ENVIRONMENT_BYTES:
        raise _wrong(field, f"is {size} bytes; at most {MAX_ENVIRONMENT_BYTES} are allowed")
    return dict(value)


def environment_bytes(variables: Mapping[str, str]) -> int:
    """Return how large AWS counts environment variables: names and values."""
    return sum(len(name.encode()) + len(text.encode(errors="replace")) for name, text in variables.items())


def _within(field: str, value: object, bounds: tuple[int, int]) -> int:
    low, high = bounds
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(field, f"must be a whole number from {low} to {high}")
    return value


def _wrong(field: str, issue: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field} {issue}", field=field, issue=issue)
