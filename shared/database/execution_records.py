"""
Executions as records: finished synchronous runs written down, and everything that is read.

Writing is idempotent by record id: a record that comes again changes nothing and is not counted again. In lists
a result is not carried, because a page of them may be a hundred megabytes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Queries, Row
from shared.database.records import failure_from, timings_from
from shared.database.stats import RECORD_SHARD, count_ended
from shared.database.text import json_text, storable, storable_or_none
from shared.domain.execution import Execution, ExecutionKind, ExecutionStatus
from shared.domain.ids import is_record_id
from shared.messages.messages import ExecutionFinished

_COLUMNS = """
    id, function_id, environment_id, version_id, kind, status, params, result_defined, failure, accepted_at,
    started_at, finished_at, duration_ms, timings, log_lines, dropped_log_lines
"""

_INSERT_FINISHED = f"""
    WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                             $8::text[], $9::boolean[], $10::text[], $11::bigint[], $12::bigint[],
                             $13::double precision[], $14::text[], $15::integer[], $16::integer[], $18::text[])
            AS t(id, function_id, environment_id, version_id, kind, status, params, result, result_defined, failure,
                 started_at_ms, finished_at_ms, duration_ms, timings, log_lines, dropped_log_lines, receipt)
    ), inserted AS (
        INSERT INTO executions
            (id, function_id, environment_id, version_id, kind, status, params, result, result_defined, failure,
             accepted_at, started_at, finished_at, duration_ms, timings, log_lines, dropped_log_lines, receipt)
        SELECT id, function_id, environment_id, version_id, kind, status, params, result, result_defined,
               failure::jsonb, to_timestamp(started_at_ms / 1000.0), to_timestamp(started_at_ms / 1000.0),
               to_timestamp(finished_at_ms / 1000.0), duration_ms, timings::jsonb, log_lines, dropped_log_lines,
               receipt
        FROM input ORDER BY id
        ON CONFLICT (id) DO NOTHING
        RETURNING function_id, kind, status, duration_ms, started_at
    ), counted AS ({count_ended("inserted", "$17::smallint", accepted=True)})
    SELECT count(*) FROM inserted
