"""
Keys that people make for their programs: each acts as its user. Found by SHA-256; the plain ones are never stored.

One that was revoked keeps its row, and counts no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.database.people import PERSON_COLUMNS, Person, person_of
from shared.database.pool import Connection, Database, Queries
from shared.database.text import storable_or_none
from shared.domain.errors import QuotaExceededError

_COLUMNS = "id, name, prefix, last_used_at, created_at"
_NOTED_EVERY = "interval '1 minute'"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalKey:
    """What a user is told of one of their keys."""

    id: int
    name: str | None
    prefix: str
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPersonalKey:
    """A key to be kept: its digest, and its first characters to tell it by."""

    user_id: str
    name: str | None
    prefix: str
    sha256: str


async def add_key(db: Database, new: NewPersonalKey, *, most: int) -> PersonalKey:
    """
    Keep a key.

    Raises:
        QuotaExceededError: ``most`` keys of the user count already.
    """

    async def work(connection: Connection) -> PersonalKey:
        await connection.execute("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", new.user_id)
        counting = await connection.fetchval(
            "SELECT count(*) FROM personal_keys WHERE user_id = $1 AND revoked_at IS NULL", new.user_id
        )
        if counting >= most:
            raise QuotaExceededError(f"a user may have at most {most} API keys", limit=most, maxKeys=most)
        row = await connection.fetchrow(
            f"""
            INSERT INTO personal_keys (user_id, name, prefix, sha256) VALUES ($1, $2, $3, $4) RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            new.user_id,
            storable_or_none(new.name),
            new.prefix,
            new.sha256,
        )
        assert row is not None
        return PersonalKey(**row)

    return await db.in_transaction(work)


async def list_keys(db: Queries, user_id: str) -> Sequence[PersonalKey]:
    """Return the keys of a user that count, newest first."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM personal_keys WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id DESC",  # noqa: S608 - constants
        user_id,
    )
    return [PersonalKey(**row) for row in rows]


async def revoke_key(db: Queries, user_id: str, key_id: int) -> bool:
    """Let a key of a user count no more; False when none such does."""
    revoked = await db.fetchval(
        """
        UPDATE personal_keys SET revoked_at = now()
        WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING id
        """,
        user_id,
        key_id,
    )
    return revoked is not None


async def use_key(db: Queries, sha256: str) -> Person | None:
    """Return whose key it is; None when it counts for nothing. Notes that it was used."""
    row = await db.fetchrow(
        f"""
        SELECT k.id AS key_id, coalesce(k.last_used_at < now() - {_NOTED_EVERY}, true) AS is_stale, {PERSON_COLUMNS}
        FROM personal_keys k JOIN users u ON u.id = k.user_id
        WHERE k.sha256 = $1 AND k.revoked_at IS NULL AND u.activation
        """,  # noqa: S608 - constants
        sha256,
    )
    if row is None:
        return None
    if row["is_stale"]:
        await db.execute("UPDATE personal_keys SET last_used_at = now() WHERE id = $1", row["key_id"])
    return person_of(row)
