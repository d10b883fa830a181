"""Who is calling, from the ``Authorization`` header (contracts/extrahorizon.md section 2)."""

from aiohttp import web

from services.api.access.authentication import identify_token
from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.domain.errors import UnauthenticatedError
from shared.domain.identity import Action, Identity


async def caller(platform: Platform, request: web.BaseRequest) -> Identity | None:
    """
    Return whose bearer token it is; None without one.

    Another scheme is no credential of ours: a public function may have its own, and gets the header.

    Raises:
        UnknownTokenError, ExpiredTokenError: a bearer token that is not valid.

    """
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    return await identify_token(platform, token.strip())


async def user(platform: Platform, request: web.BaseRequest) -> Identity:
    """Return who is calling; raise ``UnauthenticatedError`` without a valid token."""
    identity = await caller(platform, request)
    if identity is None:
        raise UnauthenticatedError("No user is authenticated.")
    return identity


async def permitted(platform: Platform, request: web.BaseRequest, action: Action) -> Identity:
    """Return who is calling; raise unless they may do this. Asked before anything of the request is judged."""
    identity = await caller(platform, request)
    authorize(identity, action)
    if identity is None:
        raise UnauthenticatedError("No user is authenticated.")
    return identity
