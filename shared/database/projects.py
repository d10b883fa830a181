"""
Projects and their environments, as the people of a workspace manage them.

Deleting marks the row; its slug stays its own. The default of a workspace or a project passes to the oldest that
is left; the last one keeps it, so that there always is one. Plan limits are counted under a lock on the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database import cloud_connections, members
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.slugs import free_slug, lock_slugs
from shared.database.text import storable, storable_or_none
from shared.database.workspaces import Workspace, lock_workspace, membership_of
from shared.domain.errors import NameTakenError
from shared.domain.ids import new_record_id
from shared.domain.plan import within_plan
from shared.domain.workspace import Membership

_PROJECT = """
    p.id, p.number, p.account_id, p.slug, p.name, p.description, p.is_default, p.created_at, p.updated_at, p.deleted_at,
    (SELECT u.number FROM users u WHERE u.id = p.user_id) AS user_number, a.number AS workspace_number,
    a.slug AS workspace_slug, a.name AS workspace_name, a.plan,
    (SELECT jsonb_build_object('number', c.number, 'provider', c.provider, 'region', c.region, 'name', c.name,
                               'cloud_account_id', c.cloud_account_id, 'role_arn', c.role_arn)
     FROM cloud_connections c WHERE c.id = p.connection_id) AS linked
"""
_FIRST_ENVIRONMENT = "master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What is told of the connection a project is linked to: see ``cloud_connections.CloudConnection``."""

    number: int
    provider: str
    region: str
    name: str | None
    cloud_account_id: str | None
    role_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project and what is asked of its workspace with it; ``user_number`` is who made it, if a person did."""

    id: str
    number: int
    account_id: str
    slug: str
    name: str
    description: str | None
    is_default: bool
    user_number: int | None
    workspace_number: int
    workspace_slug: str
    workspace_name: str
    plan: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    linked: Linked | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """A project to be kept, with the plan's limit of how many there may be."""

    name: str
    description: str | None
    user_id: str
    most: int | None


