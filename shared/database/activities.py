"""
Activities: what people did, for themselves to read. They are kept for ever, whatever becomes of what it was done to.

Values of environment variables never belong in ``metadata``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.database.pool import Queries, Row
from shared.database.text import storable_or_none

_ACTIVITY = """
    v.id, v.user_id, u.number AS user_number, trim(u.first_name || ' ' || u.last_name) AS user_name,
    p.number AS project_number, p.slug AS project_slug, p.name AS project_name,
    e.number AS environment_number, e.slug AS environment_slug, e.name AS environment_name,
    v.resource_type, v.resource_number, v.action, v.description, v.metadata, v.created_at
"""
_ACTIVITIES = """
    activities v JOIN users u ON u.id = v.user_id
    LEFT JOIN projects p ON p.id = v.project_id LEFT JOIN environments e ON e.id = v.environment_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewActivity:
    """Something somebody did: ``action`` to a ``resource_type`` by its number, from an address."""

    user_id: str
    action: str
    description: str
    project_id: str | None = None
    environment_id: str | None = None
    resource_type: str | None = None
    resource_number: int | None = None
    metadata: Mapping[str, Any] | None = None
    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An activity with the names of where it was, as far as that is still known."""

    id: int
    user_id: str
    user_number: int
    user_name: str
    project_number: int | None
    project_slug: str | None
    project_name: str | None
    environment_number: int | None
    environment_slug: str | None
    environment_name: str | None
    resource_type: str | None
    resource_number: int | None
    action: str
    description: str | None
    metadata: Mapping[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFilter:
    """Which of a user's activities are wanted; None is any."""

    user_id: str
    project_id: str | None = None
    environment_id: str | None = None
    resource_type: str | None = None
    action: str | None = None
    limit: int
    offset: int


async def note_activity(db: Queries, new: NewActivity) -> None:
    """Keep an activity."""
    await db.execute(
        """
        INSERT INTO activities (user_id, project_id, environment_id, resource_type, resource_number, action,
                                description, metadata, address, user_agent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        new.user_id,
        new.project_id,
        new.environment_id,
        new.resource_type,
        new.resource_number,
        new.action,
        storable_or_none(new.description),
        new.metadata,
        new.address,
        storable_or_none(new.user_agent),
    )


async def list_activities(db: Queries, wanted: ActivityFilter) -> tuple[Sequence[Activity], int]:
    """Return one page of a user's activities, newest first, and how many match in all."""
    condition = """
        v.user_id = $1 AND ($2::text IS NULL OR v.project_id = $2) AND ($3::text IS NULL OR v.environment_id = $3)
        AND ($4::text IS NULL OR v.resource_type = $4) AND ($5::text IS NULL OR v.action = $5)
    """
    values = (
        wanted.user_id,
        wanted.project_id,
        wanted.environment_id,
        storable_or_none(wanted.resource_type),
        storable_or_none(wanted.action),
    )
    total: int = await db.fetchval(f"SELECT count(*) FROM activities v WHERE {condition}", *values)  # noqa: S608 - constants
    rows = await db.fetch(
        f"SELECT {_ACTIVITY} FROM {_ACTIVITIES} WHERE {condition} ORDER BY v.id DESC LIMIT $6 OFFSET $7",  # noqa: S608 - constants
        *values,
        wanted.limit,
        wanted.offset,
    )
    return [_activity_of(row) for row in rows], total


async def find_activity(db: Queries, activity_id: int) -> Activity | None:
    """Return an activity, whoever's."""
    row = await db.fetchrow(f"SELECT {_ACTIVITY} FROM {_ACTIVITIES} WHERE v.id = $1", activity_id)  # noqa: S608 - constants
    return None if row is None else _activity_of(row)


def _activity_of(row: Row) -> Activity:
    return Activity(**row)
