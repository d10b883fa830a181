"""
Sessions of people who logged in, the key their tokens are signed with, and the keys people make for programs.

A token is good while its session's row says so. Refresh tokens and keys are kept as digests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.crypto.envelope import Sealed
from shared.database.people import PERSON_COLUMNS, Person, person_of
from shared.database.pool import Queries, Row
from shared.database.text import storable_or_none

_SESSION = """
    s.id, s.address, s.user_agent, s.expires_at, s.ended_at, s.last_used_at, s.created_at, s.user_id
"""
_OPEN = "s.ended_at IS NULL AND s.expires_at > now()"
_FORGOTTEN_AFTER = "interval '30 days'"
_NOTED_EVERY = "interval '1 minute'"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session to be kept."""

    user_id: str
    refresh_sha256: str
    expires_at: datetime
    address: str
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session; one that has ended or expired opens nothing."""

    id: int
    user_id: str
    address: str | None
    user_agent: str | None
    expires_at: datetime
    ended_at: datetime | None
    last_used_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSessionKey:
    """The key that tokens are signed with, as it is kept."""

    id: str
    sealed: Sealed


async def open_session(db: Queries, new: NewSession) -> Session:
    """Keep a session; what is long over of the same user's is forgotten."""
    await db.execute(
        f"""
        DELETE FROM sessions
        WHERE user_id = $1 AND least(coalesce(ended_at, expires_at), expires_at) < now() - {_FORGOTTEN_AFTER}
        """,  # noqa: S608 - constants
        new.user_id,
    )
    row = await db.fetchrow(
        f"""
        INSERT INTO sessions AS s (user_id, refresh_sha256, expires_at, address, user_agent)
        VALUES ($1, $2, $3, $4, $5) RETURNING {_SESSION}
        """,  # noqa: S608 - constants
        new.user_id,
        new.refresh_sha256,
        new.expires_at,
        new.address,
        storable_or_none(new.user_agent),
    )
    assert row is not None
    return Session(**row)


async def use_session(db: Queries, session_id: int, user_number: int) -> Person | None:
    """Return whose open session it is; None for one that has ended, or is another user's. Notes that it was used."""
    row = await db.fetchrow(
        f"""
        SELECT s.last_used_at < now() - {_NOTED_EVERY} AS is_stale, {PERSON_COLUMNS}
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.id = $1 AND u.number = $2 AND u.activation AND {_OPEN}
        """,  # noqa: S608 - constants
        session_id,
        user_number,
    )
    if row is not None and row["is_stale"]:
        await db.execute("UPDATE sessions SET last_used_at = now() WHERE id = $1", session_id)
    return None if row is None else person_of(row)


async def renew_session(db: Queries, refresh_sha256: str, next_sha256: str, expires_at: datetime) -> Session | None:
    """Use up a refresh token of an open session, which goes on with another; None when there is none."""
    row = await db.fetchrow(
        f"""
        UPDATE sessions s SET refresh_sha256 = $2, expires_at = $3, last_used_at = now()
        FROM users u WHERE u.id = s.user_id AND u.activation AND s.refresh_sha256 = $1 AND {_OPEN}
        RETURNING {_SESSION}
        """,  # noqa: S608 - constants
        refresh_sha256,
        next_sha256,
        expires_at,
    )
    return None if row is None else Session(**row)


async def end_session(db: Queries, user_id: str, session_id: int) -> bool:
    """End a session of a user; False when there is none such. Doing it twice changes nothing."""
    ended = await db.fetchval(
        "UPDATE sessions SET ended_at = coalesce(ended_at, now()) WHERE user_id = $1 AND id = $2 RETURNING id",
        user_id,
        session_id,
    )
    return ended is not None


async def end_sessions(db: Queries, user_id: str, *, but: int | None = None) -> None:
    """End every session of a user, but perhaps one."""
    await db.execute(
        "UPDATE sessions SET ended_at = now() WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $2",
        user_id,
        but,
    )


async def find_session(db: Queries, session_id: int) -> Session | None:
    """Return a session, whoever's and however old."""
    row = await db.fetchrow(f"SELECT {_SESSION} FROM sessions s WHERE id = $1", session_id)  # noqa: S608 - constants
    return None if row is None else Session(**row)


async def list_sessions(db: Queries, user_id: str, *, limit: int, offset: int) -> tuple[Sequence[Session], int]:
    """Return one page of a user's sessions, newest first, and how many there are."""
    total: int = await db.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", user_id)
    rows = await db.fetch(
        f"SELECT {_SESSION} FROM sessions s WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",  # noqa: S608 - constants
        user_id,
        limit,
        offset,
    )
    return [Session(**row) for row in rows], total


async def find_session_key(db: Queries) -> SealedSessionKey | None:
    """Return the key that tokens are signed with, None before the first."""
    row = await db.fetchrow("SELECT id, master_key_id, wrapped_key, sealed FROM session_keys")
    return None if row is None else _key_of(row)


async def add_session_key(db: Queries, key: SealedSessionKey) -> None:
    """Keep a key when there is none; whoever is first wins."""
    await db.execute(
        """
        INSERT INTO session_keys (id, master_key_id, wrapped_key, sealed) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING
        """,
        key.id,
        key.sealed.master_key_id,
        key.sealed.wrapped_key,
        key.sealed.sealed,
    )


def _key_of(row: Row) -> SealedSessionKey:
    return SealedSessionKey(
        id=row["id"],
        sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
    )
