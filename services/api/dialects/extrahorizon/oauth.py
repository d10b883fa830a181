"""
``POST /auth/v2/oauth2/tokens``: OAuth2 as the SDK speaks it (contracts/extrahorizon.md section 2.2).

JSON in, also the form body of the standard; the client names itself in the body, by HTTP Basic, or both. The
decisions are the operation's; here the request is read and the answer written. Errors leave as exceptions and
are rendered in OAuth2's shape by ``errors.error_response``, which knows this path.
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from services.api.access.addresses import FORWARDED_FOR
from services.api.dialects.extrahorizon.bodies import read_object, require, text
from services.api.dialects.extrahorizon.errors import unsupported_grant
from services.api.http import json_response, read_body
from services.api.operations.exchange_code import Exchange, issue_by_code
from services.api.operations.issue_tokens import (
    Client,
    IssuedTokens,
    Login,
    TokenDesk,
    issue_by_password,
    issue_by_refresh,
)
from services.api.platform import Platform
from shared.domain.errors import EmptyBodyError, MissingClientError, WrongClientSecretError

BODY_BYTES = 64 * 1024
_FORM = "application/x-www-form-urlencoded"


async def tokens(
    desk: TokenDesk, platform: Platform, request: web.BaseRequest, _parameters: Mapping[str, str]
) -> web.Response:
    """Answer one token request."""
    body = await read_body(request, BODY_BYTES)
    data = _form(body) if request.content_type == _FORM else read_object(body)
    client = _client(request.headers.get("Authorization", ""), data)
    require(data, "grant_type")
    grant_type = text("grant_type", data["grant_type"])
    match grant_type:
        case "password":
            require(data, "username", "password")
            login = Login(
                email=text("username", data["username"]),
                password=text("password", data["password"]),
                address=platform.addresses.of(request.remote, request.headers.getall(FORWARDED_FOR, ())),
            )
            issued = await issue_by_password(platform, desk, client, login)
        case "refresh_token":
            require(data, "refresh_token")
            issued = await issue_by_refresh(platform, desk, client, text("refresh_token", data["refresh_token"]))
        case "authorization_code":
            issued = await issue_by_code(platform, desk, client, _exchange(data))
        case _:
            return unsupported_grant(grant_type)
    response = json_response(_view(issued))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _view(issued: IssuedTokens) -> dict[str, Any]:
    return {
        "access_token": issued.access_token,
        "token_type": "bearer",
        "expires_in": issued.expires_in_s,
        "refresh_token": issued.refresh_token,
        "user_id": issued.user_id,
        "application_id": issued.application_id,
    }


def _exchange(data: Mapping[str, Any]) -> Exchange:
    require(data, "code")
    verifier, redirect_uri = (data.get(name) for name in ("code_verifier", "redirect_uri"))
    return Exchange(
        code=text("code", data["code"]),
        verifier=None if verifier is None else text("code_verifier", verifier),
        redirect_uri=None if redirect_uri is None else text("redirect_uri", redirect_uri),
    )


def _form(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise EmptyBodyError("A body is required.")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _client(authorization: str, data: Mapping[str, Any]) -> Client:
    """Return who the client says it is; the header and the body may both say it, and must then agree."""
    named, secret = _basic(authorization)
    in_body, secret_in_body = data.get("client_id"), data.get("client_secret")
    client_id = text("client_id", in_body) if in_body is not None else named
    if not client_id:
        raise MissingClientError("No client_id is given.")
    if secret_in_body is not None:
        secret_in_body = text("client_secret", secret_in_body)
    if named is not None and (named != client_id or (secret_in_body is not None and secret_in_body != secret)):
        raise WrongClientSecretError("The Authorization header and the body name different clients.")
    return Client(client_id=client_id, secret=secret_in_body if secret_in_body is not None else secret)


def _basic(authorization: str) -> tuple[str | None, str | None]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise MissingClientError("The Authorization header is not HTTP Basic.") from None
    # As the SDK sends them: not form-encoded, which RFC 6749 would have.
    return name, secret if colon else None
