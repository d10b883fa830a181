"""
Versions of functions that have been replaced, or whose function has been deleted: forgotten after a while.

Nothing goes back to an earlier version. One is still named by a run that is not settled, or that has no receipt yet,
and is run for a moment longer by an invoker that has not heard of the next one.
"""

from shared.database.pool import Queries

_BUSY = """
    SELECT version_id FROM executions WHERE status IN ('queued', 'running')
    UNION SELECT version_id FROM executions
    WHERE receipt IS NULL AND kind = 'neo' AND status IN ('completed', 'failed', 'cancelled')
"""


async def forget_replaced(db: Queries, older_than_s: float, *, limit: int) -> int:
    """Forget up to ``limit`` versions that were replaced so long ago, or their function deleted; return how many."""
    await db.execute(
        f"""
        UPDATE functions SET active_version_id = NULL WHERE id IN (
            SELECT id FROM functions
            WHERE deleted_at < now() - make_interval(secs => $1) AND active_version_id IS NOT NULL
                AND active_version_id NOT IN ({_BUSY})
            LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        """,  # noqa: S608 - constants
        older_than_s,
        limit,
    )
    gone = await db.fetch(
        f"""
        DELETE FROM function_versions WHERE id IN (
            SELECT v.id FROM function_versions v JOIN functions f ON f.id = v.function_id
            WHERE v.id IS DISTINCT FROM f.active_version_id
                AND (f.deleted_at < now() - make_interval(secs => $1) OR EXISTS (
                    SELECT FROM function_versions n WHERE n.function_id = v.function_id AND n.number > v.number
                        AND n.created_at < now() - make_interval(secs => $1)))
                AND v.id NOT IN ({_BUSY})
            ORDER BY v.id LIMIT $2 FOR UPDATE OF v SKIP LOCKED
        ) RETURNING 1
        """,  # noqa: S608 - constants
        older_than_s,
        limit,
    )
    return len(gone)
