"""
Accounts as workspaces: named, found by slug, with the membership of whoever asks.

A deleted workspace keeps its row and its slug, and is found by nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database.pool import Connection, Database, Queries, Row
from shared.database.slugs import free_slug, lock_slugs
from shared.database.text import storable, storable_or_none
from shared.domain.errors import NameTakenError
from shared.domain.ids import new_record_id
from shared.domain.workspace import Membership, Role

_COLUMNS = "a.id, a.number, a.slug, a.name, a.description, a.plan, a.created_at, a.updated_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace; ``plan`` is the slug of its pricing plan."""

    id: str
    number: int
    slug: str
    name: str
    description: str | None
    plan: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A workspace, and what somebody is in it since when."""

    workspace: Workspace
    membership: Membership
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    """A workspace to be kept."""

    name: str
    description: str | None
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of each thing a workspace has."""

    projects: int
    environments: int
    resources: int
    cloud_connections: int
    members: int


async def insert_workspace(connection: Connection, new: NewWorkspace) -> Workspace:
    """Keep a workspace, with a slug of its own; nobody is a member yet."""
    row = await connection.fetchrow(
        f"""
        INSERT INTO accounts AS a (id, name, slug, description, plan) VALUES ($1, $2, $3, $4, $5) RETURNING {_COLUMNS}
        """,  # noqa: S608 - constants
        new_record_id(),
        storable(new.name),
        await free_slug(connection, "accounts", new.name),
        storable_or_none(new.description),
        new.plan,
    )
    assert row is not None
    return Workspace(**row)


async def add_member(db: Queries, account_id: str, user_id: str, membership: Membership) -> bool:
    """Make a user a member; False when they are one already."""
    added = await db.fetchval(
        """
        INSERT INTO members (account_id, user_id, role, project_permissions) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        account_id,
        user_id,
        membership.role,
        None if membership.places is None else list(membership.places),
    )
    return added is not None


async def find_workspace(db: Queries, slug: str, user_id: str) -> tuple[Workspace, Membership | None] | None:
    """Return a workspace by slug, and what the user is in it; None when there is none."""
    row = await db.fetchrow(
        f"""
        SELECT {_COLUMNS}, m.role, m.project_permissions
        FROM accounts a LEFT JOIN members m ON m.account_id = a.id AND m.user_id = $2
        WHERE a.slug = $1 AND a.deleted_at IS NULL
        """,  # noqa: S608 - constants
        storable(slug),
        user_id,
    )
    return None if row is None else (workspace_of(row), membership_of(row))


async def workspaces_of(db: Queries, user_id: str) -> Sequence[Joined]:
    """Return the workspaces a user is a member of, the oldest membership first."""
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS}, m.role, m.project_permissions, m.joined_at
        FROM members m JOIN accounts a ON a.id = m.account_id
        WHERE m.user_id = $1 AND a.deleted_at IS NULL ORDER BY m.joined_at, m.id
        """,  # noqa: S608 - constants
        user_id,
    )
    found = []
    for row in rows:
        membership = membership_of(row)
        assert membership is not None  # joined
        found.append(Joined(workspace=workspace_of(row), membership=membership, joined_at=row["joined_at"]))
    return found


async def update_workspace(db: Database, workspace: Workspace) -> Workspace:
    """
    Keep a workspace's name, slug and description as they are here.

    Raises:
        NameTakenError: another workspace has the slug.
    """

    async def work(connection: Connection) -> Row | None:
        await lock_slugs(connection)
        return await connection.fetchrow(
            f"""
            UPDATE accounts a SET name = $2, slug = $3, description = $4, updated_at = now()
            WHERE id = $1 RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            workspace.id,
            storable(workspace.name),
            workspace.slug,
            storable_or_none(workspace.description),
        )

    try:
        row = await db.in_transaction(work)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(f"another workspace has the slug {workspace.slug}", field="slug") from error
    assert row is not None  # accounts are never removed
    return Workspace(**row)


async def set_plan(db: Queries, slug: str, plan: str) -> bool:
    """Give a workspace another pricing plan; False when there is none with that slug."""
    changed = await db.fetchval(
        "UPDATE accounts SET plan = $2, updated_at = now() WHERE slug = $1 AND deleted_at IS NULL RETURNING id",
        storable(slug),
        plan,
    )
    return changed is not None


async def delete_workspace(connection: Connection, workspace_id: str) -> None:
    """Let a workspace be found by nobody; whoever opened it first opens their oldest other one."""
    await connection.execute(
        "UPDATE accounts SET deleted_at = coalesce(deleted_at, now()), updated_at = now() WHERE id = $1", workspace_id
    )
    await connection.execute(
        """
        UPDATE users u SET default_account_id = (
            SELECT a.id FROM members m JOIN accounts a ON a.id = m.account_id
            WHERE m.user_id = u.id AND a.deleted_at IS NULL ORDER BY a.created_at, a.id LIMIT 1
        ) WHERE u.default_account_id = $1
        """,
        workspace_id,
    )


async def usage(db: Queries, workspace_id: str) -> Usage:
    """
    Return what a workspace has now.

    Deleted things do not count, nor what is left in them, nor connections that are not in use or lead to this
    installation itself; pending invitations count as members.
    """
    row = await db.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM projects WHERE account_id = $1 AND deleted_at IS NULL) AS projects,
            (SELECT count(*) FROM environments e JOIN projects p ON p.id = e.project_id
             WHERE e.account_id = $1 AND e.deleted_at IS NULL AND p.deleted_at IS NULL) AS environments,
            (SELECT count(*) FROM functions f JOIN environments e ON e.id = f.environment_id
                JOIN projects p ON p.id = e.project_id
             WHERE f.account_id = $1 AND f.deleted_at IS NULL AND e.deleted_at IS NULL AND p.deleted_at IS NULL)
                AS resources,
            (SELECT count(*) FROM cloud_connections WHERE account_id = $1 AND deleted_at IS NULL
                AND status = 'connected' AND provider <> 'local') AS cloud_connections,
            (SELECT count(*) FROM members WHERE account_id = $1)
            + (SELECT count(*) FROM invitations
               WHERE account_id = $1 AND status = 'pending' AND expires_at > now()) AS members
        """,
        workspace_id,
    )
    assert row is not None
    return Usage(**row)


async def lock_workspace(connection: Connection, workspace_id: str) -> None:
    """Let nobody else add to what the workspace's plan limits until the transaction ends."""
    await connection.execute("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE", workspace_id)


def workspace_of(row: Row) -> Workspace:
    """Return the workspace of a row that has its columns."""
    return Workspace(**{name: row[name] for name in Workspace.__slots__})


def membership_of(row: Row) -> Membership | None:
    """Return the membership of a row with ``role`` and ``project_permissions``; None without a role."""
    if row["role"] is None:
        return None
    places = row["project_permissions"]
    return Membership(role=Role(row["role"]), places=None if places is None else tuple(places))
