"""
Functions and their versions.

A function that has never been deployed has no version and is not found by anything here: it is a name that a
deployment holds (``deployments.py``). A deleted one keeps its row, so that its records keep their meaning, but
its name is free again. Every change raises the revision by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import asyncpg

from shared.crypto.receipts import code_hash
from shared.database import variables
from shared.database.pool import Connection, Queries, Row
from shared.database.text import storable, storable_or_none
from shared.domain.errors import NameTakenError
from shared.domain.function import (
    Convention,
    Function,
    FunctionStats,
    FunctionStatus,
    FunctionVersion,
    PermissionMode,
    RetryPolicy,
    VersionSpec,
)
from shared.domain.ids import new_record_id
from shared.domain.states import FUNCTION, sources

_COLUMNS = """
    f.id, f.account_id, f.environment_id, f.name, f.description, f.status, f.enabled, f.provider, f.tags,
    f.permission_mode, f.default_priority, f.retry_enabled, f.retry_errors, f.locked_variables, f.revision,
    f.created_at, f.updated_at, v.id AS version_id, v.number, v.runtime, v.convention, v.handler, v.timeout_s,
    v.memory_mb, v.tmp_mb, v.environment, v.variables_id, v.secrets, v.architecture, v.package_sha256, v.code_hash,
    v.created_at AS version_created_at,
    EXISTS (
        SELECT 1 FROM placements l JOIN environments e ON e.id = f.environment_id
            JOIN projects p ON p.id = e.project_id JOIN accounts a ON a.id = p.account_id
        WHERE l.function_id = f.id AND e.deleted_at IS NULL AND p.deleted_at IS NULL AND a.deleted_at IS NULL
    ) AS has_url
"""
_JOINED = "functions f JOIN function_versions v ON v.id = f.active_version_id"


class FunctionSort(StrEnum):
    """By what a list of functions may be ordered; ties are broken by id."""

    CREATED_AT = "created_at"
    NAME = "name"
    UPDATED_AT = "updated_at"


class Order(StrEnum):
    """Which way a list runs."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFilter:
    """Which functions of an environment to list; None does not filter. ``tag`` is matched whole and as it is."""

    tag: str | None = None
    runtimes: Sequence[str] | None = None
    enabled: bool | None = None
    convention: Convention | None = None
    sort: FunctionSort = FunctionSort.CREATED_AT
    order: Order = Order.DESCENDING
    limit: int = 10
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """
    What applies at once, without a new version; None leaves a setting as it is.

    Stored with a deployment when it comes together with new code: then it applies when the code does.
    """

    description: str | None = None
    enabled: bool | None = None
    tags: tuple[str, ...] | None = None
    permission_mode: PermissionMode | None = None
    default_priority: int | None = None
    retry_policy: RetryPolicy | None = None
    name: str | None = None
    locked_variables: tuple[str, ...] | None = None
    """Environment variables whose values are not shown."""
    position_x: float | None = None
    position_y: float | None = None
    made_by: str | None = None
    """The user who makes the function: given once."""


async def find_function(db: Queries, function_id: str) -> Function | None:
    """Return a function with its active version."""
    return await _one(db, "f.id = $1", function_id)


async def find_by_name(db: Queries, environment_id: str, name: str) -> Function | None:
    """Return the function that has the name in the environment now."""
    return await _one(db, "f.environment_id = $1 AND f.name = $2", environment_id, storable(name))


async def provider_of(db: Queries, function_id: str) -> str | None:
    """Return the provider of a function, of one that is still being made too."""
    provider: str | None = await db.fetchval("SELECT provider FROM functions WHERE id = $1", function_id)
    return provider


async def get_source(db: Queries, version_id: str) -> str | None:
    """Return the source text of a version that was given as text."""
    source: str | None = await db.fetchval("SELECT source FROM function_versions WHERE id = $1", version_id)
    return source


async def count_functions(db: Queries, account_id: str) -> int:
    """Count an account's functions, those being created included."""
    count: int = await db.fetchval(
        "SELECT count(*) FROM functions WHERE account_id = $1 AND deleted_at IS NULL", account_id
    )
    return count


