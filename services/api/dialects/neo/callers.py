"""Who calls the Neo dialect: an API key in ``X-API-Key``, which wins, or as a bearer (contracts/neo.md section 2)."""

from aiohttp import web

from services.api.access.authentication import identify_key
from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.domain.errors import UnauthenticatedError
from shared.domain.identity import Action, Identity


async def allowed(platform: Platform, request: web.BaseRequest, action: Action) -> Identity:
    """Return who is calling, when they may; raise ``UnauthenticatedError`` or ``ForbiddenError``."""
    presented = request.headers.get("X-API-Key") or _bearer(request)
    if not presented:
        raise UnauthenticatedError("API key missing or not valid")
    identity = await identify_key(platform, presented)
    authorize(identity, action)
    return identity


def _bearer(request: web.BaseRequest) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
