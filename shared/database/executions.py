"""
Executions that were accepted: kept, dispatched, claimed, settled.

The row is the truth. Each move is one statement over a batch, guarded by the states it is legal from
(``shared.domain.states``), and counts what it really moved in the same transaction, so that
``accepted = queued + running + completed + failed + cancelled`` holds at every moment. How finished synchronous
runs are recorded, and all reading, is in ``execution_records.py``; which commands have gone out, in
``dispatches.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database.dispatches import (
    Dispatch,
    mark_dispatched,
    undispatch_all,
    undispatched,
)
from shared.database.execution_records import (
    LedgerRow,
    find_execution,
    insert_finished,
    ledger,
    list_executions,
)
from shared.database.idempotency import CLAIMED, first_with_key, stored_key
from shared.database.leases import HOLDER_SILENT_S, PutOff, interrupt_all, interrupt_lost, put_off
from shared.database.partitions import days_of, ensure_days, is_partition_missing
from shared.database.pool import Database, Queries, Row
from shared.database.stats import ACCEPT_SHARD, SETTLE_SHARD, count_accepted, count_ended
from shared.database.text import json_text, stored_bytes
from shared.domain.execution import ExecutionKind, ExecutionStatus
from shared.domain.outcome import Failure, Timings
from shared.domain.states import EXECUTION, sources

__all__ = [
    "HOLDER_SILENT_S",
    "AcceptedExecution",
    "Claim",
    "ClaimedExecution",
    "Dispatch",
    "LedgerRow",
    "NewExecution",
    "PutOff",
    "Settlement",
    "accept",
    "cancel",
    "claim",
    "find_execution",
    "insert_finished",
    "interrupt_all",
    "interrupt_lost",
    "ledger",
    "list_executions",
    "mark_dispatched",
    "put_off",
    "refuse",
    "settle",
    "undispatch_all",
    "undispatched",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """
    A run to be accepted. ``params`` is JSON text.

    An ``idempotency_key`` counts in its whole environment: callers that mean one function put its id in the key.
    """

    id: str
    function_id: str
    environment_id: str
    version_id: str
    kind: ExecutionKind
    params: bytes
    created_by_user: str | None = None
    created_by_application: str | None = None
    idempotency_key: str | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.params)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedExecution:
    """What became of a ``NewExecution``: kept, or (``is_new`` false) the one its key stands for already."""

    id: str
    accepted_at: datetime
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    Who wants to run an execution, which version, and for how long from now they may.

    ``again`` takes up an earlier claim of the same holder, who never heard of it.
    """

    id: str
    holder: str
    lease_s: float
    version_id: str
    again: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.id) + len(self.holder)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedExecution:
    """An execution in the hands of whoever claimed it."""

    id: str
    function_id: str
    environment_id: str
    version_id: str
    kind: ExecutionKind
    params: bytes
    accepted_at: datetime
    started_at: datetime
    created_by_user: str | None
    created_by_application: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """
    How a claimed execution ended: failed if there is a ``failure``, else completed.

    ``result`` and ``receipt`` are JSON texts. ``finished_at`` None is the moment of writing, for who signs nothing.
    """

    id: str
    holder: str
    failure: Failure | None
    result: bytes | None = None
    result_defined: bool = False
    duration_ms: float = 0.0
    timings: Timings | None = None
    log_lines: int = 0
    dropped_log_lines: int = 0
    finished_at: datetime | None = None
    receipt: str | None = None

    @property
    def status(self) -> ExecutionStatus:
        return ExecutionStatus.COMPLETED if self.failure is None else ExecutionStatus.FAILED

    @property
    def size_bytes(self) -> int:
        return len(self.result or b"")


_ACCEPT = f"""
    WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                             $8::text[], $9::text[])
            AS t(id, function_id, environment_id, version_id, kind, params, created_by_user, created_by_application,
                 idempotency_key)
    ), {CLAIMED}, inserted AS (
        INSERT INTO executions (id, function_id, environment_id, version_id, kind, status, params, accepted_at,
                                created_by_user, created_by_application, idempotency_key)
        SELECT id, function_id, environment_id, version_id, kind, 'queued', params, accepted_at,
               created_by_user, created_by_application, idempotency_key
        FROM resolved WHERE kept_id = id
        RETURNING function_id, kind
    ), counted AS ({count_accepted("inserted", "$10::smallint")})
    SELECT id, kept_id, accepted_at FROM resolved
"""  # noqa: S608 - built from constants


async def accept(db: Database, new: Sequence[NewExecution]) -> list[AcceptedExecution]:
    """
    Keep runs, all of them or none; return what became of each, in order.

    A key used within the last 24 h, also by an earlier row of this batch or by a transaction that is just being
    committed, gives the execution it was first used for.
    """
    try:
        return await _accept(db, new)
    except asyncpg.CheckViolationError as error:
        if not is_partition_missing(error):
            raise
    # The logger makes partitions ahead of time; accepting work does not depend on it.
    await ensure_days(db, days_of(row.id for row in new))
    return await _accept(db, new)


async def _accept(db: Database, new: Sequence[NewExecution]) -> list[AcceptedExecution]:
    first_of = first_with_key(new)
    fresh = sorted({row.id: row for row in first_of.values()}.values(), key=lambda row: row.id)
    rows = await db.fetch(
        _ACCEPT,
        [row.id for row in fresh],
        [row.function_id for row in fresh],
        [row.environment_id for row in fresh],
        [row.version_id for row in fresh],
        [row.kind for row in fresh],
        [stored_bytes(row.params) for row in fresh],
        [row.created_by_user for row in fresh],
        [row.created_by_application for row in fresh],
        [stored_key(row.idempotency_key) for row in fresh],
        ACCEPT_SHARD,
    )
    became = {row["id"]: row for row in rows}
    return [_accepted(row.id, became[first_of[row.id].id]) for row in new]


