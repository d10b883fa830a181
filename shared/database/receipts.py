"""
Receipts beside their executions: which ended without one, and those that were made since.

Most runs are recorded with their receipt. What was settled without a run, and what was too large to be hashed on
the way, is signed afterwards; signing is the same for whoever does it, so nobody takes turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Queries, Row
from shared.database.records import failure_from
from shared.domain.execution import ExecutionStatus
from shared.domain.outcome import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedRun:
    """
    A run that has ended, as it is recorded. ``params`` and ``result`` are JSON texts.

    ``code_hash`` is None when its version is gone.
    """

    id: str
    function_id: str
    code_hash: str | None
    params: str
    status: ExecutionStatus
    result: str | None
    failure: Failure | None
    started_at: datetime
    finished_at: datetime


async def unsigned(db: Queries, *, limit: int = 200, max_bytes: int = 8 * 1024 * 1024) -> Sequence[UnsignedRun]:
    """Return the oldest ended Neo executions without a receipt: at most so many, and so much but for the first."""
    rows = await db.fetch(
        """
        SELECT e.id, e.function_id, v.code_hash, e.params, e.status, e.result, e.failure, e.began_at,
               coalesce(e.finished_at, e.began_at) AS finished_at
        FROM (
            SELECT *, sum(octet_length(params) + coalesce(octet_length(result), 0)) OVER (ORDER BY id) AS up_to,
                   row_number() OVER (ORDER BY id) AS number
            FROM (
                SELECT id, function_id, version_id, params, status, result, failure, began_at, finished_at
                FROM executions
                WHERE receipt IS NULL AND kind = 'neo' AND status IN ('completed', 'failed', 'cancelled')
                ORDER BY id LIMIT $1
            ) oldest
        ) e LEFT JOIN function_versions v ON v.id = e.version_id
        WHERE e.up_to <= $2 OR e.number = 1 ORDER BY e.id
        """,
        limit,
        max_bytes,
    )
    return [_run_of(row) for row in rows]


async def keep(db: Queries, receipts: Sequence[tuple[str, str]]) -> None:
    """Write receipts (execution id, JSON text) to executions that have none."""
    await db.execute(
        """
        UPDATE executions e SET receipt = input.receipt FROM unnest($1::text[], $2::text[]) AS input(id, receipt)
        WHERE e.id = input.id AND e.receipt IS NULL
        """,
        [execution_id for execution_id, _ in receipts],
        [text for _, text in receipts],
    )


def _run_of(row: Row) -> UnsignedRun:
    return UnsignedRun(
        id=row["id"],
        function_id=row["function_id"],
        code_hash=row["code_hash"],
        params=row["params"],
        status=ExecutionStatus(row["status"]),
        result=row["result"],
        failure=failure_from(row["failure"]),
        started_at=row["began_at"],
        finished_at=row["finished_at"],
    )
