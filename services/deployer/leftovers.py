"""
Taking away at clouds what creates that were given up may have left there.

Whoever gave one up could not ask the cloud, or had died, or the cloud was still at it: a function that turns up a
minute later would belong to nobody. So a leftover is looked for at once, and once more when nothing can turn up any
more. Only a function that says it is that one is touched.
"""

import structlog

from services.deployer.providers.providers import Providers
from shared.database import leftovers
from shared.database.function_locks import function_lock
from shared.database.leftovers import Leftover
from shared.database.pool import Database
from shared.domain.errors import PlatformError

SURE_AFTER_S = 180.0
"""Longer than any call to a cloud goes on after nobody waits for it."""
AGAIN_S = 30.0
GIVE_UP_S = 24 * 3600.0
_BATCH = 10
_LOCK_WAIT_S = 0.05

_log = structlog.get_logger(__name__)


async def take_away(db: Database, providers: Providers) -> int:
    """Take away what is due, at most a batch; return how many were looked for."""
    found = await leftovers.due(db, _BATCH)
    for leftover in found:
        await _take_away(db, providers, leftover)
    return len(found)


async def _take_away(db: Database, providers: Providers, leftover: Leftover) -> None:
    placement = leftover.placement
    function_id = placement.function_id
    try:
        async with function_lock(db, function_id, wait_s=_LOCK_WAIT_S):
            await (await providers.of(placement)).remove(placement)
    except PlatformError as error:
        if leftover.age_s < GIVE_UP_S:
            _log.info("leftover_not_taken_away", function_id=function_id, reason=error.message)
            await leftovers.put_off(db, function_id, AGAIN_S)
            return
        _log.error(
            "leftover_given_up",
            function_id=function_id,
            account=placement.account_id,
            region=placement.region,
            name=placement.name,
            reason=error.message,
        )
    else:
        if leftover.age_s < SURE_AFTER_S:
            await leftovers.put_off(db, function_id, SURE_AFTER_S - leftover.age_s)
            return
    await leftovers.forget(db, function_id)
