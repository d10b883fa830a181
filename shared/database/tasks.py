"""
Tasks: kept, called off, settled, tried again, forgotten.

The row is the queue; whose turn it is and who has one is in ``task_queue.py``. Each move is one statement over a
batch, guarded by the states it is legal from (``shared.domain.states``). A failed task that is to be tried again
and the task that takes its place are written by the same statement, so neither is ever there without the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from shared.database.idempotency import CLAIMED, first_with_key, stored_key
from shared.database.pool import Database, Queries, Row
from shared.database.records import failure_from
from shared.database.text import json_text, storable, storable_or_none, stored_bytes
from shared.domain.ids import is_record_id
from shared.domain.outcome import Failure, Timings
from shared.domain.states import TASK, sources
from shared.domain.task import Task, TaskStatus

_WITHOUT_DATA = """
    id, environment_id, function_name, status, direct, tags, priority, due_at, schedule_id, created_by_user,
    created_by_application, retried_by, retry_for, failure, created_at, updated_at, status_changed_at, run_id,
    log_lines, dropped_log_lines
"""
TASK_COLUMNS = f"{_WITHOUT_DATA}, data::text AS data"
"""What ``task_of`` reads of a row of ``tasks``."""
_SETTLER_COLUMNS = f"{_WITHOUT_DATA}, NULL::text AS data"
"""The same for who has the data: as the database writes a number, it may be fifty times as long as it was sent."""
_TASK_FIELDS = tuple(field.name for field in fields(Task))

NOW = "date_trunc('milliseconds', clock_timestamp())"
"""Moments are kept as they are shown, to the millisecond: what a client was told can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """
    A task to be queued. ``data`` is JSON text without U+0000; ``due_at`` None is now.

    An ``idempotency_key`` counts in its whole environment, among those of executions too.
    """

    id: str
    environment_id: str
    function_name: str
    data: bytes | None = None
    tags: tuple[str, ...] = ()
    priority: int = 0
    due_at: datetime | None = None
    created_by_user: str | None = None
    created_by_application: str | None = None
    idempotency_key: str | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.data or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectTask:
    """
    A task whose caller waits: in progress from the start, in the hands of ``holder`` for ``lease_s`` seconds.

    ``run_id`` is a fresh record id; the lines of the run are kept under it.
    """

    id: str
    environment_id: str
    function_name: str
    run_id: str
    holder: str
    lease_s: float
    data: bytes | None = None
    created_by_user: str | None = None
    created_by_application: str | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.data or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The task that takes a failed one's place: its ``id``, due so many seconds after the failure."""

    id: str
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettlement:
    """
    How a task in progress ended: complete without a ``failure``, else failed; retried if there is a ``retry`` too.

    ``duration_ms`` runs from the start of user code to its end.
    """

    id: str
    holder: str
    failure: Failure | None
    retry: Retry | None = None
    duration_ms: float = 0.0
    timings: Timings | None = None
    log_lines: int = 0
    dropped_log_lines: int = 0

    @property
    def status(self) -> TaskStatus:
        if self.failure is None:
            return TaskStatus.COMPLETE
        return TaskStatus.FAILED if self.retry is None else TaskStatus.RETRIED

    @property
    def size_bytes(self) -> int:
        return 0 if self.failure is None else len(self.failure.message) + len(self.failure.stack)


_ACCEPT = f"""
    WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                             $7::timestamptz[], $8::text[], $9::text[], $10::text[])
            AS t(id, environment_id, function_name, data, tags, priority, due_at, created_by_user,
                 created_by_application, idempotency_key)
    ), {CLAIMED}, inserted AS (
        INSERT INTO tasks (id, environment_id, function_name, status, data, tags, priority, due_at, ready,
                           created_by_user, created_by_application, created_at, updated_at, status_changed_at)
        SELECT id, environment_id, function_name, 'new', data::jsonb,
               ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)), priority, coalesce(due_at, moment),
               coalesce(due_at <= moment, true), created_by_user, created_by_application, moment, moment, moment
        FROM resolved, (SELECT {NOW} AS moment) clock WHERE kept_id = id
        RETURNING {TASK_COLUMNS}
    )
    SELECT resolved.id AS given_id, kept_id, inserted.* FROM resolved LEFT JOIN inserted ON inserted.id = resolved.id
"""  # noqa: S608 - built from constants