def _accepted(own_id: str, row: Row) -> AcceptedExecution:
    return AcceptedExecution(id=row["kept_id"], accepted_at=row["accepted_at"], is_new=row["kept_id"] == own_id)


async def claim(db: Queries, claims: Sequence[Claim]) -> list[ClaimedExecution | None]:
    """Move executions from queued to running, each with a lease; None for one that is not queued (any more)."""
    rows = await db.fetch(
        """
        UPDATE executions e SET status = 'running', started_at = clock_timestamp(), version_id = input.version_id,
               lease_holder = input.holder, lease_until = clock_timestamp() + make_interval(secs => input.lease_s)
        FROM unnest($1::text[], $2::text[], $3::double precision[], $4::text[], $5::boolean[])
            AS input(id, holder, lease_s, version_id, again)
        WHERE e.id = input.id AND (e.status = ANY($6::text[])
                                   OR input.again AND e.lease_holder = input.holder AND e.status = ANY($7::text[]))
        RETURNING e.id, e.function_id, e.environment_id, e.version_id, e.kind, e.params, e.accepted_at, e.started_at,
                  e.created_by_user, e.created_by_application, e.lease_holder
        """,
        [each.id for each in claims],
        [each.holder for each in claims],
        [each.lease_s for each in claims],
        [each.version_id for each in claims],
        [each.again for each in claims],
        sources(EXECUTION, "claimed"),
        sources(EXECUTION, "reclaimed"),
    )
    claimed = {row["id"]: row for row in rows}
    # Each row goes to the one claim that took it, also when a batch holds two claims of the same execution.
    return [
        _claimed(claimed.pop(each.id))
        if each.id in claimed and claimed[each.id]["lease_holder"] == each.holder
        else None
        for each in claims
    ]


def _claimed(row: Row) -> ClaimedExecution:
    return ClaimedExecution(
        id=row["id"],
        function_id=row["function_id"],
        environment_id=row["environment_id"],
        version_id=row["version_id"],
        kind=ExecutionKind(row["kind"]),
        params=row["params"].encode(),
        accepted_at=row["accepted_at"],
        started_at=row["started_at"],
        created_by_user=row["created_by_user"],
        created_by_application=row["created_by_application"],
    )


_SETTLE = f"""
    WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[],
                             $7::double precision[], $8::text[], $9::integer[], $10::integer[], $13::timestamptz[],
                             $14::text[])
            AS t(id, holder, status, result, result_defined, failure, duration_ms, timings, log_lines,
                 dropped_log_lines, finished_at, receipt)
    ), settled AS (
        UPDATE executions e SET
            status = input.status, result = input.result, result_defined = input.result_defined,
            failure = input.failure::jsonb, receipt = input.receipt,
            finished_at = coalesce(input.finished_at, clock_timestamp()), duration_ms = input.duration_ms,
            timings = input.timings::jsonb, log_lines = input.log_lines,
            dropped_log_lines = input.dropped_log_lines, lease_until = NULL
        FROM input
        WHERE e.id = input.id AND e.lease_holder = input.holder AND e.status = ANY($11::text[])
        RETURNING e.id, e.function_id, e.kind, e.status, e.duration_ms, e.started_at
    ), counted AS ({count_ended("settled", "$12::smallint")})
    SELECT id FROM settled
"""  # noqa: S608 - built from constants


async def settle(db: Queries, settlements: Sequence[Settlement]) -> list[bool]:
    """
    End running executions, all in one transaction with their counts.

    Return for each whether it was settled by this: False when the settler does not hold its lease (any more), or
    it has ended already.
    """
    legal = sorted({*sources(EXECUTION, "returned"), *sources(EXECUTION, "failed")})
    rows = await db.fetch(
        _SETTLE,
        [each.id for each in settlements],
        [each.holder for each in settlements],
        [each.status for each in settlements],
        [None if each.result is None else stored_bytes(each.result) for each in settlements],
        [each.result_defined for each in settlements],
        [_json(each.failure) for each in settlements],
        [each.duration_ms for each in settlements],
        [_json(each.timings) for each in settlements],
        [each.log_lines for each in settlements],
        [each.dropped_log_lines for each in settlements],
        legal,
        SETTLE_SHARD,
        [each.finished_at for each in settlements],
        [each.receipt for each in settlements],
    )
    settled = {row["id"] for row in rows}
    return [each.id in settled for each in settlements]


async def refuse(db: Queries, execution_id: str, failure: Failure) -> bool:
    """Fail an execution that cannot be started; return False when it is not queued (any more)."""
    return await _leave_queue(db, execution_id, "refused", "failed", failure)


async def cancel(db: Queries, execution_id: str) -> bool:
    """Call an execution off; return False when it is not queued (any more)."""
    return await _leave_queue(db, execution_id, "cancelled", "cancelled", None)


async def _leave_queue(db: Queries, execution_id: str, event: str, status: str, failure: Failure | None) -> bool:
    ended = await db.fetchval(
        f"""
        WITH ended AS (
            UPDATE executions SET status = $2, failure = $3, finished_at = now()
            WHERE id = $1 AND status = ANY($4::text[])
            RETURNING id, function_id, kind, status, duration_ms, started_at
        ), counted AS ({count_ended("ended", "$5::smallint")})
        SELECT id FROM ended
        """,  # noqa: S608 - built from constants
        execution_id,
        status,
        None if failure is None else failure,
        sources(EXECUTION, event),
        SETTLE_SHARD,
    )
    return ended is not None


def _json(value: Failure | Timings | None) -> str | None:
    return None if value is None else json_text(value)
