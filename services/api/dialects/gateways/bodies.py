"""
What callers of the Gateways dialect may send, checked field by field; ids and switches in paths and queries too.

Bodies are JSON objects; unknown fields are ignored; a field that may be left out may be null as well. Limits are
those of contracts/gateways.md section 5.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from services.api.http import read_body
from services.api.operations.workspaces import Change
from shared.domain.errors import (
    EmptyBodyError,
    InvalidRequestError,
    MalformedBodyError,
    MalformedIdError,
    NotFoundError,
)
from shared.domain.slug import is_slug
from shared.domain.workspace import EVERYWHERE, Membership, Role

BODY_BYTES = 64 * 1024
MAX_NAME = 100
MAX_DESCRIPTION = 350
MAX_EMAIL = 254
MAX_KEY_NAME = 128
MAX_PLACES = 200
_MAX_ID = 2**63 - 1
_MAX_OFFSET = 2**31 - 1
_DIGITS = re.compile(r"[0-9]+")
_EMAIL = re.compile(r"[^@\s\0]+@[^@\s\0]+\.[^@\s\0]+")

Body = Mapping[str, Any]


async def read_object(request: web.BaseRequest, *, required: bool = True, most_bytes: int = BODY_BYTES) -> Body:
    """Return the request's JSON object; nothing at all is an empty one where none is required."""
    raw = await read_body(request, most_bytes)
    if not raw.strip():
        if required:
            raise EmptyBodyError("A JSON object is expected in the body")
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise MalformedBodyError("The body must be a JSON object")
    return body


def text(body: Body, field: str, most: int = 4096) -> str:
    """Return a required string, not empty, as it is."""
    value = body.get(field)
    if value is None:
        raise InvalidRequestError(f"{field} is required", field=field, issue="missing")
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise _wrong(field, f"must be a string of 1 to {most} characters")
    return value


def name(body: Body, field: str = "name") -> str:
    """Return a required name, trimmed."""
    value = body.get(field)
    if value is None:
        raise InvalidRequestError(f"{field} is required", field=field, issue="missing")
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_NAME:
        raise _wrong(field, f"must be a string of 1 to {MAX_NAME} characters")
    return value.strip()


def description(body: Body) -> str | None:
    """Return a description; null and an empty one are none."""
    value = body.get("description")
    if value is None:
        return None
    if not isinstance(value, str) or len(value.strip()) > MAX_DESCRIPTION:
        raise _wrong("description", f"must be a string of at most {MAX_DESCRIPTION} characters")
    return value.strip() or None


def email(body: Body) -> str:
    """Return a required email address, trimmed."""
    value = text(body, "email").strip()
    if len(value) > MAX_EMAIL or _EMAIL.fullmatch(value) is None:
        raise _wrong("email", "must be an email address")
    return value


def json_text(value: Any, field: str) -> bytes:
    """Return a value of a body as JSON text again."""
    try:
        return orjson.dumps(value)
    except TypeError:  # what can be read at such a depth cannot be written
        raise _wrong(field, "is nested too deeply") from None


def switch(body: Body, field: str) -> bool:
    """Return a boolean; absent is false."""
    value = body.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(field, "must be true or false")
    return value


def key_name(body: Body) -> str | None:
    """Return what a key is to be called, if anything."""
    value = body.get("name")
    if value is None:
        return None
    if not isinstance(value, str) or len(value.strip()) > MAX_KEY_NAME:
        raise _wrong("name", f"must be a string of at most {MAX_KEY_NAME} characters")
    return value.strip() or None


def change(body: Body) -> Change:
    """Return what is to become of a workspace, a project or an environment; at least one field must be there."""
    if not body.keys() & {"name", "slug", "description"}:
        raise InvalidRequestError("No fields provided to update", field="body", issue="empty")
    slug = body.get("slug")
    if slug is not None and (not isinstance(slug, str) or not is_slug(slug)):
        raise _wrong("slug", "must be letters a-z, digits and single dashes between them, and no reserved word")
    wanted = description(body)
    return Change(
        name=name(body) if "name" in body else None,
        slug=slug,
        description=wanted,
        clears="description" in body and wanted is None,
    )


def membership(body: Body, default: Role | None = None, places: tuple[str, ...] | None = None) -> Membership:
    """Return a role and its places; without ``projectPermissions`` these stay what ``places`` says."""
    role = body.get("role")
    if role is None and default is not None:
        role = default
    if role not in tuple(Role):
        raise _wrong("role", f"must be one of {', '.join(Role)}")
    if "projectPermissions" in body:
        places = _places(body["projectPermissions"])
    return Membership(role=Role(role), places=places)


def _places(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if value == EVERYWHERE:
        return (EVERYWHERE,)
    if not isinstance(value, list) or len(value) > MAX_PLACES or not all(isinstance(each, str) for each in value):
        raise _wrong("projectPermissions", f'must be "*" or an array of at most {MAX_PLACES} strings')
    if EVERYWHERE in value:
        if len(value) > 1:
            raise _wrong("projectPermissions", 'Cannot mix "*" with specific project/environment entries')
        return (EVERYWHERE,)
    return tuple(dict.fromkeys(value))


def number(value: str, what: str) -> int:
    """Return an id of a path; ``what`` is the noun of what it is the id of."""
    if _DIGITS.fullmatch(value) is None:
        title = f"Invalid {what} ID"
        raise MalformedIdError(title, field="id", issue="not a number", case=title)
    if len(value) > len(str(_MAX_ID)) or int(value) > _MAX_ID:
        raise NotFoundError("There is nothing with that ID", what=what.capitalize())
    return int(value)


def asked(request: web.BaseRequest, *names: str) -> bool:
    """Tell whether one of the query parameters of these names is ``true``."""
    return any(request.query.get(each, "").lower() in ("true", "1") for each in names)


def whole(request: web.BaseRequest, field: str, default: int, least: int = 0, most: int = _MAX_OFFSET) -> int:
    """Return a whole number of the query; more than ``most`` is ``most``."""
    value = request.query.get(field)
    if value is None:
        return default
    if _DIGITS.fullmatch(value) is None or int(value[:20]) < least:
        raise _wrong(field, f"must be a whole number of at least {least}")
    return min(int(value[:20]), most)


def query_text(request: web.BaseRequest, field: str) -> str:
    """Return a required query parameter, trimmed."""
    return name(request.query, field)


def _wrong(field: str, issue: str) -> InvalidRequestError:
    message = issue if issue[0].isupper() else f"{field} {issue}"
    return InvalidRequestError(message, field=field, issue=issue)
