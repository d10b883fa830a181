"""
What is connected to what in an environment: said by people, kept for them.

A resource is named by its kind and its number. Connections of a function go when it is deleted
(``functions.delete_function``); there is one at most from a resource to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from shared.database.pool import Queries, Row
from shared.database.text import storable, storable_or_none
from shared.domain.errors import NameTakenError

_COLUMNS = """
    c.number, c.source_type, c.source_number, c.target_type, c.target_number, c.status, c.details, c.reason,
    c.created_at, c.updated_at, u.number AS user_number
"""
_JOINED = "resource_connections c LEFT JOIN users u ON u.id = c.user_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One end of a connection."""

    type: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceConnection:
    """A connection. ``status`` is one of ``shared.domain.resource_connection``; ``reason`` says why it failed."""

    number: int
    source: Resource
    target: Resource
    status: str
    details: Mapping[str, Any] | None
    reason: str | None
    user_number: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFilter:
    """Which connections of an environment to list; None does not filter. ``either_end`` is the one or the other end."""

    source_type: str | None = None
    source_number: int | None = None
    target_type: str | None = None
    target_number: int | None = None
    status: str | None = None
    either_end: Resource | None = None


async def insert_connection(
    db: Queries,
    environment_id: str,
    user_id: str,
    source: Resource,
    target: Resource,
    details: Mapping[str, Any] | None,
) -> ResourceConnection:
    """Keep a connection; raise ``NameTakenError`` when the two are connected already."""
    try:
        number = await db.fetchval(
            """
            INSERT INTO resource_connections
                (environment_id, user_id, source_type, source_number, target_type, target_number, details)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING number
            """,
            environment_id,
            user_id,
            source.type,
            source.number,
            target.type,
            target.number,
            details,
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError("these two resources are connected already") from error
    made = await find_connection(db, environment_id, number)
    assert made is not None  # just inserted
    return made


async def find_connection(db: Queries, environment_id: str, number: int) -> ResourceConnection | None:
    """Return a connection of an environment."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM {_JOINED} WHERE c.environment_id = $1 AND c.number = $2",  # noqa: S608 - constants
        environment_id,
        number,
    )
    return None if row is None else _connection_of(row)


async def list_connections(db: Queries, environment_id: str, wanted: ConnectionFilter) -> Sequence[ResourceConnection]:
    """Return the connections of an environment, the oldest first."""
    end = wanted.either_end
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM {_JOINED}
        WHERE c.environment_id = $1
            AND ($2::text IS NULL OR c.source_type = $2) AND ($3::bigint IS NULL OR c.source_number = $3)
            AND ($4::text IS NULL OR c.target_type = $4) AND ($5::bigint IS NULL OR c.target_number = $5)
            AND ($6::text IS NULL OR c.status = $6)
            AND ($7::text IS NULL OR (c.source_type = $7 AND c.source_number = $8)
                 OR (c.target_type = $7 AND c.target_number = $8))
        ORDER BY c.number
        """,  # noqa: S608 - constants
        environment_id,
        storable_or_none(wanted.source_type),
        wanted.source_number,
        storable_or_none(wanted.target_type),
        wanted.target_number,
        wanted.status,
        None if end is None else end.type,
        None if end is None else end.number,
    )
    return [_connection_of(row) for row in rows]


async def update_connection(
    db: Queries,
    environment_id: str,
    number: int,
    *,
    status: str | None,
    details: Mapping[str, Any] | None,
    reason: str | None,
) -> ResourceConnection | None:
    """Change what is given; None leaves it, but a status other than failed clears the reason."""
    await db.execute(
        """
        UPDATE resource_connections SET status = coalesce($3, status), details = coalesce($4, details),
            reason = CASE WHEN coalesce($3, status) = 'failed' THEN coalesce($5, reason) END, updated_at = now()
        WHERE environment_id = $1 AND number = $2
        """,
        environment_id,
        number,
        status,
        details,
        None if reason is None else storable(reason),
    )
    return await find_connection(db, environment_id, number)


async def delete_connection(db: Queries, environment_id: str, number: int) -> bool:
    """Delete a connection; return whether there was one."""
    deleted = await db.fetchval(
        "DELETE FROM resource_connections WHERE environment_id = $1 AND number = $2 RETURNING number",
        environment_id,
        number,
    )
    return deleted is not None


async def holds_function(db: Queries, environment_id: str, number: int) -> bool:
    """Tell whether an environment has a function of that number."""
    found = await db.fetchval(
        "SELECT 1 FROM functions WHERE environment_id = $1 AND number = $2 AND deleted_at IS NULL",
        environment_id,
        number,
    )
    return found is not None


def _connection_of(row: Row) -> ResourceConnection:
    return ResourceConnection(
        number=row["number"],
        source=Resource(type=row["source_type"], number=row["source_number"]),
        target=Resource(type=row["target_type"], number=row["target_number"]),
        status=row["status"],
        details=row["details"],
        reason=row["reason"],
        user_number=row["user_number"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
