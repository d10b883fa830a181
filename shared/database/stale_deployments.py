"""Deployments that nobody is at any more: those that have not ended are sent again, the others are forgotten."""

from shared.database.pool import Queries
from shared.domain.states import DEPLOYMENT, terminal


async def unfinished(db: Queries, older_than_s: float, limit: int = 100) -> list[tuple[str, str]]:
    """Return (deployment, function) ids of what nobody has touched for so long, the oldest first."""
    rows = await db.fetch(
        """
        SELECT id, function_id FROM deployments
        WHERE state IN ('pending', 'running') AND updated_at < now() - make_interval(secs => $1)
        ORDER BY updated_at LIMIT $2
        """,
        older_than_s,
        limit,
    )
    return [(row["id"], row["function_id"]) for row in rows]


async def forget_ended(db: Queries, keep_days: int, *, limit: int = 1_000) -> int:
    """Forget up to ``limit`` deployments that ended so many days ago; what they made stays. Return how many."""
    gone = await db.fetch(
        """
        DELETE FROM deployments WHERE id IN (
            SELECT id FROM deployments WHERE state = ANY($1::text[]) AND updated_at < now() - make_interval(days => $2)
            LIMIT $3 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
        """,
        sorted(terminal(DEPLOYMENT)),
        keep_days,
        limit,
    )
    return len(gone)
