"""
From what a caller presents to who they are.

A key or token is looked up by its SHA-256: both are random and long, so no slow hash is needed and no plain
credential is stored. What is wrong with one is told apart for tokens (unknown, expired), because clients
refresh on exactly these; for keys it is not told at all.
"""

from datetime import UTC, datetime

from services.api.access.credentials import Verdict
from services.api.platform import Platform
from shared.crypto.tokens import sha256_hex
from shared.database import access
from shared.domain.errors import ExpiredTokenError, UnauthenticatedError, UnknownTokenError
from shared.domain.identity import Identity

_MAX_CREDENTIAL = 512


async def identify_key(platform: Platform, presented: str) -> Identity:
    """Return whose API key it is; raise ``UnauthenticatedError`` for an unknown, revoked or expired one."""
    refusal = UnauthenticatedError("API key missing or not valid")
    if not _plausible(presented):
        raise refusal

    async def look(sha256: str) -> Verdict[Identity]:
        key = await access.find_api_key(platform.db, sha256)
        if key is None or key.revoked_at is not None or _is_past(key.expires_at):
            return Verdict(refusal=refusal)
        identity = Identity(
            account_id=key.account_id,
            environment_id=key.environment_id,
            permissions=frozenset(key.permissions),
            key_id=key.id,
        )
        return Verdict(found=identity, expires_at=key.expires_at)

    identity = await platform.credentials.bearers.identify(sha256_hex(presented), look)
    assert identity.key_id is not None  # a key is never taken for a token: each has a form and a table of its own
    platform.key_usage.note(identity.key_id)
    return identity


async def identify_token(platform: Platform, presented: str) -> Identity:
    """Return whose access token it is; raise ``UnknownTokenError`` or ``ExpiredTokenError``."""
    if not _plausible(presented):
        raise UnknownTokenError("the access token is unknown")

    async def look(sha256: str) -> Verdict[Identity]:
        token = await access.find_access_token(platform.db, sha256)
        if token is None:
            return Verdict(refusal=UnknownTokenError("the access token is unknown"))
        if _is_past(token.expires_at):
            return Verdict(refusal=ExpiredTokenError("the access token has expired"))
        identity = Identity(
            account_id=token.account_id,
            environment_id=token.environment_id,
            permissions=frozenset(token.permissions),
            user_id=token.user_id,
            application_id=token.application_id,
        )
        return Verdict(found=identity, expires_at=token.expires_at)

    return await platform.credentials.bearers.identify(sha256_hex(presented), look)


def _plausible(presented: str) -> bool:
    return 0 < len(presented) <= _MAX_CREDENTIAL and presented.isascii()


def _is_past(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)
