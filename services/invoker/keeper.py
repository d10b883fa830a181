"""
What keeps accepted executions and tasks from being forgotten: three small loops, safe to run in every invoker.

- ``beat`` says that this invoker is alive; its leases count only while it does.
- ``relay`` sends executions whose command never went out, or went out so long ago that it must be lost.
- ``reap`` settles running executions and tasks whose lease ran out or whose invoker is gone, as interrupted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from shared.bus.bus import Bus
from shared.database import executions, replicas, task_queue
from shared.database.executions import Dispatch
from shared.database.pool import Database
from shared.messages.messages import RunExecution
from shared.process.chores import every
from shared.process.supervise import Supervisor

BEAT_S = 5.0
RELAY_S = 1.0
REAP_S = 5.0
RELAY_BATCH = 500

logger = structlog.get_logger()


class Keeper:
    """
    The three loops of one invoker.

    ``details`` is what others may know of it (``shared.database.replicas``); ``now`` gives seconds of a steady clock.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        replica_id: str,
        details: Mapping[str, Any] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._bus = bus
        self._replica_id = replica_id
        self._details = details
        self._now = now
        self._beating_since = self._last_beat = now()

    async def start(self, supervisor: Supervisor) -> None:
        """Announce this invoker, then keep at it."""
        await self.beat()
        supervisor.spawn("invoker-beat", every(BEAT_S, self.beat))
        supervisor.spawn("invoker-relay", every(RELAY_S, self.relay))
        supervisor.spawn("invoker-reap", every(REAP_S, self.reap))

    async def beat(self) -> None:
        """Say that this invoker is alive."""
        await replicas.beat(self._db, self._replica_id, "invoker", self._details)
        if self._now() - self._last_beat > executions.HOLDER_SILENT_S:
            self._beating_since = self._now()
        self._last_beat = self._now()

    async def relay(self) -> None:
        """Send what was accepted and never sent; what could not be sent now comes up again."""
        while lost := await executions.undispatched(self._db, RELAY_BATCH):
            outcomes = await asyncio.gather(*(self._bus.send(_command(each)) for each in lost), return_exceptions=True)
            sent = [each for each, outcome in zip(lost, outcomes, strict=True) if outcome is None]
            if sent:
                await executions.mark_dispatched(self._db, sent)
                logger.info("executions_relayed", count=len(sent))
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
            if len(lost) < RELAY_BATCH:
                return

    async def reap(self) -> None:
        """
        Settle what nobody is running any more.

        Silence proves nothing when nobody could be heard: after the database was away, every invoker gets the
        time to say that it is alive before any is taken for dead.
        """
        await self.beat()
        could_be_heard = self._now() - self._beating_since >= executions.HOLDER_SILENT_S
        _tell("executions_interrupted", await executions.interrupt_lost(self._db, silent_holders=could_be_heard))
        _tell("tasks_interrupted", await task_queue.interrupt_lost(self._db, silent_holders=could_be_heard))


async def settle_cut_off(db: Database) -> None:
    """
    Settle every running execution and task as interrupted, at once.

    For a process that starts on a database nobody else can reach: whatever was running ended with the last one.
    """
    while interrupted := await executions.interrupt_all(db):
        _tell("executions_interrupted", interrupted)
    while interrupted := await task_queue.interrupt_all(db):
        _tell("tasks_interrupted", interrupted)


def _tell(event: str, interrupted: list[str]) -> None:
    if interrupted:
        logger.warning(event, count=len(interrupted), ids=interrupted[:20])


def _command(dispatch: Dispatch) -> RunExecution:
    return RunExecution(
        execution_id=dispatch.execution_id, function_id=dispatch.function_id, revision=dispatch.revision
    )
