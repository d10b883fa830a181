"""
Keys the platform signs with: one in use, and those it has retired, whose public halves still verify.

The secret half is kept sealed (``shared.crypto.envelope``), bound to the id of its row. Who seals and opens is not
known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.crypto.envelope import Sealed
from shared.database.pool import Connection, Database, Queries, Row

MOST_SHOWN = 100
"""So many keys, the newest, are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What may be told of a key; ``retired_at`` is None for the one in use."""

    id: str
    public_key: bytes
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A key as it is kept."""

    id: str
    public_key: bytes
    sealed: Sealed


async def find_active(db: Queries) -> SealedKey | None:
    """Return the key in use, None before the first."""
    row = await db.fetchrow("SELECT * FROM signing_keys WHERE retired_at IS NULL")
    return None if row is None else _sealed_key_of(row)


async def add_active(db: Queries, key: SealedKey) -> bool:
    """Put a key in use when there is none; return False when somebody was faster."""
    added = await db.fetchval(
        """
        INSERT INTO signing_keys (id, public_key, master_key_id, wrapped_key, sealed)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id
        """,
        key.id,
        key.public_key,
        key.sealed.master_key_id,
        key.sealed.wrapped_key,
        key.sealed.sealed,
    )
    return added is not None


async def replace_active(db: Database, key: SealedKey) -> bool:
    """Retire the key in use and put another in its place; return False when somebody else just did."""

    async def work(connection: Connection) -> bool:
        await connection.execute("UPDATE signing_keys SET retired_at = now() WHERE retired_at IS NULL")
        return await add_active(connection, key)

    return await db.in_transaction(work)


async def public_keys(db: Queries) -> Sequence[PublicKey]:
    """Return the newest keys, the one in use first."""
    rows = await db.fetch(
        """
        SELECT id, public_key, created_at, retired_at FROM signing_keys
        ORDER BY retired_at DESC NULLS FIRST, id LIMIT $1
        """,
        MOST_SHOWN,
    )
    return [_public_key_of(row) for row in rows]


async def find_public(db: Queries, key_id: str) -> PublicKey | None:
    """Return a key in use or retired, by id."""
    row = await db.fetchrow("SELECT id, public_key, created_at, retired_at FROM signing_keys WHERE id = $1", key_id)
    return None if row is None else _public_key_of(row)


def _sealed_key_of(row: Row) -> SealedKey:
    return SealedKey(
        id=row["id"],
        public_key=row["public_key"],
        sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
    )


def _public_key_of(row: Row) -> PublicKey:
    return PublicKey(
        id=row["id"], public_key=row["public_key"], created_at=row["created_at"], retired_at=row["retired_at"]
    )
