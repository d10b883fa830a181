"""``/auth/v2/oauth1/tokens``: OAuth 1.0 tokens (contracts/extrahorizon.md section 2.3)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from services.api.access.addresses import FORWARDED_FOR
from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon.bodies import read_object, require, text
from services.api.dialects.extrahorizon.callers import signer
from services.api.dialects.extrahorizon.description_logins import LOGIN_OPERATIONS, SIGNED_TOKENS
from services.api.http import json_response, read_body
from services.api.operations.issue_signed_token import IssuedSignedToken, issue_signed_token
from services.api.operations.issue_tokens import Login, TokenDesk
from services.api.platform import Platform
from shared.domain.moments import iso

_BODY_BYTES = 64 * 1024


def routes(platform: Platform, desk: TokenDesk) -> tuple[Route, ...]:
    """Return the routes of this noun."""
    return (
        Route(
            methods=("POST",),
            path=SIGNED_TOKENS,
            handler=partial(_create, platform, desk),
            operation=LOGIN_OPERATIONS["POST", SIGNED_TOKENS],
        ),
    )


async def _create(
    platform: Platform, desk: TokenDesk, request: web.BaseRequest, _parameters: Mapping[str, str]
) -> web.Response:
    """Log a user in: the application has signed, the user is in the body."""
    signed = await signer(platform, request)
    data = read_object(await read_body(request, _BODY_BYTES))
    require(data, "email", "password")
    login = Login(
        email=text("email", data["email"]),
        password=text("password", data["password"]),
        address=platform.addresses.of(request.remote, request.headers.getall(FORWARDED_FOR, ())),
    )
    response = json_response(_issued(await issue_signed_token(platform, desk, signed.consumer, login)))
    response.headers["Cache-Control"] = "no-store"
    return response


def _issued(issued: IssuedSignedToken) -> dict[str, Any]:
    made = iso(issued.created_at)
    return {
        "id": issued.id,
        "userId": issued.user_id,
        "applicationId": issued.application_id,
        "token": issued.token,
        "tokenSecret": issued.secret,
        "lastUsedTimestamp": made,
        "creationTimestamp": made,
        "updateTimestamp": made,
    }
