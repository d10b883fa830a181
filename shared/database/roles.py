"""
Roles of an account: named sets of permissions, and who has them.

A permission is any text; what each allows is said where access is decided. Whatever changes what users may do tells
which users those are, so that nobody goes on believing otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database.pool import Connection, Database, Queries, Row
from shared.database.query import Condition, ListQuery
from shared.database.query_sql import Column, Kind, Table, Texts
from shared.database.text import storable
from shared.database.users import USERS
from shared.domain.errors import NameTakenError, NotFoundError, QuotaExceededError

MOST_PERMISSIONS = 1_000
"""So many may a role have: every call of its users carries them all."""
MOST_ROLES = 10_000
"""So many may an account have."""

_COLUMNS = "id, name, description, permissions, created_at, updated_at"

ROLES = Table(
    sql="roles",
    columns=_COLUMNS,
    noun="roles",
    owner="account_id",
    fields={
        "id": Column("id"),
        "name": Column("name"),
        "description": Column("description"),
        "permissions": Texts("permissions"),
        "permissions.name": Texts("permissions"),
        "creation_timestamp": Column("date_trunc('milliseconds', created_at)", Kind.EPOCH_MS),
        "update_timestamp": Column("date_trunc('milliseconds', updated_at)", Kind.EPOCH_MS),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role with its permissions, in the order of their names."""

    id: str
    name: str
    description: str
    permissions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """How many roles or users a statement was about, and the users whose permissions it may have changed."""

    records: int
    user_ids: tuple[str, ...]


async def list_roles(db: Queries, account_id: str, query: ListQuery) -> tuple[list[Role], int | None]:
    """Return one page of an account's roles, and how many match in all (None when not counted)."""
    rows, total = await ROLES.page(db, account_id, query)
    return [_role(row) for row in rows], total


async def find_by_name(db: Queries, account_id: str, name: str) -> Role | None:
    """Return the role of that name."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM roles WHERE account_id = $1 AND name = $2",  # noqa: S608 - constants
        account_id,
        storable(name),
    )
    return None if row is None else _role(row)


async def of_users(db: Queries, user_ids: Iterable[str]) -> dict[str, list[Role]]:
    """Return the roles of each of these users, by name; users without any are left out."""
    rows = await db.fetch(
        """
        SELECT ur.user_id, r.id, r.name, r.description, r.permissions, r.created_at, r.updated_at
        FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = ANY($1::text[])
        ORDER BY r.name, r.id
        """,
        list(user_ids),
    )
    found: dict[str, list[Role]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(_role(row))
    return found


async def add_role(db: Queries, role_id: str, account_id: str, name: str, description: str) -> Role:
    """
    Keep a role without permissions.

    Raises:
        NameTakenError: the account has a role of that name.
        QuotaExceededError: it has as many roles as it may.
    """
    try:
        row = await db.fetchrow(
            f"""
            INSERT INTO roles (id, account_id, name, description)
            SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM roles WHERE account_id = $2) < {MOST_ROLES}
            RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            role_id,
            account_id,
            storable(name),
            storable(description),
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"There is a role {name} already.") from error
    if row is None:
        raise QuotaExceededError(f"An account may have {MOST_ROLES} roles.", limit=MOST_ROLES)
    return _role(row)