async def accept(db: Database, new: Sequence[NewTask]) -> list[Task]:
    """
    Keep tasks, all of them or none; return them in order.

    A key used within the last 24 h, also by an earlier row of this batch or by a transaction that is just being
    committed, gives the task it was first used for, as it is now.
    """
    if all(row.idempotency_key is None for row in new):
        return await _accept(db, new)
    # What keys stand for already is read after they are claimed: all or nothing needs one transaction around both.
    return await db.in_transaction(lambda connection: _accept(connection, new))


async def _accept(db: Queries, new: Sequence[NewTask]) -> list[Task]:
    first_of = first_with_key(new)
    fresh = list({row.id: row for row in first_of.values()}.values())
    rows = await db.fetch(
        _ACCEPT,
        [each.id for each in fresh],
        [each.environment_id for each in fresh],
        [storable(each.function_name) for each in fresh],
        [_data(each.data) for each in fresh],
        [json_text(list(each.tags)) for each in fresh],
        [each.priority for each in fresh],
        [each.due_at for each in fresh],
        [storable_or_none(each.created_by_user) for each in fresh],
        [storable_or_none(each.created_by_application) for each in fresh],
        [stored_key(each.idempotency_key) for each in fresh],
    )
    kept_id = {row["given_id"]: row["kept_id"] for row in rows}
    repeated = [row["kept_id"] for row in rows if row["id"] is None]
    kept = _by_id([row for row in rows if row["id"] is not None])
    if repeated:
        sql = f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ANY($1::text[])"  # noqa: S608 - built from constants
        kept |= _by_id(await db.fetch(sql, repeated))
    return [kept[kept_id[first_of[each.id].id]] for each in new]


async def begin_direct(db: Queries, new: Sequence[DirectTask]) -> list[Task]:
    """Keep tasks that are run at once, all of them or none; return them in order, without their data."""
    rows = await db.fetch(
        f"""
        INSERT INTO tasks (id, environment_id, function_name, status, direct, data, due_at, ready, created_by_user,
                           created_by_application, created_at, updated_at, status_changed_at, started_at, run_id,
                           lease_holder, lease_until)
        SELECT id, environment_id, function_name, 'inProgress', true, data::jsonb, moment, true, created_by_user,
               created_by_application, moment, moment, moment, moment, run_id, holder,
               moment + make_interval(secs => lease_s)
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::double precision[])
            AS t(id, environment_id, function_name, data, created_by_user, created_by_application, run_id, holder,
                 lease_s),
             (SELECT {NOW} AS moment) clock
        RETURNING {_SETTLER_COLUMNS}
        """,  # noqa: S608 - built from constants
        [each.id for each in new],
        [each.environment_id for each in new],
        [storable(each.function_name) for each in new],
        [_data(each.data) for each in new],
        [storable_or_none(each.created_by_user) for each in new],
        [storable_or_none(each.created_by_application) for each in new],
        [each.run_id for each in new],
        [each.holder for each in new],
        [each.lease_s for each in new],
    )
    kept = _by_id(rows)
    return [kept[each.id] for each in new]


async def find_task(db: Queries, environment_id: str, task_id: str) -> Task | None:
    """Return a task of the environment."""
    if not is_record_id(task_id):
        return None
    row = await db.fetchrow(
        f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = $1 AND environment_id = $2",  # noqa: S608 - constants
        task_id,
        environment_id,
    )
    return None if row is None else task_of(row)


async def cancel(db: Queries, environment_id: str, task_id: str) -> bool:
    """Call a task off; return False when it is none of the environment, or not waiting (any more)."""
    canceled = await db.fetchval(
        f"""
        UPDATE tasks SET status = 'canceled', updated_at = {NOW}, status_changed_at = {NOW}, finished_at = {NOW}
        WHERE id = $1 AND environment_id = $2 AND status = ANY($3::text[])
        RETURNING id
        """,  # noqa: S608 - built from constants
        task_id,
        environment_id,
        sources(TASK, "cancelled"),
    )
    return canceled is not None


