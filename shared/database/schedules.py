"""
Schedules: plans that make a task each time they are due.

A schedule is due at ``next_at``. Firing makes its task and moves ``next_at`` on by whole intervals to the next one
that lies ahead, in one statement: once an interval, whoever asks, and once after any number were missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from shared.database.pool import Queries, Row
from shared.database.tasks import NOW
from shared.database.text import storable, storable_or_none, stored_bytes
from shared.domain.ids import is_record_id, new_record_id
from shared.domain.task import Schedule

SCHEDULE_COLUMNS = """
    id, environment_id, function_name, interval_s, data::text AS data, priority, starts_at, next_at,
    created_by_user, created_by_application, created_at, updated_at
"""
"""What ``schedule_of`` reads of a row of ``schedules``."""
_FIELDS = tuple(field.name for field in fields(Schedule))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """
    A schedule to be kept. ``data`` is JSON text without U+0000; ``starts_at`` None is now.

    ``interval_s`` is 1 to ``LONGEST_INTERVAL_S``.
    """

    id: str
    environment_id: str
    function_name: str
    interval_s: int
    data: bytes | None = None
    priority: int = 0
    starts_at: datetime | None = None
    created_by_user: str | None = None
    created_by_application: str | None = None


async def create(db: Queries, new: NewSchedule) -> Schedule:
    """Keep a schedule; its first task is made when it starts."""
    row = await db.fetchrow(
        f"""
        INSERT INTO schedules (id, environment_id, function_name, interval_s, data, priority, starts_at, next_at,
                               created_by_user, created_by_application, created_at, updated_at)
        SELECT $1, $2, $3, $4, $5::text::jsonb, $6, coalesce($7, moment), coalesce($7, moment), $8, $9, moment, moment
        FROM (SELECT {NOW} AS moment) clock
        RETURNING {SCHEDULE_COLUMNS}
        """,  # noqa: S608 - built from constants
        new.id,
        new.environment_id,
        storable(new.function_name),
        new.interval_s,
        None if new.data is None else stored_bytes(new.data),
        new.priority,
        new.starts_at,
        storable_or_none(new.created_by_user),
        storable_or_none(new.created_by_application),
    )
    assert row is not None  # an INSERT without ON CONFLICT returns its row
    return schedule_of(row)


async def delete(db: Queries, environment_id: str, schedule_id: str) -> bool:
    """Delete a schedule of the environment; the tasks it has made stay. Return whether there was one."""
    if not is_record_id(schedule_id):
        return False
    gone = await db.fetchval(
        "DELETE FROM schedules WHERE id = $1 AND environment_id = $2 RETURNING id", schedule_id, environment_id
    )
    return gone is not None


_FIRE = f"""
    WITH due AS (
        SELECT id AS schedule_id, next_at AS due_at, clock_timestamp() AS moment FROM schedules
        WHERE next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ), numbered AS (
        SELECT schedule_id, due_at, moment, (row_number() OVER (ORDER BY due_at, schedule_id))::integer AS number
        FROM due
    ), moved AS (
        UPDATE schedules SET next_at = next_at + make_interval(secs => interval_s::double precision * (
            1 + floor(extract(epoch FROM moment - due_at)::double precision / interval_s)))
        FROM numbered WHERE schedules.id = numbered.schedule_id
        RETURNING schedules.*, numbered.due_at, numbered.number
    )
    INSERT INTO tasks (id, environment_id, function_name, status, data, priority, due_at, ready, schedule_id,
                       created_by_user, created_by_application, created_at, updated_at, status_changed_at)
    SELECT ($2::text[])[number], environment_id, function_name, 'new', data, priority, due_at, true, id,
           created_by_user, created_by_application, moment, moment, moment
    FROM moved, (SELECT {NOW} AS moment) clock
    RETURNING id
"""  # noqa: S608 - built from constants


async def fire(db: Queries, limit: int = 500) -> Sequence[str]:
    """Make the task of each schedule that is due, of up to ``limit`` of them; return the tasks' ids."""
    rows = await db.fetch(_FIRE, limit, [new_record_id() for _ in range(limit)])
    return [row["id"] for row in rows]


def schedule_of(row: Row) -> Schedule:
    """Return the schedule of a row that holds ``SCHEDULE_COLUMNS``."""
    shown = {name: row[name] for name in _FIELDS}
    return Schedule(**{**shown, "data": None if row["data"] is None else row["data"].encode()})