"""  # noqa: S608 - built from constants

_ALL = frozenset(ExecutionStatus)
_COUNTED = {
    _ALL: "accepted - gone_completed - gone_failed - gone_cancelled",
    frozenset({ExecutionStatus.COMPLETED}): "completed - gone_completed",
    frozenset({ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}): "failed + cancelled - gone_failed - gone_cancelled",
    frozenset({ExecutionStatus.QUEUED, ExecutionStatus.RUNNING}): "accepted - completed - failed - cancelled",
}
"""How many records there are of some statuses, as the counts of a function tell it without reading them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What became of all executions of a function that were ever accepted; ``drift`` must be 0."""

    function_id: str
    accepted: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int

    @property
    def drift(self) -> int:
        return self.accepted - self.queued - self.running - self.completed - self.failed - self.cancelled


async def insert_finished(db: Queries, events: Sequence[ExecutionFinished]) -> int:
    """Record finished synchronous runs and count them; return how many were not recorded before."""
    inserted: int = await db.fetchval(
        _INSERT_FINISHED,
        [event.execution_id for event in events],
        [event.function_id for event in events],
        [event.environment_id for event in events],
        [event.version_id for event in events],
        [event.kind for event in events],
        [event.status for event in events],
        [storable(event.params) for event in events],
        [storable_or_none(event.result) for event in events],
        [event.result_defined for event in events],
        [None if event.failure is None else json_text(event.failure) for event in events],
        [event.started_at_ms for event in events],
        [event.finished_at_ms for event in events],
        [event.duration_ms for event in events],
        [json_text(event.timings) for event in events],
        [len(event.lines) for event in events],
        [event.dropped_log_lines for event in events],
        RECORD_SHARD,
        [event.receipt for event in events],
    )
    return inserted


async def find_execution(db: Queries, execution_id: str) -> Execution | None:
    """Return an execution, whole."""
    if not is_record_id(execution_id):
        return None
    row = await db.fetchrow(
        f"SELECT {_COLUMNS}, result, receipt FROM executions WHERE id = $1",  # noqa: S608 - constants
        execution_id,
    )
    return None if row is None else _execution_of(row)


async def list_executions(
    db: Queries,
    function_id: str,
    kind: ExecutionKind,
    status: Collection[ExecutionStatus] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = 10,
    offset: int = 0,
) -> tuple[list[Execution], int]:
    """
    Return one page of a function's executions of one kind, newest first, and how many match in all.

    They are ordered by the start of the run (its acceptance while it is queued), which ``start`` and ``end`` bound,
    both inclusive. The ``result`` of those that have one is empty here; ``find_execution`` gives it.
    """
    # Conditions are written out, not passed: a condition that may be absent would keep indexes from being used.
    where = "function_id = $1 AND kind = $2"
    arguments: list[object] = [function_id, kind]
    if status is not None:
        known = ", ".join(f"'{ExecutionStatus(each)}'" for each in status)
        where += f" AND status IN ({known or 'NULL'})"
    for operator, moment in ((">=", start), ("<=", end)):
        if moment is not None:
            arguments.append(moment)
            where += f" AND began_at {operator} ${len(arguments)}"
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS}, CASE WHEN result IS NULL THEN NULL ELSE '' END AS result, NULL AS receipt
        FROM executions WHERE {where} ORDER BY began_at DESC, id DESC LIMIT {int(limit)} OFFSET {int(offset)}
        """,  # noqa: S608 - constants, members of an enumeration, and integers
        *arguments,
    )
    counted = None if start or end else _COUNTED.get(frozenset(_ALL if status is None else status))
    if counted is None:
        source = f"count(*) FROM executions WHERE {where}"
    else:
        source = f"coalesce(sum({counted}), 0)::bigint FROM function_stats WHERE function_id = $1 AND kind = $2"
    total: int = await db.fetchval(f"SELECT {source}", *arguments)
    return [_execution_of(row) for row in rows], total


async def ledger(db: Queries) -> list[LedgerRow]:
    """Return the ledger of every function, read in one snapshot, by function id."""
    rows = await db.fetch(
        """
        WITH counted AS (
            SELECT function_id, sum(accepted)::bigint AS accepted, sum(completed)::bigint AS completed,
                   sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled
            FROM function_stats GROUP BY function_id
        ), waiting AS (
            SELECT function_id, count(*) FILTER (WHERE status = 'queued') AS queued,
                   count(*) FILTER (WHERE status = 'running') AS running
            FROM (SELECT function_id, status FROM executions WHERE status = 'queued'
                  UNION ALL SELECT function_id, status FROM executions WHERE status = 'running') live
            GROUP BY function_id
        )
        SELECT function_id, coalesce(accepted, 0) AS accepted, coalesce(queued, 0) AS queued,
               coalesce(running, 0) AS running, coalesce(completed, 0) AS completed, coalesce(failed, 0) AS failed,
               coalesce(cancelled, 0) AS cancelled
        FROM counted FULL JOIN waiting USING (function_id) ORDER BY function_id
        """
    )
    return [LedgerRow(**row) for row in rows]


def _execution_of(row: Row) -> Execution:
    duration_ms = row["duration_ms"]
    return Execution(
        id=row["id"],
        function_id=row["function_id"],
        environment_id=row["environment_id"],
        version_id=row["version_id"],
        kind=ExecutionKind(row["kind"]),
        status=ExecutionStatus(row["status"]),
        params=row["params"].encode(),
        result=None if row["result"] is None else row["result"].encode(),
        result_defined=row["result_defined"],
        failure=failure_from(row["failure"]),
        accepted_at=row["accepted_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        duration_ms=None if duration_ms is None else round(duration_ms),
        timings=timings_from(row["timings"]),
        log_lines=row["log_lines"],
        dropped_log_lines=row["dropped_log_lines"],
        receipt=row["receipt"],
    )
