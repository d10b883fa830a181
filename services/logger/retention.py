"""
Chores: partitions made before they are needed, everything dropped when its time is over.

Records go by whole days. Idempotency keys, tokens, long ended deployments and what these left, and tasks, go by the
row. Every logger does all of it; doing it twice changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog

from services.logger.settings import DAYS_AHEAD
from shared.database import access, authorizations, idempotency, partitions, stale_deployments, tasks, variables
from shared.database.pool import Database
from shared.domain.errors import UnavailableError

_log = structlog.get_logger(__name__)


async def ensure_partitions(db: Database) -> None:
    """Make the partitions of today and the days ahead."""
    made = await partitions.ensure_partitions(db, datetime.now(UTC).date(), DAYS_AHEAD)
    if made:
        _log.info("partitions_made", partitions=made)


async def drop_expired(db: Database, keep_days: int) -> None:
    """
    Drop what is past its time, in batches.

    What cannot be dropped now keeps nothing else from it; its error is raised in the end. An outage is raised only if
    nothing worse was met.
    """
    chores: Mapping[str, Callable[[], Awaitable[int]]] = {
        "partitions": lambda: _drop_partitions(db, keep_days),
        "idempotency keys": lambda: idempotency.forget(db),
        "tokens": lambda: access.forget_expired_tokens(db),
        "authorization codes": lambda: authorizations.forget_expired(db),
        "deployments": lambda: stale_deployments.forget_ended(db, keep_days),
        "variables": lambda: variables.forget_unused(db, keep_days),
        "tasks": lambda: tasks.forget_ended(db, keep_days),
    }
    failures: list[Exception] = []
    for what, forget in chores.items():
        try:
            while count := await forget():
                _log.info("forgotten", what=what, count=count)
        except Exception as error:  # noqa: BLE001 - raised when the others are done
            _log.warning("not_forgotten", what=what, reason=f"{type(error).__name__}: {error}")
            failures.append(error)
    if failures:
        raise next((each for each in failures if not isinstance(each, UnavailableError)), failures[0])


async def _drop_partitions(db: Database, keep_days: int) -> int:
    return len(await partitions.drop_old_partitions(db, keep_days))