async def list_functions(
    db: Queries, environment_id: str, wanted: FunctionFilter
) -> tuple[list[tuple[Function, datetime | None]], int]:
    """Return one page of functions, each with the start of its newest run; and how many match in all."""
    arguments: list[object] = [environment_id]
    conditions = ["f.environment_id = $1", "f.deleted_at IS NULL"]
    for condition, value in (
        ("f.tags @> ARRAY[${}::text]", wanted.tag),
        ("v.runtime = ANY(${}::text[])", wanted.runtimes),
        ("f.enabled = ${}", wanted.enabled),
        ("v.convention = ${}", wanted.convention),
    ):
        if value is not None:
            arguments.append(storable(value) if isinstance(value, str) else value)
            conditions.append(condition.format(len(arguments)))
    where = " AND ".join(conditions)
    total: int = await db.fetchval(
        f"SELECT count(*) FROM {_JOINED} WHERE {where}",  # noqa: S608 - built from constants
        *arguments,
    )
    # The page is cut before the newest run is looked up, so that it is looked up for the page alone.
    rows = await db.fetch(
        f"""
        WITH page AS MATERIALIZED (
            SELECT {_COLUMNS} FROM {_JOINED} WHERE {where}
            ORDER BY f.{wanted.sort.value} {wanted.order.value}, f.id {wanted.order.value}
            LIMIT {int(wanted.limit)} OFFSET {int(wanted.offset)}
        )
        SELECT page.*, {_newest_run("page.id")} AS last_invocation
        FROM page ORDER BY page.{wanted.sort.value} {wanted.order.value}, page.id {wanted.order.value}
        """,  # noqa: S608 - built from constants, enumerations and integers
        *arguments,
    )
    found = await _opened(db, [function_of(row) for row in rows])
    return [(function, row["last_invocation"]) for function, row in zip(found, rows, strict=True)], total


async def function_stats(db: Queries, function_id: str) -> FunctionStats:
    """Return a function's counts; those of its whole life outlive its records."""
    row = await db.fetchrow(
        f"""
        SELECT coalesce(sum(completed), 0)::bigint AS completed,
               coalesce(sum(failed), 0)::bigint AS failed,
               coalesce(sum(duration_ms_sum) / nullif(sum(completed) + sum(failed), 0), 0) AS mean_ms,
               (SELECT count(*) FROM executions
                WHERE function_id = $1 AND status IN ('completed', 'failed')
                  AND began_at > now() - interval '24 hours') AS last_24_hours,
               {_newest_run("$1")} AS last_invocation
        FROM function_stats WHERE function_id = $1
        """,  # noqa: S608 - built from constants
        function_id,
    )
    assert row is not None  # an aggregate without groups has one row
    return FunctionStats(
        completed=row["completed"],
        failed=row["failed"],
        last_24_hours=row["last_24_hours"],
        mean_duration_ms=round(row["mean_ms"]),
        last_invocation=row["last_invocation"],
    )


async def update_settings(db: Queries, function_id: str, settings: FunctionSettings) -> Function | None:
    """
    Change settings that need no new version; return the function as it is then.

    Raises:
        NameTakenError: another function of the environment has the new name.
    """
    assignments, arguments = settings_assignments(settings, first=2)
    try:
        await db.execute(
            f"""
            UPDATE functions SET revision = revision + 1, updated_at = now(){assignments}
            WHERE id = $1 AND deleted_at IS NULL AND active_version_id IS NOT NULL
            """,  # noqa: S608 - built from constants
            function_id,
            *arguments,
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"another function is called {settings.name}") from error
    return await find_function(db, function_id)


async def set_enabled(db: Queries, function_id: str, *, enabled: bool) -> Function | None:
    """Let a function be called, or not; return it as it is then."""
    return await update_settings(db, function_id, FunctionSettings(enabled=enabled))


async def delete_function(db: Queries, function_id: str) -> Function | None:
    """
    Delete a function: it is not found any more, its name is free, its connections to others go, its records stay.

    Return it as it was, with the revision and the status it has now; None when there is none to delete.
    """
    row = await db.fetchrow(
        f"""
        WITH deleted AS (
            UPDATE functions SET status = 'deleted', deleted_at = now(), updated_at = now(), revision = revision + 1
            WHERE id = $1 AND status = ANY($2::text[]) AND active_version_id IS NOT NULL
            RETURNING *
        ), left_free AS (
            UPDATE placements SET removed_at = now(), url = NULL WHERE function_id IN (SELECT id FROM deleted)
        ), unlinked AS (
            DELETE FROM resource_connections c USING deleted d WHERE c.environment_id = d.environment_id AND (
                (c.source_type = 'function' AND c.source_number = d.number)
                OR (c.target_type = 'function' AND c.target_number = d.number))
        )
        SELECT {_COLUMNS} FROM deleted f JOIN function_versions v ON v.id = f.active_version_id
        """,  # noqa: S608 - built from constants
        function_id,
        sources(FUNCTION, "deleted"),
    )
    return None if row is None else function_of(row)


