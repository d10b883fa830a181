"""
What creates that were given up may have left at a cloud, until somebody has taken it away there.

A leftover is written in the transaction that frees the function's name here, so that it cannot be forgotten. While it
is there its connection cannot be deleted: nobody could get in any more.
"""

from dataclasses import dataclass

from shared.database.pool import Connection, Queries
from shared.domain.placement import LOCAL, Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A place where a function may have been left ``age_s`` seconds ago."""

    placement: Placement
    age_s: float


async def leave(connection: Connection, function_id: str) -> None:
    """Keep where a function was to be made, before its row goes; it need not have a place at a cloud."""
    await connection.execute(
        """
        INSERT INTO leftovers (function_id, connection_id, provider, cloud_account_id, region, name)
        SELECT function_id, connection_id, provider, cloud_account_id, region, name FROM placements
        WHERE function_id = $1 AND provider <> $2
        ON CONFLICT DO NOTHING
        """,
        function_id,
        LOCAL,
    )


async def due(db: Queries, limit: int) -> list[Leftover]:
    """Return what is to be looked for now, what has waited longest first."""
    rows = await db.fetch(
        """
        SELECT function_id, connection_id, provider, cloud_account_id, region, name,
            extract(epoch FROM now() - left_at)::float8 AS age_s
        FROM leftovers WHERE due_at <= now() ORDER BY due_at LIMIT $1
        """,
        limit,
    )
    return [
        Leftover(
            placement=Placement(
                function_id=row["function_id"],
                provider=row["provider"],
                connection_id=row["connection_id"],
                account_id=row["cloud_account_id"],
                region=row["region"],
                name=row["name"],
            ),
            age_s=row["age_s"],
        )
        for row in rows
    ]


async def put_off(db: Queries, function_id: str, in_s: float) -> None:
    """Have it looked for again in so many seconds."""
    await db.execute(
        "UPDATE leftovers SET due_at = now() + make_interval(secs => $2) WHERE function_id = $1", function_id, in_s
    )


async def forget(db: Queries, function_id: str) -> None:
    """Look for it no more."""
    await db.execute("DELETE FROM leftovers WHERE function_id = $1", function_id)


async def any_behind(connection: Connection, connection_id: str) -> bool:
    """Tell whether anything may have been left behind a connection."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM leftovers WHERE connection_id = $1)", connection_id
    )
    return found
