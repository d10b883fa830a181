"""
Which accepted executions have had their command sent, and which must have it sent again.

A queued row is sent until it is claimed: its command may never have gone out, or may have been lost, or an
invoker had no place for it and put it off. A command sent twice runs once, because the claim is what counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Queries

DISPATCH_DUE_S = 2.0
DISPATCH_LOST_S = 900.0
SENDING_S = 10.0
"""How long whoever took a row to send it has to say that it did; then another may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """
    A command to send. ``revision`` is the function's, that an invoker must know at least.

    ``taken_at`` is the mark its row bears while it is being sent, None for one that was just accepted.
    """

    execution_id: str
    function_id: str
    revision: int
    taken_at: datetime | None = None


async def mark_dispatched(db: Queries, sent: Sequence[Dispatch]) -> None:
    """
    Note that these commands have gone out.

    One that was claimed meanwhile needs no note; one that was put off meanwhile keeps its own mark.
    """
    ordered = sorted(sent, key=lambda each: each.execution_id)
    await db.execute(
        """
        UPDATE executions e SET dispatched_at = now()
        FROM unnest($1::text[], $2::timestamptz[]) AS sent(id, taken_at)
        WHERE e.id = sent.id AND e.status = 'queued' AND e.dispatched_at IS NOT DISTINCT FROM sent.taken_at
        """,
        [each.execution_id for each in ordered],
        [each.taken_at for each in ordered],
    )


async def undispatched(db: Queries, limit: int) -> list[Dispatch]:
    """
    Take up to ``limit`` queued executions that must be sent (again).

    Two that ask at once get different ones. Whoever takes them tells ``mark_dispatched`` which ones went out: the
    others are due again in 10 s.
    """
    rows = await db.fetch(
        """
        UPDATE executions e SET dispatched_at = now() - make_interval(secs => $2 - $4)
        WHERE id IN (
            SELECT id FROM executions
            WHERE status = 'queued'
              AND (dispatched_at IS NULL AND accepted_at < now() - make_interval(secs => $1)
                   OR dispatched_at < now() - make_interval(secs => $2))
            ORDER BY dispatched_at NULLS FIRST LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, function_id, dispatched_at,
                  coalesce((SELECT revision FROM functions f WHERE f.id = e.function_id), 0) AS revision
        """,
        DISPATCH_DUE_S,
        DISPATCH_LOST_S,
        limit,
        SENDING_S,
    )
    taken = [
        Dispatch(
            execution_id=row["id"],
            function_id=row["function_id"],
            revision=row["revision"],
            taken_at=row["dispatched_at"],
        )
        for row in rows
    ]
    return sorted(taken, key=lambda each: each.execution_id)


async def undispatch_all(db: Queries) -> None:
    """Have every queued execution sent again: the bus that held the commands went with its process."""
    await db.execute("UPDATE executions SET dispatched_at = NULL WHERE status = 'queued' AND dispatched_at IS NOT NULL")
