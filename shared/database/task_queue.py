"""
Whose turn it is among the tasks, and who has one in hand.

A task is ``ready`` once its time has come. A claim takes ready ones, the most urgent first, and no more of an
environment than may be in progress at once, over all invokers. A claimed task has a holder with a lease; how it
ends otherwise than by settling (``tasks.settle``) is here: given back unbegun, or lost with its holder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.database.leases import HOLDER_SILENT_S
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.tasks import NOW, TASK_COLUMNS, task_of
from shared.domain.ids import new_record_id
from shared.domain.outcome import Failure
from shared.domain.states import TASK, sources
from shared.domain.task import Task

_CLAIMING = 0x7469_6465_7461_736B
"""The advisory lock of those who count what is in progress and add to it: "tidetask"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """
    What there is to do: whether ready tasks wait, and in how many seconds the next one or schedule is due.

    ``due_in_s`` is at most 0 when something is due now, None when nothing is planned at all.
    """

    ready: bool
    due_in_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many queued tasks wait for their turn, how many are in progress, how long the first of the former waits."""

    waiting: int
    in_progress: int
    waited_s: float


async def waiting(db: Queries) -> Waiting:
    """Tell what there is to do, by the database's clock."""
    row = await db.fetchrow(
        """
        SELECT EXISTS (SELECT FROM tasks WHERE status = 'new' AND ready) AS ready,
               extract(epoch FROM least((SELECT min(due_at) FROM tasks WHERE status = 'new' AND NOT ready),
                                        (SELECT min(next_at) FROM schedules)) - clock_timestamp())::double precision
                   AS due_in_s
        """
    )
    assert row is not None  # a SELECT of scalars has one row
    return Waiting(ready=row["ready"], due_in_s=row["due_in_s"])


async def load(db: Queries) -> Load:
    """Count what is in the queue, by the database's clock."""
    row = await db.fetchrow(
        """
        SELECT count(*) FILTER (WHERE status = 'new') AS waiting,
               count(*) FILTER (WHERE status = 'inProgress') AS in_progress,
               greatest(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE status = 'new')), 0)
                   ::double precision AS waited_s
        FROM (SELECT status, due_at FROM tasks WHERE status = 'new' AND ready
              UNION ALL SELECT status, due_at FROM tasks WHERE status = 'inProgress' AND NOT direct) queue
        """
    )
    assert row is not None  # an aggregate has one row
    return Load(**row)


async def make_ready(db: Queries, limit: int = 1_000) -> int:
    """Mark up to ``limit`` tasks whose time has come; return how many."""
    # now() stays the same while a statement runs, so the index tells where to stop; clock_timestamp() reads them all.
    made = await db.fetch(
        """
        UPDATE tasks SET ready = true WHERE id IN (
            SELECT id FROM tasks WHERE status = 'new' AND NOT ready AND due_at <= now()
            ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
        """,
        limit,
    )
    return len(made)


_CLAIM = f"""
    WITH RECURSIVE waiting AS (
        (SELECT environment_id FROM tasks WHERE status = 'new' AND ready ORDER BY environment_id LIMIT 1)
        UNION ALL
        SELECT (SELECT environment_id FROM tasks t
                WHERE t.status = 'new' AND t.ready AND t.environment_id > waiting.environment_id
                ORDER BY environment_id LIMIT 1)
        FROM waiting WHERE waiting.environment_id IS NOT NULL
    ), busy AS (
        SELECT environment_id, count(*) AS tasks FROM tasks
        WHERE status = 'inProgress' AND NOT direct GROUP BY environment_id
    ), next AS (
        SELECT first.id, coalesce(busy.tasks, 0) + row_number() OVER (
                   PARTITION BY waiting.environment_id ORDER BY first.priority DESC, first.due_at, first.id) AS place
        FROM waiting LEFT JOIN busy USING (environment_id) CROSS JOIN LATERAL (
            SELECT t.id, t.priority, t.due_at FROM tasks t
            WHERE t.environment_id = waiting.environment_id AND t.status = 'new' AND t.ready
            ORDER BY t.priority DESC, t.due_at, t.id
            LIMIT greatest($3 - coalesce(busy.tasks, 0), 0) FOR UPDATE SKIP LOCKED
        ) first
    ), chosen AS (
        SELECT id AS task_id, (row_number() OVER (ORDER BY place, id))::integer AS number FROM next
    )
    UPDATE tasks SET status = 'inProgress', updated_at = {NOW}, status_changed_at = {NOW}, started_at = {NOW},
           run_id = ($5::text[])[chosen.number], lease_holder = $1,
           lease_until = clock_timestamp() + make_interval(secs => $2)
    FROM chosen WHERE tasks.id = chosen.task_id AND chosen.number <= $4
    RETURNING {TASK_COLUMNS}
"""  # noqa: S608 - built from constants


