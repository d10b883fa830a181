"""API keys in the Neo dialect (contracts/neo.md section 2): routes, bodies, looks. A key is shown once, when made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.neo import queries, views
from services.api.dialects.neo.answers import json_body, page, success
from services.api.dialects.neo.bodies import Body, optional, wrong
from services.api.dialects.neo.callers import allowed
from services.api.dialects.neo.schema import (
    MOMENT,
    TEXT,
    Object,
    an_object,
    body,
    envelope,
    operation,
    or_null,
    paging,
    ref,
)
from services.api.operations import api_keys
from services.api.operations.api_keys import MadeKey, WantedKey
from services.api.platform import Platform
from shared.database.api_keys import ManagedKey
from shared.domain.errors import InvalidRequestError
from shared.domain.identity import Action, Identity
from shared.domain.permission import API_KEY_PERMISSIONS

MAX_NAME = 100
DEFAULT_PERMISSIONS = ("read", "write", "execute")
_KEYS = "/v1/api-keys"
_KEY = _KEYS + "/{keyId}"

Parameters = Mapping[str, str]


class ApiKeyRoutes:
    """The routes of API keys on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> tuple[Route, ...]:
        """Return them."""
        table = (
            ("GET", _KEYS, self.list_keys),
            ("POST", _KEYS, self.create),
            ("DELETE", _KEY, self.revoke),
            ("POST", _KEY + "/rotate", self.rotate),
        )
        return tuple(
            Route(methods=(method,), path=path, handler=handler, operation=OPERATIONS[method, path])
            for method, path, handler in table
        )

    async def list_keys(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.MANAGE_KEYS)
        limit, offset = queries.page(request.query)
        found, total = await api_keys.list_keys(self._platform, identity, limit=limit, offset=offset)
        return page([view(each) for each in found], total, limit, offset)

    async def create(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.MANAGE_KEYS)
        wanted = new_key(await json_body(request))
        return success(view_of_made(await api_keys.create_key(self._platform, identity, wanted)), 201)

    async def revoke(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, key = await self._key(request, parameters)
        await api_keys.revoke_key(self._platform, identity, key)
        return success({"id": key.id, "revoked": True})

    async def rotate(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, key = await self._key(request, parameters)
        return success(view_of_made(await api_keys.rotate_key(self._platform, identity, key)), 201)

    async def _key(self, request: web.BaseRequest, parameters: Parameters) -> tuple[Identity, ManagedKey]:
        """Return who is calling and the key of the path, when they may."""
        identity = await allowed(self._platform, request, Action.MANAGE_KEYS)
        return identity, await api_keys.get_key(self._platform, identity, parameters["keyId"])


def view(key: ManagedKey) -> views.View:
    """Return what is told of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "permissions": list(key.permissions),
        "createdAt": views.timestamp(key.created_at),
        "expiresAt": views.timestamp(key.expires_at),
        "lastUsedAt": views.timestamp(key.last_used_at),
        "revoked": key.revoked_at is not None,
    }


def view_of_made(made: MadeKey) -> views.View:
    """Return a key that has just been made, with the key itself."""
    shown = {**view(made.key), "key": made.plain}
    if made.replaced is not None:
        shown["replaces"] = view(made.replaced)
    return shown


def new_key(given: Body) -> WantedKey:
    """Return the key a create body asks for."""
    if "name" not in given:
        raise InvalidRequestError("name is required", field="name", issue="missing")
    return WantedKey(
        name=_name(given["name"]),
        permissions=optional(given, "permissions", _permissions, DEFAULT_PERMISSIONS),
        expires_at=optional(given, "expiresAt", _expires_at, None),
    )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or "\0" in value:
        raise wrong("name", f"must be a string of 1 to {MAX_NAME} characters")
    return value


def _permissions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(each in API_KEY_PERMISSIONS for each in value):
        raise wrong("permissions", f"must be an array of {', '.join(API_KEY_PERMISSIONS)}, not empty")
    return tuple(each for each in API_KEY_PERMISSIONS if each in value)


def _expires_at(value: Any) -> datetime | None:
    """Return when a key is to end; null is never."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong("expiresAt", "must be an ISO 8601 date or date-time")
    return queries.moment(value, "expiresAt")


_PERMISSIONS: Object = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "enum": list(API_KEY_PERMISSIONS)},
}
_NAME: Object = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_LATER: Object = or_null("string", format="date-time")
_TOLD: Object = {
    "id": TEXT,
    "name": _NAME,
    "prefix": {"type": "string", "description": "The first characters of the key, to tell it by."},
    "permissions": _PERMISSIONS,
    "createdAt": MOMENT,
    "expiresAt": _LATER,
    "lastUsedAt": _LATER,
    "revoked": {"type": "boolean"},
}
_SHOWN_ONCE: Object = {"type": "string", "description": "The key itself, in this answer only."}

SCHEMAS: Object = {
    "NeoNewApiKey": an_object(
        {
            "name": _NAME,
            "permissions": {**_PERMISSIONS, "default": list(DEFAULT_PERMISSIONS)},
            "expiresAt": {**_LATER, "default": None},
        },
        required=("name",),
    ),
    "NeoApiKey": an_object(_TOLD),
    "NeoMadeApiKey": an_object({**_TOLD, "key": _SHOWN_ONCE}),
    "NeoRotatedApiKey": an_object({**_TOLD, "key": _SHOWN_ONCE, "replaces": ref("NeoApiKey")}),
}
OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", _KEYS): operation(
        "neoListApiKeys",
        "List API keys, newest first, without the keys themselves",
        envelope({"type": "array", "items": ref("NeoApiKey")}, paged=True),
        parameters=paging(),
    ),
    ("POST", _KEYS): operation(
        "neoCreateApiKey",
        "Make an API key",
        envelope(ref("NeoMadeApiKey")),
        status="201",
        requestBody=body(ref("NeoNewApiKey")),
    ),
    ("DELETE", _KEY): operation(
        "neoRevokeApiKey",
        "Revoke an API key at once",
        envelope(an_object({"id": TEXT, "revoked": {"const": True}})),
    ),
    ("POST", _KEY + "/rotate"): operation(
        "neoRotateApiKey",
        "Make a key in the place of another, which counts for a grace period more",
        envelope(ref("NeoRotatedApiKey")),
        status="201",
    ),
}
