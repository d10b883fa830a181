"""
Deployments that nobody is at any more are sent again.

A killed deployer leaves its command unacknowledged and the broker delivers it again; but the command may never
have gone out, or the bus may have been in memory. The rows know. A deployment that is sent twice is done once.
"""

import structlog

from shared.bus.bus import Bus
from shared.database import stale_deployments
from shared.database.pool import Database
from shared.messages.messages import DeployFunction

_BATCH = 100

_log = structlog.get_logger(__name__)


async def resend_unfinished(db: Database, bus: Bus, *, older_than_s: float) -> int:
    """Send the deployments nobody has touched for so long, at most a batch; return how many."""
    forgotten = await stale_deployments.unfinished(db, older_than_s, _BATCH)
    for deployment_id, function_id in forgotten:
        await bus.send(DeployFunction(deployment_id=deployment_id, function_id=function_id))
    if forgotten:
        _log.info("deployments_resent", count=len(forgotten))
    return len(forgotten)
