"""
What callers of the Neo dialect may send, checked field by field.

Every refusal names the field and the issue. Bodies are JSON objects; unknown fields are ignored; ``null`` is a
wrong type except for ``params``. Limits are those of contracts/neo.md section 8.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from services.api.operations.create_function import NewFunction, Upload
from services.api.operations.update_function import FunctionPatch
from shared.domain.errors import EmptyBodyError, InvalidCodeError, InvalidRequestError, MalformedBodyError
from shared.domain.function import Convention, VersionSpec
from shared.domain.runtime import require_runtime

BODY_BYTES = 1024 * 1024
DEFAULT_TIMEOUT_S = 30
MAX_TIMEOUT_S = 300
MEMORY_MB = 128
MAX_CODE_BYTES = 100_000
MAX_DESCRIPTION = 500
MAX_TAGS = 20
MAX_TAG = 64
MAX_VARIABLES = 64
MAX_ENVIRONMENT_BYTES = 32 * 1024
MAX_SECRETS = 10

NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

Body = Mapping[str, Any]


def read_object(raw: bytes) -> Body:
    """Return a body that must be a JSON object."""
    if not raw:
        raise EmptyBodyError("a JSON object is expected in the body")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise MalformedBodyError("the body must be a JSON object")
    return body


def new_function(body: Body) -> NewFunction:
    """Return the function a create body asks for."""
    for required in ("name", "code", "runtime"):
        if required not in body:
            raise InvalidRequestError(f"{required} is required", field=required, issue="missing")
    return NewFunction(
        name=_name(body["name"]),
        upload=_code(body["code"]),
        description=optional(body, "description", description_text, ""),
        tags=optional(body, "tags", _tags, ()),
        spec=VersionSpec(
            runtime=_runtime(body["runtime"]),
            convention=Convention.NEO,
            handler="",
            timeout_s=optional(body, "timeout", _timeout, DEFAULT_TIMEOUT_S),
            memory_mb=MEMORY_MB,
            environment=optional(body, "environment", environment, {}),
            secrets=optional(body, "secrets", secrets, ()),
        ),
    )


def patch(body: Body) -> FunctionPatch:
    """Return the change an update body asks for; what it does not name stays."""
    wanted = FunctionPatch(
        name=optional(body, "name", _name, None),
        upload=optional(body, "code", _code, None),
        runtime=optional(body, "runtime", _runtime, None),
        description=optional(body, "description", description_text, None),
        timeout_s=optional(body, "timeout", _timeout, None),
        environment=optional(body, "environment", environment, None),
        secrets=optional(body, "secrets", secrets, None),
        tags=optional(body, "tags", _tags, None),
        enabled=optional(body, "status", _status, None),
    )
    if wanted == FunctionPatch():
        raise InvalidRequestError("the body names nothing to change", field="body", issue="empty")
    return wanted


def invocation(raw: bytes) -> tuple[bytes, bool]:
    """Return the JSON text of ``params`` and whether the run is asynchronous; the body may be absent."""
    if not raw:
        return b"{}", False
    body = read_object(raw)
    params = body.get("params")
    if params is None:
        params = {}
    elif not isinstance(params, dict):
        raise wrong("params", "must be an object")
    is_async = body.get("async", False)
    if not isinstance(is_async, bool):
        raise wrong("async", "must be true or false")
    try:
        return orjson.dumps(params), is_async
    except orjson.JSONEncodeError:
        raise wrong("params", "is nested too deeply") from None


def environment_body(body: Body) -> FunctionPatch:
    """Return the change of ``PUT …/environment``: the map itself, or the map under ``environment``."""
    wanted = body.get("environment", body)
    if not body or not isinstance(wanted, dict):
        raise wrong("environment", "must be an object of strings")
    return FunctionPatch(environment=environment(wanted))


def secrets_body(body: Body) -> FunctionPatch:
    """Return the change of ``PUT …/secrets``."""
    if "secrets" not in body:
        raise InvalidRequestError("secrets is required", field="secrets", issue="missing")
    return FunctionPatch(secrets=secrets(body["secrets"]))


def environment(value: Any) -> Mapping[str, str]:
    """Return environment variables: names of letters, digits and ``_``, values text."""
    if not isinstance(value, dict):
        raise wrong("environment", "must be an object of strings")
    if len(value) > MAX_VARIABLES:
        raise wrong("environment", f"must have at most {MAX_VARIABLES} entries")
    size = 0
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise wrong("environment", f"the name {name[:100]!r} is not made of letters, digits and _")
        if not isinstance(text, str) or "\0" in text:
            raise wrong("environment", f"the value of {name[:100]} must be a string without NUL")
        size += len(name) + len(text.encode())
    if size > MAX_ENVIRONMENT_BYTES:
        raise wrong("environment", f"must have at most {MAX_ENVIRONMENT_BYTES} bytes in all")
    return value


def secrets(value: Any) -> tuple[str, ...]:
    """Return the names of secrets to grant, without duplicates."""
    if not isinstance(value, list) or not all(isinstance(name, str) and SECRET_NAME.fullmatch(name) for name in value):
        raise wrong("secrets", "must be an array of secret names")
    names = tuple(dict.fromkeys(value))
    if len(names) > MAX_SECRETS:
        raise wrong("secrets", f"must have at most {MAX_SECRETS} names")
    return names


def optional(body: Body, field: str, read: Callable[[Any], Any], default: Any) -> Any:
    """Return a field as ``read`` makes it, or ``default`` when it is absent."""
    return read(body[field]) if field in body else default


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise wrong("name", "must be 1 to 64 letters, digits and hyphens")
    return value


def _code(value: Any) -> Upload:
    if not isinstance(value, str) or not value:
        raise wrong("code", "must be a non-empty string")
    content = value.encode()
    if len(content) > MAX_CODE_BYTES:
        raise InvalidCodeError(
            f"code must have at most {MAX_CODE_BYTES} bytes", field="code", issue="too large", limit=MAX_CODE_BYTES
        )
    if "\0" in value:
        raise InvalidCodeError("code must not contain NUL", field="code", issue="NUL")
    return Upload(kind="source", content=content)


def _runtime(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong("runtime", "must be a string")
    return require_runtime(value, Convention.NEO).name


def description_text(value: Any) -> str:
    """Return the text that describes something."""
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION or "\0" in value:
        raise wrong("description", f"must be a string of at most {MAX_DESCRIPTION} characters")
    return value


def _timeout(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TIMEOUT_S:
        raise wrong("timeout", f"must be an integer from 1 to {MAX_TIMEOUT_S}")
    return value


def _tags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(tag, str) and 1 <= len(tag) <= MAX_TAG and "\0" not in tag for tag in value
    ):
        raise wrong("tags", f"must be an array of strings of 1 to {MAX_TAG} characters")
    tags = tuple(dict.fromkeys(value))
    if len(tags) > MAX_TAGS:
        raise wrong("tags", f"must have at most {MAX_TAGS} entries")
    return tags


def _status(value: Any) -> bool:
    if value not in ("active", "inactive"):
        raise wrong("status", "must be active or inactive")
    return bool(value == "active")


def wrong(field: str, issue: str) -> InvalidRequestError:
    """Return the refusal of one field."""
    return InvalidRequestError(f"{field} {issue}", field=field, issue=issue)
