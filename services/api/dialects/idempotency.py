"""The ``Idempotency-Key`` header, which every dialect takes on asynchronous calls: its rule, and its description."""

from typing import Any, Final

from aiohttp import web

from shared.domain.errors import InvalidRequestError

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 255


def idempotency_key(request: web.BaseRequest) -> str | None:
    """Return the request's key, None when it has none; raise ``InvalidRequestError`` for a malformed one."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST or not key.isprintable() or not key.isascii():
        raise InvalidRequestError(
            f"{HEADER} must be 1 to {LONGEST} printable ASCII characters", field=HEADER, issue="malformed"
        )
    return key


def parameter(description: str) -> dict[str, Any]:
    """Return the header as a parameter of an OpenAPI operation."""
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        "description": description,
    }
