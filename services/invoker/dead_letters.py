"""
Work that will not be tried again is settled here, with its true reason; nothing stays queued for ever.

A dead letter is settled from its row, so seeing one twice changes nothing.
"""

import structlog

from shared.bus.bus import Bus, DeadLetter
from shared.database import deployments, executions
from shared.database.function_locks import function_lock
from shared.database.pool import Database
from shared.domain.errors import ErrorRecord, InternalError
from shared.domain.outcome import Failure
from shared.messages.messages import DeployFunction, DeploymentFinished, RunExecution
from shared.process import metrics

_settled = metrics.counter("dead_letters_total", "Work given up and settled as failed.", ("type",))

logger = structlog.get_logger()


class DeadLetters:
    """The consumer of ``tidemill.dead.v1``."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus

    async def settle(self, letter: DeadLetter) -> None:
        """Settle one dead letter."""
        logger.error("work_given_up", type=letter.work.TYPE, reason=letter.reason)
        _settled.labels(letter.work.TYPE).inc()
        match letter.work:
            case RunExecution():
                await executions.refuse(self._db, letter.work.execution_id, _failure(letter.reason))
            case DeployFunction():
                await self._refuse_deployment(letter.work, letter.reason)

    async def _refuse_deployment(self, work: DeployFunction, reason: str) -> None:
        error = ErrorRecord(
            code=InternalError.code,
            kind=InternalError.kind,
            message=f"the deployment was given up: {reason}",
        )
        # Another delivery may be at this very deployment: it holds the lock, and then there is nothing to give up.
        async with function_lock(self._db, work.function_id):
            await deployments.give_up(self._db, work.deployment_id, error)
        self._bus.notify(
            DeploymentFinished(deployment_id=work.deployment_id, function_id=work.function_id, error=error)
        )


def _failure(reason: str) -> Failure:
    return Failure(kind="refused", name="platform.dead_letter", message=f"the execution was given up: {reason}")