async def add_project(db: Database, workspace: Workspace, new: NewProject) -> Project:
    """
    Keep a project with its first environment.

    The first of its workspace is the default one, and linked to this installation itself.

    Raises:
        QuotaExceededError: the workspace has as many as its plan allows; the fields say how many.
    """

    async def work(connection: Connection) -> Project:
        await lock_workspace(connection, workspace.id)
        there = await connection.fetchval(
            "SELECT count(*) FROM projects WHERE account_id = $1 AND deleted_at IS NULL", workspace.id
        )
        within_plan(there, new.most, "projects")
        project_id, home = new_record_id(), None
        if there == 0:
            home = await cloud_connections.ensure_local(connection, workspace.id)
            await connection.execute(
                "UPDATE projects SET is_default = false WHERE account_id = $1 AND is_default", workspace.id
            )
        await connection.execute(
            """
            INSERT INTO projects (id, account_id, slug, name, description, user_id, is_default, connection_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            project_id,
            workspace.id,
            await free_slug(connection, "projects", new.name),
            storable(new.name),
            storable_or_none(new.description),
            new.user_id,
            there == 0,
            None if home is None else home.id,
        )
        await connection.execute(
            """
            INSERT INTO environments (id, account_id, project_id, slug, name, is_default)
            VALUES ($1, $2, $3, $4, $4, true)
            """,
            new_record_id(),
            workspace.id,
            project_id,
            _FIRST_ENVIRONMENT,
        )
        return await _read(connection, project_id)

    return await db.in_transaction(work)


async def find_project(db: Queries, slug: str, user_id: str) -> tuple[Project, Membership | None] | None:
    """Return a project by slug, and what the user is in its workspace; None when there is none."""
    row = await db.fetchrow(
        f"""
        SELECT {_PROJECT}, m.role, m.project_permissions
        FROM projects p JOIN accounts a ON a.id = p.account_id
        LEFT JOIN members m ON m.account_id = a.id AND m.user_id = $2
        WHERE p.slug = $1 AND p.deleted_at IS NULL AND a.deleted_at IS NULL
        """,  # noqa: S608 - constants
        storable(slug),
        user_id,
    )
    return None if row is None else (_project_of(row), membership_of(row))


async def list_projects(
    db: Queries, user_id: str, *, account_id: str | None = None, with_deleted: bool = False
) -> Sequence[Project]:
    """Return the projects a user may see, of one workspace or of all of theirs, the oldest first."""
    rows = await db.fetch(
        f"""
        SELECT {_PROJECT}, m.role, m.project_permissions
        FROM members m JOIN accounts a ON a.id = m.account_id JOIN projects p ON p.account_id = a.id
        WHERE m.user_id = $1 AND ($2::text IS NULL OR a.id = $2) AND ($3 OR p.deleted_at IS NULL)
              AND a.deleted_at IS NULL
        ORDER BY p.number
        """,  # noqa: S608 - constants
        user_id,
        account_id,
        with_deleted,
    )
    seen = ((row, membership_of(row)) for row in rows)
    return [_project_of(row) for row, member in seen if member is not None and member.may_be_in(row["slug"])]


async def update_project(db: Database, project: Project, *, name: str, slug: str, description: str | None) -> Project:
    """
    Keep what may be changed of a project; who is narrowed to its slug follows it.

    Raises:
        NameTakenError: another project has the slug.
    """

    async def work(connection: Connection) -> Project:
        await lock_slugs(connection)
        # Read now: another may have given it another slug since the caller looked.
        old = await connection.fetchval("SELECT slug FROM projects WHERE id = $1", project.id)
        await connection.execute(
            "UPDATE projects SET name = $2, slug = $3, description = $4, updated_at = now() WHERE id = $1",
            project.id,
            storable(name),
            slug,
            storable_or_none(description),
        )
        if slug != old:
            await members.rename_project(connection, project.account_id, old, slug)
        return await _read(connection, project.id)

    try:
        return await db.in_transaction(work)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"another project has the slug {slug}", field="slug") from error


async def set_default_project(db: Database, project: Project) -> Project:
    """Make a project its workspace's default."""

    async def work(connection: Connection) -> Project:
        await move_default(connection, "projects", "account_id", project.account_id, project.id)
        return await _read(connection, project.id)

    return await db.in_transaction(work)


async def delete_project(db: Database, project: Project) -> None:
    """Mark a project as deleted; nobody finds it any more, what it holds stays."""

    async def work(connection: Connection) -> None:
        await lock_workspace(connection, project.account_id)
        await connection.execute(
            "UPDATE projects SET deleted_at = coalesce(deleted_at, now()), updated_at = now() WHERE id = $1", project.id
        )
        await pass_default_on(connection, "projects", "account_id", project.account_id)

    await db.in_transaction(work)


async def pass_default_on(connection: Connection, table: str, column: str, owner_id: str) -> None:
    """If the default is deleted, let the oldest that is left be it; the last keeps it."""
    heir = await connection.fetchval(
        f"""
        SELECT id FROM {table} WHERE {column} = $1 AND deleted_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM {table} WHERE {column} = $1 AND is_default AND deleted_at IS NULL)
        ORDER BY number LIMIT 1
        """,  # noqa: S608 - constants
        owner_id,
    )
    if heir is not None:
        await move_default(connection, table, column, owner_id, heir)


async def move_default(connection: Connection, table: str, column: str, owner_id: str, new_id: str) -> None:
    """Make a row of ``table`` the default of its owner, which ``column`` names."""
    # Two statements: the index of defaults is looked at row by row.
    await connection.execute(
        f"UPDATE {table} SET is_default = false WHERE {column} = $1 AND is_default AND id <> $2",  # noqa: S608 - constants
        owner_id,
        new_id,
    )
    await connection.execute(
        f"UPDATE {table} SET is_default = true, updated_at = now() WHERE id = $1 AND NOT is_default",  # noqa: S608 - constants
        new_id,
    )


async def _read(connection: Connection, project_id: str) -> Project:
    row = await connection.fetchrow(
        f"SELECT {_PROJECT} FROM projects p JOIN accounts a ON a.id = p.account_id WHERE p.id = $1",  # noqa: S608 - constants
        project_id,
    )
    assert row is not None  # projects are never removed
    return _project_of(row)


def _project_of(row: Row) -> Project:
    linked = row["linked"]
    columns = {name: row[name] for name in Project.__slots__ if name != "linked"}
    return Project(**columns, linked=None if linked is None else Linked(**linked))
