"""Environments of projects, as the people of a workspace manage them. Deleting marks the row; see ``projects.py``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database import members
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.projects import Project, move_default, pass_default_on
from shared.database.slugs import free_slug, lock_slugs
from shared.database.text import storable, storable_or_none
from shared.database.workspaces import lock_workspace
from shared.domain.errors import NameTakenError
from shared.domain.ids import new_record_id
from shared.domain.plan import within_plan

_COLUMNS = "id, number, slug, name, description, is_default, created_at, updated_at, deleted_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEnvironment:
    """An environment, as it is shown within its project."""

    id: str
    number: int
    slug: str
    name: str
    description: str | None
    is_default: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnvironment:
    """An environment to be kept, with the plan's limit of how many the project may have."""

    name: str
    description: str | None
    is_default: bool
    most: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many functions a plan allows a workspace, and one project of it; None for any number."""

    account_id: str
    project_id: str
    in_workspace: int | None
    in_project: int | None


async def add_environment(db: Database, project: Project, new: NewEnvironment) -> ProjectEnvironment:
    """
    Keep an environment of a project.

    Raises:
        QuotaExceededError: the project has as many as its workspace's plan allows.
    """

    async def work(connection: Connection) -> ProjectEnvironment:
        await lock_workspace(connection, project.account_id)
        there = await connection.fetchval(
            "SELECT count(*) FROM environments WHERE project_id = $1 AND deleted_at IS NULL", project.id
        )
        within_plan(there, new.most, "environments per project")
        environment_id = new_record_id()
        await connection.execute(
            """
            INSERT INTO environments (id, account_id, project_id, slug, name, description)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            environment_id,
            project.account_id,
            project.id,
            await free_slug(connection, "environments", new.name, project.id),
            storable(new.name),
            storable_or_none(new.description),
        )
        if new.is_default or there == 0:
            await move_default(connection, "environments", "project_id", project.id, environment_id)
        return await _read(connection, environment_id)

    return await db.in_transaction(work)


async def find_environment(db: Queries, project_id: str, slug: str) -> ProjectEnvironment | None:
    """Return an environment of a project by slug."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM environments WHERE project_id = $1 AND slug = $2 AND deleted_at IS NULL",  # noqa: S608 - constants
        project_id,
        storable(slug),
    )
    return None if row is None else _environment_of(row)


async def list_environments(
    db: Queries, project_id: str, *, with_deleted: bool = False
) -> Sequence[ProjectEnvironment]:
    """Return the environments of a project, the oldest first."""
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM environments WHERE project_id = $1 AND ($2 OR deleted_at IS NULL) ORDER BY number
        """,  # noqa: S608 - constants
        project_id,
        with_deleted,
    )
    return [_environment_of(row) for row in rows]


async def update_environment(
    db: Database, project: Project, environment: ProjectEnvironment, *, name: str, slug: str, description: str | None
) -> ProjectEnvironment:
    """
    Keep what may be changed of an environment; who is narrowed to its slug follows it.

    Raises:
        NameTakenError: another environment of the project has the slug.
    """

    async def work(connection: Connection) -> ProjectEnvironment:
        await lock_slugs(connection)
        # Read now: another may have given either of them another slug since the caller looked.
        row = await connection.fetchrow(
            """
            SELECT p.slug AS project, e.slug FROM environments e JOIN projects p ON p.id = e.project_id WHERE e.id = $1
            """,
            environment.id,
        )
        assert row is not None  # neither is ever removed
        await connection.execute(
            "UPDATE environments SET name = $2, slug = $3, description = $4, updated_at = now() WHERE id = $1",
            environment.id,
            storable(name),
            slug,
            storable_or_none(description),
        )
        if slug != row["slug"]:
            old, new = f"{row['project']}/{row['slug']}", f"{row['project']}/{slug}"
            await members.rename_environment(connection, project.account_id, old, new)
        return await _read(connection, environment.id)

    try:
        return await db.in_transaction(work)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"another environment has the slug {slug}", field="slug") from error


async def set_default_environment(
    db: Database, project: Project, environment: ProjectEnvironment
) -> ProjectEnvironment:
    """Make an environment its project's default."""

    async def work(connection: Connection) -> ProjectEnvironment:
        await move_default(connection, "environments", "project_id", project.id, environment.id)
        return await _read(connection, environment.id)

    return await db.in_transaction(work)


async def delete_environment(db: Database, project: Project, environment: ProjectEnvironment) -> None:
    """Mark an environment as deleted; nobody finds it any more, what it holds stays."""

    async def work(connection: Connection) -> None:
        await lock_workspace(connection, project.account_id)
        await connection.execute(
            "UPDATE environments SET deleted_at = coalesce(deleted_at, now()), updated_at = now() WHERE id = $1",
            environment.id,
        )
        await pass_default_on(connection, "environments", "project_id", project.id)

    await db.in_transaction(work)


async def resources_of_project(db: Queries, project_id: str) -> int:
    """Return how many functions a project has, over all its environments that are there."""
    counted: int = await db.fetchval(
        """
        SELECT count(*) FROM functions f JOIN environments e ON e.id = f.environment_id
        WHERE e.project_id = $1 AND e.deleted_at IS NULL AND f.deleted_at IS NULL
        """,
        project_id,
    )
    return counted


async def resources_of_workspace(db: Queries, account_id: str) -> int:
    """Return how many functions a workspace has where somebody can still reach them."""
    counted: int = await db.fetchval(
        """
        SELECT count(*) FROM functions f JOIN environments e ON e.id = f.environment_id
            JOIN projects p ON p.id = e.project_id
        WHERE f.account_id = $1 AND f.deleted_at IS NULL AND e.deleted_at IS NULL AND p.deleted_at IS NULL
        """,
        account_id,
    )
    return counted


async def require_room(db: Queries, room: Room) -> None:
    """Let one more function be made in a project; raise ``QuotaExceededError`` where the plan allows no more."""
    if room.in_workspace is not None:
        within_plan(await resources_of_workspace(db, room.account_id), room.in_workspace, "resources")
    if room.in_project is not None:
        within_plan(await resources_of_project(db, room.project_id), room.in_project, "resources per project")


async def take_room(connection: Connection, room: Room) -> None:
    """Do the same for a function that this transaction makes: whoever makes another one waits for it."""
    if room.in_workspace is not None or room.in_project is not None:
        await lock_workspace(connection, room.account_id)
        await require_room(connection, room)


async def _read(connection: Connection, environment_id: str) -> ProjectEnvironment:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM environments WHERE id = $1", environment_id)  # noqa: S608 - constants
    assert row is not None  # environments are never removed
    return _environment_of(row)


def _environment_of(row: Row) -> ProjectEnvironment:
    return ProjectEnvironment(**row)
