"""
Chores: partitions made before they are needed, everything dropped when its time is over.

Records go by whole days. Idempotency keys, tokens, long ended deployments and what these left, and tasks, go by the
row. Every logger does all of it; doing it twice changes nothing.
"""

from datetime import UTC, datetime

import structlog

from services.logger.settings import DAYS_AHEAD
from shared.database import access, authorizations, deployments, idempotency, partitions, tasks, variables
from shared.database.pool import Database

_log = structlog.get_logger(__name__)


async def ensure_partitions(db: Database) -> None:
    """Make the partitions of today and the days ahead."""
    made = await partitions.ensure_partitions(db, datetime.now(UTC).date(), DAYS_AHEAD)
    if made:
        _log.info("partitions_made", partitions=made)


async def drop_expired(db: Database, keep_days: int) -> None:
    """Drop what is past its time."""
    dropped = await partitions.drop_old_partitions(db, keep_days)
    if dropped:
        _log.info("partitions_dropped", partitions=dropped)
    await idempotency.forget(db)
    await access.forget_expired_tokens(db)
    await authorizations.forget_expired(db)
    await deployments.forget_ended(db, keep_days)
    await variables.forget_unused(db, keep_days)
    while forgotten := await tasks.forget_ended(db, keep_days):
        _log.info("tasks_forgotten", count=forgotten)
