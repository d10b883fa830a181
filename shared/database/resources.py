"""
Functions as resources of their environment: by number, with where they are and where they stand on a canvas.

One statement reads what a list shows: no package, no values of environment variables. Functions made without a place
are on our own machines. Moving one on the canvas is no change of the function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from shared.database.pool import Queries
from shared.database.text import storable_or_none
from shared.database.workspaces import membership_of
from shared.domain.placement import LOCAL
from shared.domain.workspace import Membership

_STATUS = "CASE WHEN f.status = 'active' THEN coalesce(l.state, 'active') ELSE f.status END"


class ListedResource(NamedTuple):
    """
    A function as lists show it; a tuple of no more than that, since a list makes a thousand at once.

    The fields mean what they do in ``Resource``.
    """

    id: str
    number: int
    name: str
    description: str
    status: str
    provider: str
    runtime: str
    architecture: str
    handler: str
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    position_x: float | None
    position_y: float | None
    region: str | None
    cloud_name: str | None
    url: str | None
    reason: str | None
    created_at: datetime
    updated_at: datetime


class Resource(NamedTuple):
    """
    A function in its environment, whole.

    ``status`` is ours while we change it, else what its cloud last said. ``region``, ``cloud_name`` and what follows
    are None where a function has no place of its own; ``facts`` are as in ``placements.Placed``.
    """

    id: str
    number: int
    account_id: str
    environment_id: str
    user_number: int | None
    name: str
    description: str
    status: str
    provider: str
    runtime: str
    convention: str
    architecture: str
    handler: str
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    package_sha256: str
    position_x: float | None
    position_y: float | None
    locked_variables: Sequence[str]
    region: str | None
    cloud_name: str | None
    arn: str | None
    url: str | None
    state: str | None
    reason: str | None
    facts: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    deployed_at: datetime


Shown: TypeAlias = ListedResource | Resource

_LISTED = f"""
    f.id, f.number, f.name, f.description, {_STATUS}, f.provider, v.runtime, v.architecture, v.handler, v.memory_mb,
    v.timeout_s, v.tmp_mb, f.position_x, f.position_y, l.region, l.name, l.url, l.reason, f.created_at, f.updated_at
"""
"""In the order of the fields of ``ListedResource``."""
_COLUMNS = f"""
    f.id, f.number, f.account_id, f.environment_id, (SELECT u.number FROM users u WHERE u.id = f.made_by), f.name,
    f.description, {_STATUS}, f.provider, v.runtime, v.convention, v.architecture, v.handler, v.memory_mb, v.timeout_s,
    v.tmp_mb, v.package_sha256, f.position_x, f.position_y, f.locked_variables, l.region, l.name, l.arn, l.url, l.state,
    l.reason, coalesce(l.facts, '{{}}'), f.created_at, f.updated_at, v.created_at
"""  # noqa: S608 - constants
"""In the order of the fields of ``Resource``."""
_JOINED = """
    functions f JOIN function_versions v ON v.id = f.active_version_id LEFT JOIN placements l ON l.function_id = f.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSummary:
    """How many resources there are, by status and by region; an empty region is this installation."""

    total: int
    by_status: Mapping[str, int]
    by_region: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlace:
    """An environment of a workspace, and what somebody is there."""

    environment_id: str
    environment_slug: str
    project_slug: str
    membership: Membership


async def find_resource(db: Queries, environment_id: str, number: int) -> Resource | None:
    """Return a function of an environment by its number."""
    row = await db.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM {_JOINED}
        WHERE f.environment_id = $1 AND f.number = $2 AND f.deleted_at IS NULL
        """,  # noqa: S608 - constants
        environment_id,
        number,
    )
    return None if row is None else Resource._make(row)


async def find_of_function(db: Queries, function_id: str) -> Resource | None:
    """Return a function by its own id."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM {_JOINED} WHERE f.id = $1 AND f.deleted_at IS NULL",  # noqa: S608 - constants
        function_id,
    )
    return None if row is None else Resource._make(row)


async def list_resources(
    db: Queries, environment_id: str, *, region: str | None = None, status: str | None = None, state: str | None = None
) -> Sequence[ListedResource]:
    """Return the functions of an environment, the newest first; ``state`` is the word of their cloud."""
    rows = await db.fetch(
        f"""
        SELECT {_LISTED} FROM {_JOINED}
        WHERE f.environment_id = $1 AND f.deleted_at IS NULL
            AND ($2::text IS NULL OR coalesce(l.region, '{LOCAL}') = $2) AND ($3::text IS NULL OR {_STATUS} = $3)
            AND ($4::text IS NULL OR lower(coalesce(l.facts ->> 'cloud_state', f.status)) = lower($4))
        ORDER BY f.number DESC
        """,  # noqa: S608 - constants
        environment_id,
        storable_or_none(region),
        storable_or_none(status),
        storable_or_none(state),
    )
    return [ListedResource._make(row) for row in rows]


async def places_of(db: Queries, user_id: str, project_number: int | None = None) -> Sequence[MemberPlace]:
    """Return the environments of the workspaces somebody is a member of; of one project if it is named."""
    rows = await db.fetch(
        """
        SELECT e.id, e.slug, p.slug AS project_slug, m.role, m.project_permissions
        FROM members m JOIN accounts a ON a.id = m.account_id JOIN projects p ON p.account_id = a.id
        JOIN environments e ON e.project_id = p.id
        WHERE m.user_id = $1 AND ($2::bigint IS NULL OR p.number = $2)
            AND a.deleted_at IS NULL AND p.deleted_at IS NULL AND e.deleted_at IS NULL
        """,
        user_id,
        project_number,
    )
    return [
        MemberPlace(
            environment_id=row["id"],
            environment_slug=row["slug"],
            project_slug=row["project_slug"],
            membership=membership,
        )
        for row in rows
        if (membership := membership_of(row)) is not None
    ]


async def summary(db: Queries, environment_ids: Sequence[str]) -> ResourceSummary:
    """Count the functions of some environments."""
    rows = await db.fetch(
        f"""
        SELECT {_STATUS} AS status, coalesce(l.region, '') AS region, count(*) AS many FROM {_JOINED}
        WHERE f.environment_id = ANY($1::text[]) AND f.deleted_at IS NULL GROUP BY 1, 2
        """,  # noqa: S608 - constants
        list(environment_ids),
    )
    by_status: dict[str, int] = {}
    by_region: dict[str, int] = {}
    for row in rows:
        by_status[row["status"]] = by_status.get(row["status"], 0) + row["many"]
        by_region[row["region"]] = by_region.get(row["region"], 0) + row["many"]
    return ResourceSummary(total=sum(by_status.values()), by_status=by_status, by_region=by_region)


async def move(db: Queries, function_id: str, x: float | None, y: float | None) -> None:
    """Put a function somewhere else on the canvas; None leaves that coordinate."""
    await db.execute(
        """
        UPDATE functions SET position_x = coalesce($2, position_x), position_y = coalesce($3, position_y),
            updated_at = now()
        WHERE id = $1 AND deleted_at IS NULL
        """,
        function_id,
        x,
        y,
    )
