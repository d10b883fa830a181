"""
Connections of a workspace into cloud accounts, and the projects that are linked to one.

A connection is pending until somebody has been let in through it. Deleting marks the row; while a function lives at
the other end it is refused, and so is unlinking a project whose functions are there. What lets us in is sealed, in a
table of its own; it never leaves with the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.crypto.envelope import Sealed
from shared.database.leftovers import any_behind
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.text import storable
from shared.database.workspaces import lock_workspace
from shared.domain.errors import IllegalStateError, NameTakenError, NotFoundError
from shared.domain.ids import new_record_id
from shared.domain.placement import LOCAL
from shared.domain.plan import within_plan

_COLUMNS = """
    id, number, account_id, provider, status, region, name, cloud_account_id, role_arn, reason, connected_at,
    created_at, updated_at, deleted_at
"""
_WAITING = "status IN ('pending', 'failed')"
_IN_USE = "functions of a linked project are there: delete them first"
_LEFTOVERS = "what a failed deployment left there is still being taken away: try again in some minutes"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConnection:
    """
    A connection. ``status`` is pending, connected, failed (``reason`` says why) or disconnected.

    ``name`` is the workspace's own word for the account, ``cloud_account_id`` the cloud's.
    """

    id: str
    number: int
    account_id: str
    provider: str
    status: str
    region: str
    name: str | None
    cloud_account_id: str | None
    role_arn: str | None
    reason: str | None
    connected_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None

    @property
    def is_usable(self) -> bool:
        """Tell whether functions may be brought and called through it."""
        return self.status == "connected" and self.deleted_at is None


async def insert_pending(
    db: Database, *, connection_id: str, account_id: str, provider: str, region: str, sealed: Sealed
) -> CloudConnection:
    """Keep a connection that nobody has used yet; ``sealed`` is bound to its id."""

    async def work(connection: Connection) -> Row | None:
        row = await connection.fetchrow(
            f"""
            INSERT INTO cloud_connections (id, account_id, provider, status, region)
            VALUES ($1, $2, $3, 'pending', $4) RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            connection_id,
            account_id,
            provider,
            region,
        )
        await connection.execute(
            "INSERT INTO cloud_credentials (id, master_key_id, wrapped_key, sealed) VALUES ($1, $2, $3, $4)",
            connection_id,
            sealed.master_key_id,
            sealed.wrapped_key,
            sealed.sealed,
        )
        return row

    row = await db.in_transaction(work)
    assert row is not None  # an INSERT returns its row or raises
    return CloudConnection(**row)


async def ensure_local(db: Queries, account_id: str) -> CloudConnection:
    """Return the connection of a workspace to this installation itself; make it if there is none."""
    row = await db.fetchrow(
        f"""
        INSERT INTO cloud_connections (id, account_id, provider, status, region, name, cloud_account_id, connected_at)
        VALUES ($1, $2, '{LOCAL}', 'connected', '{LOCAL}', '{LOCAL}', '{LOCAL}', now())
        ON CONFLICT (account_id) WHERE provider = '{LOCAL}' AND deleted_at IS NULL
        DO UPDATE SET account_id = excluded.account_id RETURNING {_COLUMNS}
        """,  # noqa: S608 - constants
        new_record_id(),
        account_id,
    )
    assert row is not None  # inserted, or updated to what it was
    return CloudConnection(**row)


async def find_connection(db: Queries, connection_id: str) -> CloudConnection | None:
    """Return a connection, also a deleted one."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM cloud_connections WHERE id = $1", connection_id)  # noqa: S608
    return None if row is None else CloudConnection(**row)


async def find_numbered(db: Queries, account_id: str, number: int) -> CloudConnection | None:
    """Return the live connection of a workspace that has this number."""
    row = await db.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM cloud_connections WHERE account_id = $1 AND number = $2 AND deleted_at IS NULL
        """,  # noqa: S608 - constants
        account_id,
        number,
    )
    return None if row is None else CloudConnection(**row)


async def find_linked(db: Queries, project_id: str) -> CloudConnection | None:
    """Return the connection a project is linked to."""
    row = await db.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM cloud_connections WHERE id = (SELECT connection_id FROM projects WHERE id = $1)
        """,  # noqa: S608 - constants
        project_id,
    )
    return None if row is None else CloudConnection(**row)


async def find_linked_to_environment(db: Queries, environment_id: str) -> CloudConnection | None:
    """Return the connection the project of an environment is linked to."""
    row = await db.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM cloud_connections WHERE id = (
            SELECT p.connection_id FROM environments e JOIN projects p ON p.id = e.project_id WHERE e.id = $1
        )
        """,  # noqa: S608 - constants
        environment_id,
    )
    return None if row is None else CloudConnection(**row)


