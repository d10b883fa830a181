"""Who is calling, from the ``Authorization`` header (contracts/extrahorizon.md section 2)."""

from aiohttp import web

from services.api.access.authentication import identify_token
from services.api.access.oauth1 import Signer, identify_signer
from services.api.access.oauth1_signature import (
    MalformedSignatureError,
    SignedRequest,
    is_signed,
    read_signed_request,
)
from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.domain.errors import UnauthenticatedError
from shared.domain.identity import Action, Identity
from shared.domain.login_errors import UnsignedRequestError, WrongSignatureError


async def caller(platform: Platform, request: web.BaseRequest) -> Identity | None:
    """
    Return whose bearer token it is, or for whom the request is signed; None without either.

    An application that signs for itself is nobody: it has no user. Another scheme is no credential of ours: a public
    function may have its own, and gets the header. Asked once for each request: a signed one is taken once.

    Raises:
        UnknownTokenError, ExpiredTokenError: a bearer token that is not valid.
        UnknownConsumerError, UnknownSignedTokenError, WrongSignatureError, ReusedNonceError: a signature that is not.

    """
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return None
    if is_signed(authorization):
        return (await identify_signer(platform, _signed(request, authorization))).identity
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    return await identify_token(platform, token.strip())


async def signer(platform: Platform, request: web.BaseRequest) -> Signer:
    """Return who has signed the request; raise ``UnsignedRequestError`` when nobody has, else as ``caller`` does."""
    authorization = request.headers.get("Authorization", "")
    if not is_signed(authorization):
        raise UnsignedRequestError("The request is not signed by an application.")
    return await identify_signer(platform, _signed(request, authorization))


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


def _signed(request: web.BaseRequest, authorization: str) -> SignedRequest:
    target = request.raw_path
    if not target.startswith("/"):
        target = request.rel_url.raw_path_qs
    try:
        return read_signed_request(request.method, request.headers.get("Host", ""), target, authorization)
    except MalformedSignatureError as error:
        raise WrongSignatureError(f"The signature cannot be read: {error}.") from None
