"""What people are told of themselves and change: their name, their sessions, the keys of their programs."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.api.access.people import KEY_PREFIX, Caller, require_session
from services.api.platform import Platform
from shared.crypto.tokens import sha256_hex
from shared.database import people, personal_keys, sessions
from shared.database.people import Person
from shared.database.personal_keys import NewPersonalKey, PersonalKey
from shared.database.sessions import Session
from shared.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError

MOST_KEYS = 10
_KEY_BYTES = 24
_SHOWN_LENGTH = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePersonalKey:
    """A key that has just been made: the only time it is shown."""

    key: PersonalKey
    plain: str = field(repr=False)


async def update_profile(platform: Platform, caller: Caller, *, name: str | None, email: str | None) -> Person:
    """Change the caller's name or email, None stays; raise ``EmailUsedError`` for another user's email."""
    await people.update_person(platform.db, caller.person.id, name=name, email=email)
    person = await people.find_person(platform.db, caller.person.id)
    if person is None:
        raise UnauthenticatedError("The user is gone")
    return person


async def list_sessions(
    platform: Platform, caller: Caller, *, limit: int, offset: int
) -> tuple[Sequence[Session], int]:
    """Return one page of the caller's sessions, newest first, and how many there are."""
    return await sessions.list_sessions(platform.db, caller.person.id, limit=limit, offset=offset)


async def cancel_session(platform: Platform, caller: Caller, session_id: int) -> None:
    """
    End one of the caller's sessions.

    Raises:
        NotFoundError: there is no such session.
        ForbiddenError: it is another user's.
    """
    session = await sessions.find_session(platform.db, session_id)
    if session is None:
        raise NotFoundError("No such session", what="Session")
    if not await sessions.end_session(platform.db, caller.person.id, session_id):
        raise ForbiddenError("You can only cancel your own sessions")


async def create_key(platform: Platform, caller: Caller, name: str | None) -> MadePersonalKey:
    """
    Make a key that acts as the caller.

    Raises:
        ForbiddenError: the caller is a program with a key.
        QuotaExceededError: the caller has as many as a user may have; the field ``maxKeys`` says how many.
    """
    require_session(caller)
    plain = KEY_PREFIX + secrets.token_hex(_KEY_BYTES)
    new = NewPersonalKey(user_id=caller.person.id, name=name, prefix=plain[:_SHOWN_LENGTH], sha256=sha256_hex(plain))
    return MadePersonalKey(key=await personal_keys.add_key(platform.db, new, most=MOST_KEYS), plain=plain)


async def list_keys(platform: Platform, caller: Caller) -> Sequence[PersonalKey]:
    """Return the caller's keys that count; raise ``ForbiddenError`` for a program with a key."""
    require_session(caller)
    return await personal_keys.list_keys(platform.db, caller.person.id)


async def revoke_key(platform: Platform, caller: Caller, key_id: int) -> None:
    """Let a key count no more; raise ``NotFoundError``, and ``ForbiddenError`` for a program with a key."""
    require_session(caller)
    if not await personal_keys.revoke_key(platform.db, caller.person.id, key_id):
        raise NotFoundError("No such API key", what="API key")