async def list_connections(
    db: Queries, account_id: str, *, provider: str | None = None, status: str | None = None, deleted: bool = False
) -> Sequence[CloudConnection]:
    """Return the connections of a workspace, the oldest first; None does not filter."""
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM cloud_connections
        WHERE account_id = $1 AND ($2::text IS NULL OR provider = $2) AND ($3::text IS NULL OR status = $3)
            AND ($4 OR deleted_at IS NULL)
        ORDER BY number
        """,  # noqa: S608 - constants
        account_id,
        provider,
        status,
        deleted,
    )
    return [CloudConnection(**row) for row in rows]


async def credential_of(db: Queries, connection_id: str) -> Sealed | None:
    """Return what lets us in, sealed and bound to the id of the connection."""
    row = await db.fetchrow(
        "SELECT master_key_id, wrapped_key, sealed FROM cloud_credentials WHERE id = $1", connection_id
    )
    return None if row is None else Sealed(**row)


async def complete(
    db: Database, connection_id: str, *, name: str, cloud_account_id: str, role_arn: str, most: int | None = None
) -> CloudConnection | None:
    """
    Write down that we were let in; return the connection as it is then, None when it is gone or was let in already.

    Raises:
        NameTakenError: another connection of the workspace has the name.
        QuotaExceededError: the workspace has ``most`` in use, this installation itself not counted.
    """

    async def work(connection: Connection) -> CloudConnection | None:
        if most is not None:
            account_id = await connection.fetchval(
                "SELECT account_id FROM cloud_connections WHERE id = $1", connection_id
            )
            await lock_workspace(connection, account_id)
            within_plan(await in_use(connection, account_id), most, "cloud connections")
        return await _change(
            connection,
            connection_id,
            """
            status = 'connected', connected_at = now(), reason = NULL, name = $2, cloud_account_id = $3, role_arn = $4
            """,
            storable(name),
            cloud_account_id,
            role_arn,
            only=_WAITING,
        )

    return await db.in_transaction(work)


async def in_use(db: Queries, account_id: str) -> int:
    """Count the connections of a workspace that a plan limits: those that are used, into clouds."""
    count: int = await db.fetchval(
        f"""
        SELECT count(*) FROM cloud_connections
        WHERE account_id = $1 AND status = 'connected' AND deleted_at IS NULL AND provider <> '{LOCAL}'
        """,  # noqa: S608 - constants
        account_id,
    )
    return count


async def fail(db: Queries, connection_id: str, reason: str) -> CloudConnection | None:
    """Write down why we were not let in; one that others were let in by meanwhile is left as it is."""
    return await _change(db, connection_id, "status = 'failed', reason = $2", storable(reason), only=_WAITING)


async def rename(db: Queries, connection_id: str, name: str) -> CloudConnection | None:
    """Give a connection another name; raises ``NameTakenError``."""
    return await _change(db, connection_id, "name = $2", storable(name))


async def delete_connection(db: Database, connection_id: str) -> None:
    """
    Delete a connection, unlink its projects and forget what let us in.

    Raises:
        NotFoundError: it is gone already.
        IllegalStateError: functions are at the other end.
    """

    async def work(connection: Connection) -> None:
        found = await connection.fetchval(
            "SELECT 1 FROM cloud_connections WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", connection_id
        )
        if found is None:
            raise NotFoundError("no such connection")
        if await _functions_there(connection, connection_id, None):
            raise IllegalStateError(_IN_USE)
        if await any_behind(connection, connection_id):
            raise IllegalStateError(_LEFTOVERS)
        await connection.execute("UPDATE projects SET connection_id = NULL WHERE connection_id = $1", connection_id)
        await connection.execute("DELETE FROM cloud_credentials WHERE id = $1", connection_id)
        await connection.execute(
            """
            UPDATE cloud_connections SET status = 'disconnected', deleted_at = now(), updated_at = now() WHERE id = $1
            """,
            connection_id,
        )

    await db.in_transaction(work)


async def link(db: Database, project_id: str, connection_id: str | None) -> None:
    """
    Link a project to a connection, or to none.

    Raises:
        IllegalStateError: functions of the project are at the connection it is linked to now, or the connection to
            be linked is not one that may be used.
    """

    async def work(connection: Connection) -> None:
        old = await connection.fetchval("SELECT connection_id FROM projects WHERE id = $1 FOR UPDATE", project_id)
        if old == connection_id:
            return
        if old is not None and await _functions_there(connection, old, project_id):
            raise IllegalStateError(_IN_USE)
        if connection_id is not None:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM cloud_connections WHERE id = $1 FOR SHARE",  # noqa: S608 - constants
                connection_id,
            )
            if row is None or not CloudConnection(**row).is_usable:
                raise IllegalStateError("the connection is not one that may be used")
        await connection.execute("UPDATE projects SET connection_id = $2 WHERE id = $1", project_id, connection_id)

    await db.in_transaction(work)


async def _functions_there(connection: Connection, connection_id: str, project_id: str | None) -> int:
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM placements l JOIN functions f ON f.id = l.function_id
        JOIN environments e ON e.id = f.environment_id
        WHERE l.connection_id = $1 AND l.removed_at IS NULL AND f.deleted_at IS NULL
            AND ($2::text IS NULL OR e.project_id = $2)
        """,
        connection_id,
        project_id,
    )
    return count


async def _change(
    db: Queries, connection_id: str, changes: str, *values: object, only: str = "true"
) -> CloudConnection | None:
    try:
        row = await db.fetchrow(
            f"""
            UPDATE cloud_connections SET {changes}, updated_at = now()
            WHERE id = $1 AND deleted_at IS NULL AND {only} RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            connection_id,
            *values,
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError("the workspace has a connection of that name already") from error
    return None if row is None else CloudConnection(**row)
