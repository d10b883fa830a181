"""
Which accepted executions have had their command sent, and which must have it sent again.

A queued row is sent until it is claimed: its command may never have gone out, or may have been lost. A command
sent twice runs once, because the claim is what counts.
"""

from collections.abc import Sequence

from shared.database.pool import Queries

DISPATCH_DUE_S = 2.0
DISPATCH_LOST_S = 900.0
SENDING_S = 10.0
"""How long whoever took a row to send it has to say that it did; then another may."""


async def mark_dispatched(db: Queries, ids: Sequence[str]) -> None:
    """Note that the commands of these have gone out; those already claimed need no note."""
    await db.execute(
        "UPDATE executions SET dispatched_at = now() WHERE id = ANY($1::text[]) AND status = 'queued'", sorted(ids)
    )


async def undispatched(db: Queries, limit: int) -> list[tuple[str, str]]:
    """
    Take up to ``limit`` queued executions that must be sent again.

    These are the ones whose command never went out, or went out so long ago that it must be lost. Return their
    (execution, function) ids; two that ask at once get different ones. Whoever takes them tells ``mark_dispatched``
    which ones went out: the others are due again in 10 s.
    """
    rows = await db.fetch(
        """
        UPDATE executions SET dispatched_at = now() - make_interval(secs => $2 - $4)
        WHERE id IN (
            SELECT id FROM executions
            WHERE status = 'queued'
              AND (dispatched_at IS NULL AND accepted_at < now() - make_interval(secs => $1)
                   OR dispatched_at < now() - make_interval(secs => $2))
            ORDER BY dispatched_at NULLS FIRST LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, function_id
        """,
        DISPATCH_DUE_S,
        DISPATCH_LOST_S,
        limit,
        SENDING_S,
    )
    return sorted((row["id"], row["function_id"]) for row in rows)


async def undispatch_all(db: Queries) -> None:
    """Have every queued execution sent again: the bus that held the commands went with its process."""
    await db.execute("UPDATE executions SET dispatched_at = NULL WHERE status = 'queued' AND dispatched_at IS NOT NULL")
