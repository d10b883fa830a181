"""
Who calls the Neo dialect: an API key in ``X-API-Key``, which wins, or as a bearer (contracts/neo.md section 2).

Whoever calls is counted before it is asked what they may do (section 1): by key, or by address without a valid one.
"""

from aiohttp import web

from services.api.access.authentication import identify_key
from services.api.access.permissions import authorize
from services.api.dialects.neo.throttling import charge_address, charge_key
from services.api.platform import Platform
from shared.domain.errors import UnauthenticatedError
from shared.domain.identity import Action, Identity


async def allowed(platform: Platform, request: web.BaseRequest, action: Action) -> Identity:
    """
    Return who is calling, when they may.

    Raises:
        UnauthenticatedError: there is no valid key.
        RateLimitedError: the key, or the address of a caller without one, has sent too much.
        ForbiddenError: the key lacks the permission.
    """
    presented = request.headers.get("X-API-Key") or _bearer(request)
    try:
        identity = await identify_key(platform, presented)
    except UnauthenticatedError:
        charge_address(platform, request)
        raise
    assert identity.key_id is not None
    charge_key(platform, request, identity.key_id)
    authorize(identity, action)
    return identity


def anybody(platform: Platform, request: web.BaseRequest) -> None:
    """Let anybody pass where no key is asked for; raise ``RateLimitedError``."""
    charge_address(platform, request)


def _bearer(request: web.BaseRequest) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
