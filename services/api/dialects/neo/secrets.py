"""Secrets in the Neo dialect (contracts/neo.md section 3.11): routes, bodies, looks. No value is ever shown."""

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.neo import bodies, queries, views
from services.api.dialects.neo.answers import json_body, page, success
from services.api.dialects.neo.bodies import Body, description_text, optional, wrong
from services.api.dialects.neo.callers import allowed
from services.api.dialects.neo.schema import MOMENT, TEXT, Object, an_object, body, envelope, operation, paging, ref
from services.api.operations import secrets
from services.api.operations.secrets import SecretPatch, WantedSecret
from services.api.platform import Platform
from shared.domain.errors import InvalidRequestError
from shared.domain.identity import Action, Identity
from shared.domain.secret import SecretFacts

DEFAULT_LIMIT = 20
MAX_VALUE_BYTES = 5000
MAX_ALLOWED = 100
_SECRETS = "/v1/secrets"
_SECRET = _SECRETS + "/{secretId}"
_SECRET_ID = re.compile(r"sec_[a-z0-9]{10}")
_FUNCTION_ID = re.compile(r"func_[a-z0-9]{10}")

Parameters = Mapping[str, str]


class SecretRoutes:
    """The routes of secrets on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> tuple[Route, ...]:
        """Return them."""
        table = (
            ("GET", _SECRETS, self.list_secrets),
            ("POST", _SECRETS, self.create),
            ("GET", _SECRET, self.show),
            ("PUT", _SECRET, self.update),
            ("DELETE", _SECRET, self.delete),
        )
        return tuple(
            Route(methods=(method,), path=path, handler=handler, operation=OPERATIONS[method, path])
            for method, path, handler in table
        )

    async def list_secrets(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.READ_SECRETS)
        limit, offset = queries.page(request.query, DEFAULT_LIMIT)
        found, total = await secrets.list_secrets(self._platform, identity, limit=limit, offset=offset)
        return page([view(each) for each in found], total, limit, offset)

    async def create(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.WRITE_SECRETS)
        wanted = new_secret(await json_body(request))
        return success(view(await secrets.create_secret(self._platform, identity, wanted)), 201)

    async def show(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        _, secret = await self._secret(request, parameters, Action.READ_SECRETS)
        return success(view(secret))

    async def update(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, secret = await self._secret(request, parameters, Action.WRITE_SECRETS)
        wanted = patch(await json_body(request))
        return success(view(await secrets.update_secret(self._platform, identity, secret, wanted)))

    async def delete(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, secret = await self._secret(request, parameters, Action.DELETE_SECRET)
        await secrets.delete_secret(self._platform, identity, secret)
        return success({"id": secret.id, "deleted": True})

    async def _secret(
        self, request: web.BaseRequest, parameters: Parameters, action: Action
    ) -> tuple[Identity, SecretFacts]:
        """Return who is calling and the secret of the path, when they may."""
        identity = await allowed(self._platform, request, action)
        return identity, await secrets.get_secret(self._platform, identity, parameters["secretId"])


def view(secret: SecretFacts) -> views.View:
    """Return what is told of a secret."""
    return {
        "id": secret.id,
        "name": secret.name,
        "description": secret.description,
        "version": secret.version,
        "functions": None if secret.allowed_functions is None else list(secret.allowed_functions),
        "createdAt": views.timestamp(secret.created_at),
        "updatedAt": views.timestamp(secret.updated_at),
    }


def new_secret(given: Body) -> WantedSecret:
    """Return the secret a create body asks for."""
    for required in ("name", "value"):
        if required not in given:
            raise InvalidRequestError(f"{required} is required", field=required, issue="missing")
    return WantedSecret(
        name=_name(given["name"]),
        value=_value(given["value"]),
        description=optional(given, "description", description_text, ""),
        allowed_functions=optional(given, "functions", _functions, None),
    )


def patch(given: Body) -> SecretPatch:
    """Return the change an update body asks for; what it does not name stays."""
    wanted = SecretPatch(
        value=optional(given, "value", _value, None),
        description=optional(given, "description", description_text, None),
        restrict="functions" in given,
        allowed_functions=optional(given, "functions", _functions, None),
    )
    if wanted == SecretPatch():
        raise InvalidRequestError("the body names nothing to change", field="body", issue="empty")
    return wanted


def _name(value: Any) -> str:
    if not isinstance(value, str) or not bodies.SECRET_NAME.fullmatch(value):
        raise wrong("name", "must be 1 to 100 letters, digits, _ . and -, the first a letter or digit")
    if _SECRET_ID.fullmatch(value):
        raise wrong("name", "must not look like the id of a secret")
    return value


def _value(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= MAX_VALUE_BYTES:
        raise wrong("value", f"must be a string of 1 to {MAX_VALUE_BYTES} bytes")
    return value


def _functions(value: Any) -> tuple[str, ...] | None:
    """Return the functions that may have the secret; null is every function of the account."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and _FUNCTION_ID.fullmatch(each) for each in value):
        raise wrong("functions", "must be null or an array of function ids")
    ids = tuple(dict.fromkeys(value))
    if len(ids) > MAX_ALLOWED:
        raise wrong("functions", f"must have at most {MAX_ALLOWED} entries")
    return ids


_WRITABLE: Object = {
    "value": {"type": "string", "minLength": 1, "description": f"At most {MAX_VALUE_BYTES} bytes. Never shown again."},
    "description": {"type": "string", "maxLength": bodies.MAX_DESCRIPTION, "default": ""},
    "functions": {
        "type": ["array", "null"],
        "maxItems": MAX_ALLOWED,
        "items": {"type": "string", "pattern": f"^{_FUNCTION_ID.pattern}$"},
        "description": "Ids of the functions that may have it; null for every function that lists it.",
    },
}
_NAMED: Object = {"name": {"type": "string", "pattern": f"^{bodies.SECRET_NAME.pattern}$"}}
_ANSWER = envelope(ref("NeoSecret"))

SCHEMAS: Object = {
    "NeoNewSecret": an_object({**_NAMED, **_WRITABLE}, required=("name", "value")),
    "NeoSecretPatch": {**an_object(_WRITABLE, required=()), "minProperties": 1},
    "NeoSecret": an_object(
        {
            "id": TEXT,
            **_NAMED,
            "description": TEXT,
            "version": {"type": "integer", "description": "Counts the values it has had."},
            "functions": _WRITABLE["functions"],
            "createdAt": MOMENT,
            "updatedAt": MOMENT,
        }
    ),
}
OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", _SECRETS): operation(
        "neoListSecrets",
        "List secrets by name, without their values",
        envelope({"type": "array", "items": ref("NeoSecret")}, paged=True),
        parameters=paging(DEFAULT_LIMIT),
    ),
    ("POST", _SECRETS): operation(
        "neoCreateSecret", "Keep a secret", _ANSWER, status="201", requestBody=body(ref("NeoNewSecret"))
    ),
    ("GET", _SECRET): operation("neoGetSecret", "Read what is told of a secret, by id or by name", _ANSWER),
    ("PUT", _SECRET): operation(
        "neoUpdateSecret",
        "Give a secret another value; fields left out stay",
        _ANSWER,
        requestBody=body(ref("NeoSecretPatch")),
    ),
    ("DELETE", _SECRET): operation(
        "neoDeleteSecret", "Delete a secret", envelope(an_object({"id": TEXT, "deleted": {"const": True}}))
    ),
}