_SETTLE = f"""
    WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::double precision[],
                             $7::double precision[], $8::text[], $9::integer[], $10::integer[])
            AS t(id, holder, status, failure, retry_id, retry_pause_s, duration_ms, timings, log_lines,
                 dropped_log_lines)
    ), settled AS (
        UPDATE tasks SET
            status = input.status, failure = input.failure::jsonb, retried_by = input.retry_id,
            updated_at = moment, status_changed_at = moment, finished_at = moment,
            duration_ms = input.duration_ms, timings = input.timings::jsonb, log_lines = input.log_lines,
            dropped_log_lines = input.dropped_log_lines, lease_until = NULL
        FROM input, (SELECT {NOW} AS moment) clock
        WHERE tasks.id = input.id AND tasks.lease_holder = input.holder AND tasks.status = ANY($11::text[])
        RETURNING tasks.*, input.retry_pause_s
    ), tried_again AS (
        INSERT INTO tasks (id, environment_id, function_name, status, data, tags, priority, due_at, schedule_id,
                           created_by_user, created_by_application, retry_for, created_at, updated_at,
                           status_changed_at)
        SELECT retried_by, environment_id, function_name, 'new', data, tags, priority,
               finished_at + make_interval(secs => retry_pause_s), schedule_id, created_by_user,
               created_by_application, retry_for || id, finished_at, finished_at, finished_at
        FROM settled WHERE retried_by IS NOT NULL
    )
    SELECT {_SETTLER_COLUMNS} FROM settled
"""  # noqa: S608 - built from constants


async def settle(db: Queries, settlements: Sequence[TaskSettlement]) -> list[Task | None]:
    """
    End tasks in progress, and queue those that take the place of the retried; all in one transaction.

    Return each as it is now, without its data; None when the settler does not hold its lease (any more), or it has
    ended already.
    """
    events = ("returned", "failed", "retried")
    rows = await db.fetch(
        _SETTLE,
        [each.id for each in settlements],
        [each.holder for each in settlements],
        [each.status for each in settlements],
        [None if each.failure is None else json_text(each.failure) for each in settlements],
        [None if each.retry is None else each.retry.id for each in settlements],
        [None if each.retry is None else each.retry.pause_s for each in settlements],
        [each.duration_ms for each in settlements],
        [None if each.timings is None else json_text(each.timings) for each in settlements],
        [each.log_lines for each in settlements],
        [each.dropped_log_lines for each in settlements],
        sorted({state for event in events for state in sources(TASK, event)}),
    )
    settled = _by_id(rows)
    return [settled.get(each.id) for each in settlements]


async def forget_ended(db: Queries, keep_days: int, *, limit: int = 5_000) -> int:
    """Delete up to ``limit`` tasks that ended more than ``keep_days`` days ago; return how many."""
    # In hours, because a day of a calendar may have 23: an idempotency key counts for 24, and its task must be there.
    gone = await db.fetch(
        """
        DELETE FROM tasks WHERE id IN (
            SELECT id FROM tasks WHERE finished_at < now() - make_interval(hours => 24 * $1)
            ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
        """,
        keep_days,
        limit,
    )
    return len(gone)


def task_of(row: Row) -> Task:
    """Return the task of a row that holds ``TASK_COLUMNS``."""
    return Task(
        **{
            **{name: row[name] for name in _TASK_FIELDS},
            "status": TaskStatus(row["status"]),
            "data": None if row["data"] is None else row["data"].encode(),
            "tags": tuple(row["tags"]),
            "retry_for": tuple(row["retry_for"]),
            "failure": failure_from(row["failure"]),
        }
    )


def _by_id(rows: Sequence[Row]) -> dict[str, Task]:
    return {row["id"]: task_of(row) for row in rows}


def _data(data: bytes | None) -> str | None:
    return None if data is None else stored_bytes(data)
