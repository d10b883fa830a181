"""
Running executions whose lease ends otherwise than by settling: given back unstarted, or lost with their holder.

A lease is in the row of a running execution: who holds it, and until when by the database's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.database.dispatches import DISPATCH_LOST_S
from shared.database.pool import Queries
from shared.database.stats import SETTLE_SHARD, count_ended
from shared.domain.outcome import Failure
from shared.domain.states import EXECUTION, sources

HOLDER_SILENT_S = 15.0
"""A holder of leases that was not heard of for so long is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """An execution whose command ``holder`` got, and has no place for; claimed by it, or still in the queue."""

    id: str
    holder: str

    @property
    def size_bytes(self) -> int:
        return len(self.id) + len(self.holder)


async def put_off(db: Queries, rows: Sequence[PutOff], *, due_in_s: float) -> list[bool]:
    """
    Have executions that were not started sent again in so many seconds; back to the queue with those claimed.

    Return for each whether it waits now: False when it has ended, or somebody else holds it.
    """
    waiting = await db.fetch(
        """
        UPDATE executions e SET status = 'queued', started_at = NULL, lease_holder = NULL, lease_until = NULL,
               dispatched_at = now() - make_interval(secs => $3)
        FROM unnest($1::text[], $2::text[]) AS input(id, holder)
        WHERE e.id = input.id
          AND (e.status = 'queued' OR e.lease_holder = input.holder AND e.status = ANY($4::text[]))
        RETURNING e.id
        """,
        [each.id for each in rows],
        [each.holder for each in rows],
        DISPATCH_LOST_S - due_in_s,
        sources(EXECUTION, "released"),
    )
    found = {row["id"] for row in waiting}
    return [each.id in found for each in rows]


_LEASE_OVER = "lease_until < now()"
_HOLDER_SILENT = f"""
    started_at < now() - interval '{HOLDER_SILENT_S} s'
    AND NOT EXISTS (SELECT FROM replicas r
                    WHERE r.id = e.lease_holder AND r.seen_at > now() - interval '{HOLDER_SILENT_S} s')
"""


async def interrupt_lost(db: Queries, *, silent_holders: bool = True, limit: int = 500) -> list[str]:
    """
    Fail running executions that nobody runs any more; return the ids of up to ``limit`` of them.

    Their lease has run out, or (``silent_holders``) whoever holds it was not heard of (``replicas.beat``) for 15 s.
    """
    return await _interrupt(db, f"{_LEASE_OVER} OR {_HOLDER_SILENT}" if silent_holders else _LEASE_OVER, limit)


async def interrupt_all(db: Queries, *, limit: int = 500) -> list[str]:
    """
    Fail running executions, whoever holds their lease; return the ids of up to ``limit`` of them.

    Only for who knows that no invoker is there: whatever runs would lose its result.
    """
    return await _interrupt(db, "true", limit)


async def _interrupt(db: Queries, condition: str, limit: int) -> list[str]:
    failure = Failure(
        kind="interrupted", name="InterruptedError", message="the process that ran the function went away"
    )
    rows = await db.fetch(
        f"""
        WITH lost AS (
            SELECT id FROM executions e
            WHERE status = ANY($1::text[]) AND ({condition})
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        ), ended AS (
            UPDATE executions e SET status = 'failed', failure = $3, finished_at = now(), lease_until = NULL
            FROM lost WHERE e.id = lost.id
            RETURNING e.id, e.function_id, e.kind, e.status, e.duration_ms, e.started_at
        ), counted AS ({count_ended("ended", "$4::smallint")})
        SELECT id FROM ended
        """,  # noqa: S608 - built from constants
        sources(EXECUTION, "interrupted"),
        limit,
        failure,
        SETTLE_SHARD,
    )
    return sorted(row["id"] for row in rows)
