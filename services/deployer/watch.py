"""
Looking at functions whose cloud is still at them, until it is done.

A cloud takes a new function at once and makes it in the background; a change may last longer than a deployment
waits. Nobody need ask for a sync: what is creating or updating is looked at again and again, the one looked at
longest ago first. A cloud that does not answer holds up nobody else's function, and one that does not let us look
any more leaves none in between two states for ever.
"""

import asyncio

import structlog

from services.deployer.providers.providers import Providers
from shared.database import placements
from shared.database.function_locks import function_lock
from shared.database.pool import Database
from shared.domain.errors import Fault, PlatformError

WATCH_EVERY_S = 2.0
UNSEEN_S = 600.0
"""For how long a function whose cloud refuses to tell of it counts as still being made or changed."""
_BATCH = 20
_AT_ONCE = 4
_LOCK_WAIT_S = 0.05
GONE = "the cloud does not have the function any more"

_log = structlog.get_logger(__name__)


async def watch(db: Database, providers: Providers, *, older_than_s: float = WATCH_EVERY_S) -> int:
    """Look at what is not settled, at most a batch; return how many were looked at."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def looked(function_id: str) -> bool:
        async with places:
            return await _looked(db, providers, function_id)

    async with asyncio.TaskGroup() as tasks:
        looks = [
            tasks.create_task(looked(function_id))
            for function_id in await placements.unsettled(db, older_than_s, _BATCH)
        ]
    return sum(look.result() for look in looks)


async def _looked(db: Database, providers: Providers, function_id: str) -> bool:
    try:
        # Whoever deploys the function sees for himself.
        async with function_lock(db, function_id, wait_s=_LOCK_WAIT_S):
            try:
                await look(db, providers, function_id)
            except PlatformError as error:
                _log.info("function_not_looked_at", function_id=function_id, reason=error.message)
                lasting = error.message if error.fault is Fault.CALLER else None
                await placements.record_unseen(db, function_id, lasting, UNSEEN_S)
                return False
    except PlatformError as error:
        _log.info("function_not_looked_at", function_id=function_id, reason=error.message)
        return False
    return True


async def look(db: Database, providers: Providers, function_id: str) -> None:
    """Write down how a function is at its cloud; raises ``PlatformError`` when that cannot be asked."""
    placed = await placements.find_placed(db, function_id)
    if placed is None:
        return
    seen = await (await providers.of(placed.placement)).look(placed.placement)
    if seen is not None:
        await placements.record_seen(db, function_id, seen)
    elif placed.state is not None:
        await placements.record_gone(db, function_id, GONE)
