"""
Deployments that nobody is at any more are sent again.

A killed deployer leaves its command unacknowledged and the broker delivers it again; but the command may never
have gone out, or the bus may have been in memory. The rows know. A deployment that is sent twice is done once; whose
function somebody has locked is not sent: at a cloud it may take minutes, and each command that waits for it would take
the place of another.
"""

import structlog

from shared.bus.bus import Bus
from shared.database import stale_deployments
from shared.database.function_locks import function_lock
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.messages.messages import DeployFunction

_BATCH = 100
_LOCK_WAIT_S = 0.02

_log = structlog.get_logger(__name__)


async def resend_unfinished(db: Database, bus: Bus, *, older_than_s: float) -> int:
    """Send the deployments nobody has touched for so long and nobody is at, at most a batch; return how many."""
    sent = 0
    for deployment_id, function_id in await stale_deployments.unfinished(db, older_than_s, _BATCH):
        if await _is_free(db, function_id):
            await bus.send(DeployFunction(deployment_id=deployment_id, function_id=function_id))
            sent += 1
    if sent:
        _log.info("deployments_resent", count=sent)
    return sent


async def _is_free(db: Database, function_id: str) -> bool:
    try:
        async with function_lock(db, function_id, wait_s=_LOCK_WAIT_S):
            return True
    except UnavailableError:
        return False
