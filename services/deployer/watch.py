"""
Looking at functions whose cloud is still at them, until it is done.

A cloud takes a new function at once and makes it in the background; a change may last longer than a deployment
waits. Nobody need ask for a sync: what is creating or updating is looked at again and again, the one looked at
longest ago first. What a change that was given up may have left there is taken back.

A cloud that does not answer holds up nobody else's function, and one that does not let us look any more leaves none in
between two states for ever.
"""

import asyncio

import structlog

from services.deployer.planning import observed_of
from services.deployer.providers.provider import Desired
from services.deployer.providers.providers import Providers
from shared.database import functions, placements
from shared.database.function_locks import function_lock
from shared.database.pool import Database
from shared.domain.errors import Fault, PlatformError
from shared.domain.placement import Placement

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
                await _settle(db, providers, function_id)
            except PlatformError as error:
                _log.info("function_not_looked_at", function_id=function_id, reason=error.message)
                lasting = error.message if error.fault is Fault.CALLER else None
                await placements.record_unseen(db, function_id, lasting, UNSEEN_S)
                return False
    except PlatformError as error:
        _log.info("function_not_looked_at", function_id=function_id, reason=error.message)
        return False
    return True


async def _settle(db: Database, providers: Providers, function_id: str) -> None:
    placed = await placements.find_placed(db, function_id)
    if placed is not None and placed.is_unsure:
        await _take_back(db, providers, placed.placement)
        await placements.record_sure(db, function_id)
    await look(db, providers, function_id)


async def _take_back(db: Database, providers: Providers, placement: Placement) -> None:
    """Bring a function to the version that is active, if its cloud still has it."""
    active = await functions.find_function(db, placement.function_id)
    if active is None:
        return
    desired = Desired(
        function_id=active.id,
        spec=active.version.spec,
        package_sha256=active.version.package_sha256,
        description=active.description,
        placement=placement,
    )
    provider = await providers.of(placement)
    seen = await provider.observe(desired)
    if seen.cloud is None:
        return
    for step in provider.plan(desired, observed_of(active, seen)):
        await provider.execute(step, desired)
        _log.info("function_taken_back", function_id=active.id, step=step)


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
