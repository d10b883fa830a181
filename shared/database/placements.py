"""
Where functions are at their provider, and what the cloud last said of them.

A placement is written when its function is; what is seen there is written by the deployer alone. Values of
environment variables are not kept here: they are the version's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.database.pool import Connection, Queries, Row
from shared.database.text import storable_or_none
from shared.domain.cloud_errors import NotConnectedError
from shared.domain.errors import NameTakenError
from shared.domain.placement import CloudFunction, CloudState, Placement

_COLUMNS = """
    l.function_id, l.provider, l.connection_id, l.cloud_account_id, l.region, l.name, l.arn, l.url, l.state, l.reason,
    l.facts, l.is_public, l.is_unsure, f.number, e.slug AS environment_slug, p.slug AS project_slug
"""
_JOINED = """
    placements l JOIN functions f ON f.id = l.function_id JOIN environments e ON e.id = f.environment_id
    JOIN projects p ON p.id = e.project_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """
    A placement and what was last seen there.

    ``state`` is None where nothing has been seen: on our own machines, and until a cloud has answered. ``facts`` are
    for people: ``cloud_state``, ``code_bytes``, ``last_modified``, and the configuration as the cloud had it.
    ``is_unsure`` is for a function of which nobody knows how far the last change came there.
    """

    placement: Placement
    arn: str | None = None
    url: str | None = None
    state: CloudState | None = None
    reason: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_unsure: bool = False


async def insert_placement(connection: Connection, placement: Placement) -> None:
    """
    Keep where a function of this transaction is to be.

    Raises:
        NotConnectedError: the connection is not one that may be used, or the project is not linked to it; or not any
            more.
        NameTakenError: the place has a function of that name.
    """
    linked = await connection.fetchval(
        """
        SELECT p.connection_id FROM functions f JOIN environments e ON e.id = f.environment_id
        JOIN projects p ON p.id = e.project_id WHERE f.id = $1 FOR SHARE OF p
        """,
        placement.function_id,
    )
    if linked != placement.connection_id:
        raise NotConnectedError("the project is not linked to the cloud connection any more", issue="none")
    usable = await connection.fetchval(
        "SELECT 1 FROM cloud_connections WHERE id = $1 AND status = 'connected' AND deleted_at IS NULL FOR SHARE",
        placement.connection_id,
    )
    if usable is None:
        raise NotConnectedError("the cloud connection is not active", issue="not active")
    inserted = await connection.fetchval(
        """
        INSERT INTO placements (function_id, connection_id, provider, cloud_account_id, region, name, is_public)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (provider, cloud_account_id, region, name) WHERE removed_at IS NULL DO NOTHING
        RETURNING function_id
        """,
        placement.function_id,
        placement.connection_id,
        placement.provider,
        placement.account_id,
        placement.region,
        placement.name,
        placement.is_public,
    )
    if inserted is None:
        raise NameTakenError(f"a function named {placement.name} already exists in the account in {placement.region}")


async def find_placed(db: Queries, function_id: str) -> Placed | None:
    """Return where a function is; None for one that is on our own machines and was made without a place."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM {_JOINED} WHERE l.function_id = $1", function_id)  # noqa: S608
    return None if row is None else _placed_of(row)


async def unsettled(db: Queries, older_than_s: float, limit: int) -> list[str]:
    """Return the functions whose cloud was at them when it was last asked, those asked longest ago first."""
    rows = await db.fetch(
        """
        SELECT function_id FROM placements
        WHERE state IN ('creating', 'updating') AND removed_at IS NULL
            AND looked_at < now() - make_interval(secs => $1)
        ORDER BY looked_at LIMIT $2
        """,
        older_than_s,
        limit,
    )
    return [row["function_id"] for row in rows]


async def record_seen(db: Queries, function_id: str, seen: CloudFunction) -> None:
    """Write down what a cloud says of a function."""
    await db.execute(
        """
        UPDATE placements SET arn = $2, url = $3, state = $4, reason = $5, facts = $6, looked_at = now(),
            changed_at = CASE WHEN state IS DISTINCT FROM $4 THEN now() ELSE changed_at END
        WHERE function_id = $1 AND removed_at IS NULL
        """,
        function_id,
        seen.arn,
        seen.url,
        seen.state,
        seen.reason,
        {
            "cloud_state": seen.cloud_state,
            "runtime": seen.runtime,
            "architecture": seen.architecture,
            "handler": seen.handler,
            "memory_mb": seen.memory_mb,
            "timeout_s": seen.timeout_s,
            "tmp_mb": seen.tmp_mb,
            "code_bytes": seen.code_bytes,
            "last_modified": seen.last_modified,
            "labels": dict(seen.labels),
        },
    )


async def record_gone(db: Queries, function_id: str, reason: str) -> None:
    """Write down that a cloud does not have a function any more."""
    await db.execute(
        """
        UPDATE placements SET state = 'failed', reason = $2, url = NULL, looked_at = now()
        WHERE function_id = $1 AND removed_at IS NULL
        """,
        function_id,
        reason,
    )


async def record_unseen(db: Queries, function_id: str, reason: str | None, patience_s: float) -> None:
    """
    Write down that a cloud could not be asked for a function, so that others are looked at before it.

    With a ``reason`` that will not pass by itself the function counts as failed once it is unsettled for so long.
    """
    await db.execute(
        """
        UPDATE placements SET looked_at = now(),
            state = CASE WHEN given_up THEN 'failed' ELSE state END,
            reason = CASE WHEN given_up THEN $2 ELSE reason END
        FROM (SELECT $2::text IS NOT NULL AND changed_at < now() - make_interval(secs => $3) AS given_up
              FROM placements WHERE function_id = $1) AS judged
        WHERE function_id = $1 AND removed_at IS NULL
        """,
        function_id,
        storable_or_none(reason),
        patience_s,
    )


async def record_unsure(connection: Connection, function_id: str) -> None:
    """Write down that nobody knows how far a change that was given up came, so that it is taken back."""
    await connection.execute(
        """
        UPDATE placements SET is_unsure = true, state = 'updating', changed_at = now(), looked_at = 'epoch'
        WHERE function_id = $1 AND state IS NOT NULL AND removed_at IS NULL
        """,
        function_id,
    )


async def record_sure(db: Queries, function_id: str) -> None:
    """Write down that a cloud has of a function what it is to have."""
    await db.execute("UPDATE placements SET is_unsure = false WHERE function_id = $1 AND is_unsure", function_id)


async def record_removed(db: Queries, function_id: str) -> None:
    """Write down that a function was taken away, so that its name there is free."""
    await db.execute("UPDATE placements SET removed_at = now(), url = NULL WHERE function_id = $1", function_id)


def _placed_of(row: Row) -> Placed:
    placement = Placement(
        function_id=row["function_id"],
        provider=row["provider"],
        connection_id=row["connection_id"],
        account_id=row["cloud_account_id"],
        region=row["region"],
        name=row["name"],
        is_public=row["is_public"],
        labels={
            "gateways:project": row["project_slug"],
            "gateways:environment": row["environment_slug"],
            "gateways:resource-id": str(row["number"]),
        },
    )
    return Placed(
        placement=placement,
        arn=row["arn"],
        url=row["url"],
        state=None if row["state"] is None else CloudState(row["state"]),
        reason=row["reason"],
        facts=row["facts"],
        is_unsure=row["is_unsure"],
    )