async def insert_version(
    connection: Connection, function_id: str, spec: VersionSpec, package_sha256: str, source: str | None
) -> str:
    """Keep a new version of a function, its variables sealed already if they can be; return its id."""
    version_id = new_record_id()
    text = storable_or_none(source)
    await connection.execute(
        """
        INSERT INTO function_versions (id, function_id, number, runtime, convention, handler, timeout_s, memory_mb,
                                       tmp_mb, environment, secrets, package_sha256, source, code_hash, architecture,
                                       variables_id)
        SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
        FROM function_versions WHERE function_id = $2
        """,
        version_id,
        function_id,
        spec.runtime,
        spec.convention,
        storable(spec.handler),
        spec.timeout_s,
        spec.memory_mb,
        spec.tmp_mb,
        dict(spec.environment),
        [storable(name) for name in spec.secrets],
        package_sha256,
        text,
        code_hash(text, package_sha256),
        spec.architecture,
        spec.variables_id,
    )
    return version_id


def settings_assignments(settings: FunctionSettings, *, first: int) -> tuple[str, list[object]]:
    """Return ``, column = $n`` for each setting given, from parameter ``first`` on, and the values."""
    retry = settings.retry_policy
    given: dict[str, object] = {
        "description": None if settings.description is None else storable(settings.description),
        "enabled": settings.enabled,
        "tags": None if settings.tags is None else [storable(tag) for tag in settings.tags],
        "permission_mode": settings.permission_mode,
        "default_priority": settings.default_priority,
        "retry_enabled": None if retry is None else retry.enabled,
        "retry_errors": None if retry is None else [storable(name) for name in retry.errors_to_retry],
        "name": None if settings.name is None else storable(settings.name),
        "locked_variables": None if settings.locked_variables is None else list(settings.locked_variables),
        "position_x": settings.position_x,
        "position_y": settings.position_y,
        "made_by": settings.made_by,
    }
    changed = {column: value for column, value in given.items() if value is not None}
    text = "".join(f", {column} = ${number}" for number, column in enumerate(changed, first))
    return text, list(changed.values())


def function_of(row: Row) -> Function:
    """Return the function of a row that has the columns of both tables."""
    spec = VersionSpec(
        runtime=row["runtime"],
        convention=Convention(row["convention"]),
        handler=row["handler"],
        timeout_s=row["timeout_s"],
        memory_mb=row["memory_mb"],
        tmp_mb=row["tmp_mb"],
        environment=row["environment"],
        secrets=tuple(row["secrets"]),
        architecture=row["architecture"],
        variables_id=row["variables_id"],
    )
    return Function(
        id=row["id"],
        account_id=row["account_id"],
        environment_id=row["environment_id"],
        name=row["name"],
        description=row["description"],
        status=FunctionStatus(row["status"]),
        enabled=row["enabled"],
        provider=row["provider"],
        tags=tuple(row["tags"]),
        permission_mode=PermissionMode(row["permission_mode"]),
        default_priority=row["default_priority"],
        retry_policy=RetryPolicy(enabled=row["retry_enabled"], errors_to_retry=tuple(row["retry_errors"])),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=FunctionVersion(
            id=row["version_id"],
            number=row["number"],
            spec=spec,
            package_sha256=row["package_sha256"],
            code_hash=row["code_hash"],
            created_at=row["version_created_at"],
        ),
        has_url=row["has_url"],
        locked_variables=tuple(row["locked_variables"]),
    )


async def _one(db: Queries, condition: str, *arguments: object) -> Function | None:
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM {_JOINED} WHERE {condition} AND f.deleted_at IS NULL",  # noqa: S608 - constants
        *arguments,
    )
    return None if row is None else (await _opened(db, [function_of(row)]))[0]


async def _opened(db: Queries, found: Sequence[Function]) -> list[Function]:
    """Return functions with their environment variables in the clear, where this process may open them."""
    specs = await variables.opened(db, [function.version.spec for function in found])
    return [
        replace(function, version=replace(function.version, spec=spec))
        for function, spec in zip(found, specs, strict=True)
    ]


def _newest_run(function_id: str) -> str:
    """Return SQL for the start of a function's newest run: of those settled, or of those going on."""
    return f"""greatest(
        (SELECT max(last_started_at) FROM function_stats WHERE function_id = {function_id}),
        (SELECT max(started_at) FROM executions WHERE function_id = {function_id} AND status = 'running')
    )"""  # noqa: S608 - built from constants
