"""
What was issued to applications, as the SDK's ``exh.auth`` lists it and takes it back.

``/auth/v2/oauth2/authorizations``, ``tokens`` and ``refreshTokens``, and ``/auth/v2/oauth1/tokens``. Codes are made
here, too. Lists show no secret, no code, and no token that opens anything by being shown.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import application_bodies, views
from services.api.dialects.extrahorizon.callers import user
from services.api.dialects.extrahorizon.description import TOKENS
from services.api.dialects.extrahorizon.description_applications import (
    APPLICATION_OPERATIONS,
    AUTHORIZATIONS,
    REFRESH_TOKENS,
)
from services.api.dialects.extrahorizon.description_logins import SIGNED_TOKENS
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing
from services.api.http import json_response, read_body
from services.api.operations.authorizations import (
    MadeAuthorization,
    create_authorization,
    list_issued,
    remove_issued,
)
from services.api.platform import Platform
from shared.database import issued
from shared.database.issued import Issued
from shared.database.pool import Row
from shared.domain.errors import MalformedIdError
from shared.domain.ids import is_record_id
from shared.domain.moments import iso

Parameters = Mapping[str, str]

BODY_BYTES = 64 * 1024
_NAMES = {
    "id": "id",
    "application_id": "applicationId",
    "client_id": "clientId",
    "user_id": "userId",
    "token": "token",
    "refresh_token_id": "refreshTokenId",
    "redirect_uri": "redirectUri",
    "state": "state",
    "challenge_method": "codeChallengeMethod",
}
_MOMENTS = {
    "last_used_at": "lastUsedTimestamp",
    "expires_at": "expiryTimestamp",
    "created_at": "creationTimestamp",
    "updated_at": "updateTimestamp",
}


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of what was issued."""
    sorts = (
        (SIGNED_TOKENS, issued.SIGNED_TOKENS),
        (TOKENS, issued.ACCESS_TOKENS),
        (REFRESH_TOKENS, issued.REFRESH_TOKENS),
        (AUTHORIZATIONS, issued.AUTHORIZATIONS),
    )
    table: list[tuple[str, str, Callable[..., Awaitable[web.StreamResponse]]]] = [("POST", AUTHORIZATIONS, create)]
    for path, sort in sorts:
        table += [("GET", path, partial(show_all, sort)), ("DELETE", path + "/{id}", partial(remove, sort))]
    return tuple(
        Route(
            methods=(method,),
            path=path,
            handler=partial(handler, platform),
            operation=APPLICATION_OPERATIONS[method, path],
        )
        for method, path, handler in table
    )


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Let an application have tokens for the caller: it gets a code to exchange."""
    identity = await user(platform, request)
    wanted = application_bodies.read_authorization(await read_body(request, BODY_BYTES))
    response = json_response(_made(await create_authorization(platform, identity, wanted)))
    response.headers["Cache-Control"] = "no-store"
    return response


async def show_all(sort: Issued, platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List what was issued to the caller, or to everybody of the account."""
    identity = await user(platform, request)
    listing = read_listing(raw_query(request))
    found, total = await list_issued(platform, identity, sort, listing.query)
    data = [views.selected(_view(row), listing.select) for row in found]
    return json_response(views.page(data, offset=listing.query.offset, limit=listing.query.limit, total=total))


async def remove(sort: Issued, platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Take one back."""
    identity = await user(platform, request)
    if not is_record_id(parameters["id"]):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    await remove_issued(platform, identity, sort, parameters["id"])
    return json_response({"affectedRecords": 1})


def _view(row: Row) -> dict[str, Any]:
    view = {shown: row[name] for name, shown in _NAMES.items() if name in row and row[name] is not None}
    return view | {shown: iso(row[name]) for name, shown in _MOMENTS.items() if name in row}


def _made(made: MadeAuthorization) -> dict[str, Any]:
    known = made.authorization
    view = {
        "id": known.id,
        "clientId": known.client_id,
        "userId": known.user_id,
        "redirectUri": known.redirect_uri,
        "state": known.state,
        "codeChallengeMethod": known.challenge_method,
        "codeChallenge": known.challenge,
        "authorizationCode": made.code,
        "expiryTimestamp": iso(known.expires_at),
        "creationTimestamp": iso(known.created_at),
        "updateTimestamp": iso(known.created_at),
    }
    return {name: value for name, value in view.items() if value is not None}