async def claim(db: Database, *, holder: str, lease_s: float, at_once: int, limit: int) -> list[Task]:
    """
    Take up to ``limit`` ready tasks, each with a lease and a fresh run id: the most urgent of each environment.

    No environment has more than ``at_once`` queued tasks in progress by this, whoever claims; those with the
    fewest come first. Returned in the order they should begin: by priority, then by the time they were due.
    """

    async def work(connection: Connection) -> list[Row]:
        # Counting what is in progress and adding to it is one thing: a statement after the lock sees every claim
        # that was made before it.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _CLAIMING)
        run_ids = [new_record_id() for _ in range(limit)]
        return list(await connection.fetch(_CLAIM, holder, lease_s, at_once, limit, run_ids))

    claimed = [task_of(row) for row in await db.in_transaction(work)]
    return sorted(claimed, key=lambda task: (-task.priority, task.due_at, task.id))


async def release(db: Queries, holder: str, run_ids: Sequence[str]) -> list[str]:
    """
    Put tasks that ``holder`` claimed and did not begin back in the queue; return the ids of those it held.

    Each is named by the run id of its claim: a release that is asked for again must not undo a later claim.
    """
    return await _release(db, holder, "run_id = ANY($3::text[])", run_ids)


async def release_all_but(db: Database, holder: str, kept_run_ids: Sequence[str]) -> list[str]:
    """
    Put every task that ``holder`` claimed back in the queue but those whose runs it knows of; return their ids.

    For claims whose answer was lost: it waits for such a one if that is still being made.
    """

    async def work(connection: Connection) -> list[str]:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _CLAIMING)
        return await _release(connection, holder, "run_id <> ALL($3::text[])", kept_run_ids)

    return await db.in_transaction(work)


async def _release(db: Queries, holder: str, condition: str, run_ids: Sequence[str]) -> list[str]:
    rows = await db.fetch(
        f"""
        UPDATE tasks SET status = 'new', updated_at = {NOW}, status_changed_at = {NOW}, started_at = NULL,
               run_id = NULL, lease_holder = NULL, lease_until = NULL
        WHERE lease_holder = $1 AND status = 'inProgress' AND status = ANY($2::text[]) AND NOT direct AND {condition}
        RETURNING id
        """,  # noqa: S608 - built from constants
        holder,
        sources(TASK, "released"),
        list(run_ids),
    )
    return sorted(row["id"] for row in rows)


_LEASE_OVER = "lease_until < now()"
_HOLDER_SILENT = f"""
    NOT direct AND started_at < now() - interval '{HOLDER_SILENT_S} s'
    AND NOT EXISTS (SELECT FROM replicas r
                    WHERE r.id = t.lease_holder AND r.seen_at > now() - interval '{HOLDER_SILENT_S} s')
"""


async def interrupt_lost(db: Queries, *, silent_holders: bool = True, limit: int = 500) -> list[str]:
    """
    Fail tasks in progress that nobody runs any more; return the ids of up to ``limit`` of them.

    Their lease has run out, or (``silent_holders``) the invoker that holds it was not heard of for 15 s. Whoever
    holds the lease of a direct one says nothing of itself; such a lease is short.
    """
    return await _interrupt(db, f"{_LEASE_OVER} OR {_HOLDER_SILENT}" if silent_holders else _LEASE_OVER, limit)


async def interrupt_all(db: Queries, *, limit: int = 500) -> list[str]:
    """
    Fail tasks in progress, whoever holds their lease; return the ids of up to ``limit`` of them.

    Only for who knows that no invoker and no api is there: whatever runs would lose its result.
    """
    return await _interrupt(db, "true", limit)


async def _interrupt(db: Queries, condition: str, limit: int) -> list[str]:
    failure = Failure(
        kind="interrupted", name="InterruptedError", message="the process that ran the function went away"
    )
    rows = await db.fetch(
        f"""
        WITH lost AS (
            SELECT id AS task_id FROM tasks t
            WHERE status = 'inProgress' AND status = ANY($1::text[]) AND ({condition})
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE tasks SET status = 'failed', failure = $3, updated_at = {NOW}, status_changed_at = {NOW},
               finished_at = {NOW}, lease_until = NULL
        FROM lost WHERE tasks.id = lost.task_id
        RETURNING id
        """,  # noqa: S608 - built from constants
        sources(TASK, "interrupted"),
        limit,
        failure,
    )
    return sorted(row["id"] for row in rows)
