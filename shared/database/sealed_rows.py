"""
Every row that holds a sealed value, as the rotation of master keys sees it: which key wrapped it, and no more.

In each of the tables the value is bound to the row's id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.crypto.envelope import Sealed
from shared.database.pool import Queries

TABLES = (
    "secrets",
    "signing_keys",
    "oauth1_consumers",
    "oauth1_tokens",
    "session_keys",
    "cloud_credentials",
    "variable_sets",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRow:
    """One sealed value and where it is kept."""

    table: str
    id: str
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """How many rows of a table a master key has wrapped the data keys of."""

    table: str
    master_key_id: str
    rows: int


async def uses(db: Queries) -> list[KeyUse]:
    """Return what every master key is used for."""
    found = []
    for table in TABLES:
        rows = await db.fetch(
            f"SELECT master_key_id, count(*) AS rows FROM {table} GROUP BY master_key_id ORDER BY master_key_id"  # noqa: S608 - constants
        )
        found += [KeyUse(table=table, **row) for row in rows]
    return found


async def wrapped_by_others(db: Queries, table: str, key_id: str, *, after: str, limit: int) -> Sequence[SealedRow]:
    """Return the next rows, by id, that another master key than this has wrapped."""
    rows = await db.fetch(
        f"""
        SELECT id, master_key_id, wrapped_key, sealed FROM {_known(table)}
        WHERE master_key_id <> $1 AND id > $2 ORDER BY id LIMIT $3
        """,  # noqa: S608 - one of the constants
        key_id,
        after,
        limit,
    )
    return [
        SealedRow(
            table=table,
            id=row["id"],
            sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
        )
        for row in rows
    ]


async def rewrap(db: Queries, row: SealedRow, sealed: Sealed) -> bool:
    """Put a data key that was wrapped anew in its row; False when the row has got another value meanwhile."""
    changed = await db.fetchval(
        f"""
        UPDATE {_known(row.table)} SET master_key_id = $2, wrapped_key = $3
        WHERE id = $1 AND wrapped_key = $4 RETURNING id
        """,  # noqa: S608 - one of the constants
        row.id,
        sealed.master_key_id,
        sealed.wrapped_key,
        row.sealed.wrapped_key,
    )
    return changed is not None


def _known(table: str) -> str:
    if table not in TABLES:
        raise ValueError(f"{table} holds no sealed values")
    return table