async def update_role(
    db: Queries, account_id: str, role_id: str, *, name: str | None, description: str | None
) -> Role | None:
    """
    Change what is given (not None) of a role; return it, None when the account has none with that id.

    Raises:
        NameTakenError: another role of the account has that name.
    """
    try:
        row = await db.fetchrow(
            f"""
            UPDATE roles SET name = coalesce($3, name), description = coalesce($4, description), updated_at = now()
            WHERE account_id = $1 AND id = $2 RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            account_id,
            role_id,
            None if name is None else storable(name),
            None if description is None else storable(description),
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"There is a role {name} already.") from error
    return None if row is None else _role(row)


async def delete_roles(db: Queries, account_id: str, where: Condition) -> Changed:
    """Remove the roles for which the condition holds; whoever had them has them no more."""
    sql = ROLES.compiled(ListQuery(where=where), account_id)
    return _changed(
        await db.fetchrow(
            f"""
            WITH target AS (DELETE FROM roles WHERE {sql.where} RETURNING id) {_HOLDERS}
            """,  # noqa: S608 - compiled from an allow-list
            *sql.arguments[: sql.where_arguments],
        )
    )


async def add_permissions(db: Database, account_id: str, where: Condition, names: Sequence[str]) -> Changed:
    """
    Add permissions to the roles for which the condition holds.

    Raises:
        QuotaExceededError: one of them would have too many; then none is changed.
    """
    union = "SELECT DISTINCT name FROM unnest(permissions || {0}) AS names(name)"

    async def work(connection: Connection) -> Changed:
        changed, most = await _set_permissions(connection, account_id, where, union, names)
        if most > MOST_PERMISSIONS:
            raise QuotaExceededError(f"A role may have {MOST_PERMISSIONS} permissions.", limit=MOST_PERMISSIONS)
        return changed

    return await db.in_transaction(work)


async def remove_permissions(db: Queries, account_id: str, where: Condition, names: Sequence[str]) -> Changed:
    """Take permissions from the roles for which the condition holds."""
    rest = "SELECT name FROM unnest(permissions) AS names(name) WHERE name <> ALL({0})"
    return (await _set_permissions(db, account_id, where, rest, names))[0]


async def give_roles(db: Database, account_id: str, where: Condition, role_ids: Sequence[str]) -> Changed:
    """
    Give roles to the users for which the condition holds; giving one again changes nothing.

    Raises:
        NotFoundError: the account has no role with one of the ids; then nobody gets any.
    """
    sql = USERS.compiled(ListQuery(where=where), account_id)
    arguments = sql.arguments[: sql.where_arguments]

    async def work(connection: Connection) -> Changed:
        # Locked, so that none of them is removed before its holders are written down.
        known = await connection.fetch(
            "SELECT id FROM roles WHERE account_id = $1 AND id = ANY($2::text[]) FOR SHARE", account_id, list(role_ids)
        )
        unknown = sorted({*role_ids} - {row["id"] for row in known})
        if unknown:
            raise NotFoundError(f"There is no role {unknown[0]}.")
        return _changed(
            await connection.fetchrow(
                f"""
                WITH target AS (SELECT u.id FROM {USERS.sql} WHERE {sql.where}), given AS (
                    INSERT INTO user_roles (user_id, role_id)
                    SELECT target.id, role_id FROM target, unnest(${len(arguments) + 1}::text[]) AS roles(role_id)
                    ON CONFLICT DO NOTHING
                )
                SELECT count(*) AS records, coalesce(array_agg(id), '{{}}') AS user_ids FROM target
                """,  # noqa: S608 - compiled from an allow-list
                *arguments,
                list(role_ids),
            )
        )

    return await db.in_transaction(work)


async def take_roles(db: Queries, account_id: str, where: Condition, role_ids: Sequence[str]) -> Changed:
    """Take roles from the users for which the condition holds; those who have none of them stay as they are."""
    sql = USERS.compiled(ListQuery(where=where), account_id)
    arguments = sql.arguments[: sql.where_arguments]
    return _changed(
        await db.fetchrow(
            f"""
            WITH target AS (SELECT u.id FROM {USERS.sql} WHERE {sql.where}), taken AS (
                DELETE FROM user_roles WHERE role_id = ANY(${len(arguments) + 1}::text[])
                AND user_id IN (SELECT id FROM target)
            )
            SELECT count(*) AS records, coalesce(array_agg(id), '{{}}') AS user_ids FROM target
            """,  # noqa: S608 - compiled from an allow-list
            *arguments,
            list(role_ids),
        )
    )


_HOLDERS = """
    SELECT (SELECT count(*) FROM target) AS records,
           ARRAY(SELECT DISTINCT user_id FROM user_roles WHERE role_id IN (SELECT id FROM target)) AS user_ids
"""


async def _set_permissions(
    db: Queries, account_id: str, where: Condition, wanted: str, names: Sequence[str]
) -> tuple[Changed, int]:
    """Set permissions to what a query over the old ones and ``names`` gives; return the most a role has now, too."""
    sql = ROLES.compiled(ListQuery(where=where), account_id)
    arguments = sql.arguments[: sql.where_arguments]
    query = wanted.format(f"${len(arguments) + 1}::text[]")
    row = await db.fetchrow(
        f"""
        WITH target AS (
            UPDATE roles SET permissions = ARRAY({query} ORDER BY name), updated_at = now()
            WHERE {sql.where} RETURNING id, cardinality(permissions) AS size
        )
        {_HOLDERS.rstrip()}, (SELECT coalesce(max(size), 0) FROM target) AS most
        """,  # noqa: S608 - compiled from an allow-list
        *arguments,
        [storable(name) for name in names],
    )
    assert row is not None  # aggregates give one row
    return _changed(row), row["most"]


def _changed(row: Row | None) -> Changed:
    assert row is not None  # aggregates give one row
    return Changed(records=row["records"], user_ids=tuple(row["user_ids"]))


def _role(row: Row) -> Role:
    return Role(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        permissions=tuple(row["permissions"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
