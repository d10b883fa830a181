"""
From what a person or their program presents to who they are (contracts/gateways.md section 2.1).

A session's token and a personal key both act as their user. Each request asks the database: a session that has
ended and a key that was revoked are refused by every replica at once.
"""

from dataclasses import dataclass

from services.api.access.session_tokens import SessionTokens
from services.api.platform import Platform
from shared.crypto.tokens import sha256_hex
from shared.database import personal_keys, sessions
from shared.database.people import Person
from shared.domain.errors import ForbiddenError, UnauthenticatedError

KEY_PREFIX = "sk_"
_LONGEST = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling and from where; ``session_id`` is None for a program with a key."""

    person: Person
    session_id: int | None
    address: str
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request comes from."""

    address: str
    user_agent: str | None


async def identify_person(platform: Platform, tokens: SessionTokens, presented: str, origin: Origin) -> Caller:
    """
    Return whose session or key it is.

    Raises:
        UnauthenticatedError: it is none, not ours, expired, ended or revoked; which is not told.
    """
    refusal = UnauthenticatedError("Log in, or present an API key that is valid")
    if not presented.isascii() or not 0 < len(presented) <= _LONGEST:
        raise refusal
    session_id: int | None = None
    if presented.startswith(KEY_PREFIX):
        person = await personal_keys.use_key(platform.db, sha256_hex(presented))
    else:
        claims = await tokens.read(platform.db, platform.envelope, presented)
        session_id = claims.session_id
        person = await sessions.use_session(platform.db, session_id, claims.user_number)
    if person is None:
        raise refusal
    return Caller(person=person, session_id=session_id, address=origin.address, user_agent=origin.user_agent)


def require_session(caller: Caller) -> int:
    """Return the caller's session; raise ``ForbiddenError`` for a program with a key."""
    if caller.session_id is None:
        raise ForbiddenError("This needs a session: an API key does not do")
    return caller.session_id
