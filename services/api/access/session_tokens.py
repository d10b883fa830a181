"""
The tokens of sessions: JWTs (HS256) that name a session and its user, and nothing else.

All replicas sign with one key, made by whoever needs it first and kept sealed in the database. A token that is
well signed still only opens what its session's row allows: see ``people.py``.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

import jwt

from shared.crypto.envelope import Envelope
from shared.database import sessions
from shared.database.pool import Database
from shared.database.sessions import SealedSessionKey
from shared.domain.errors import BrokenSealError, UnauthenticatedError, UnavailableError
from shared.domain.ids import new_record_id

_ALGORITHM = "HS256"
KEY_BYTES = 32
_REQUIRED = ["exp", "sub", "sid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaims:
    """What a token says: the session, and the number of the user it is of."""

    session_id: int
    user_number: int


class SessionTokens:
    """Issues and reads tokens; the key is opened with the first of them. Safe to share between tasks."""

    def __init__(self) -> None:
        self._key: bytes | None = None

    async def prepare(self, db: Database, envelope: Envelope) -> None:
        """Have the key ready; raise ``UnavailableError`` when none can be kept, so that nothing is begun in vain."""
        await self._signing_key(db, envelope)

    async def issue(self, db: Database, envelope: Envelope, claims: SessionClaims, expires_at: datetime) -> str:
        """Return a token; raise ``UnavailableError`` when there is no master key to keep the signing key under."""
        return token_for(await self._signing_key(db, envelope), claims, expires_at)

    async def read(self, db: Database, envelope: Envelope, token: str) -> SessionClaims:
        """Return what a token says; raise ``UnauthenticatedError`` for one that is not ours or past its time."""
        return claims_of(await self._signing_key(db, envelope), token)

    async def _signing_key(self, db: Database, envelope: Envelope) -> bytes:
        if self._key is None:
            kept = await sessions.find_session_key(db)
            if kept is None:
                key_id = new_record_id()
                sealed = await envelope.seal(secrets.token_bytes(KEY_BYTES), key_id)
                await sessions.add_session_key(db, SealedSessionKey(id=key_id, sealed=sealed))
                # Whoever was first, the one in the database counts.
                kept = await sessions.find_session_key(db)
            if kept is None:
                raise UnavailableError("the key of sessions is just being replaced")
            try:
                self._key = await envelope.open(kept.sealed, kept.id)
            except BrokenSealError as error:
                raise UnavailableError("the key of sessions does not open") from error
        return self._key


def token_for(key: bytes, claims: SessionClaims, expires_at: datetime) -> str:
    """Return a token that says this; no two are the same."""
    payload = {"sub": str(claims.user_number), "sid": claims.session_id, "exp": expires_at, "jti": new_record_id()}
    return jwt.encode(payload, key, algorithm=_ALGORITHM)


def claims_of(key: bytes, token: str) -> SessionClaims:
    """Return what a token says; raise ``UnauthenticatedError`` for one that is not ours or past its time."""
    try:
        payload = jwt.decode(token, key, algorithms=[_ALGORITHM], options={"require": _REQUIRED})
        return SessionClaims(session_id=int(payload["sid"]), user_number=int(payload["sub"]))
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise UnauthenticatedError("The session token is not valid") from error
