"""
Sends the commands of accepted executions, behind the caller's back.

An execution is kept from the moment its row is committed; the caller hears its id then. The command follows:
executions are sent in batches, each with the bus's confirmation, and their rows stamped in one statement. What
cannot be sent or stamped, and what exceeds the bound, is left to the relay, which sends every row whose
command never went out; a command sent twice runs once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from shared.bus.bus import Bus
from shared.database import executions
from shared.database.executions import Dispatch
from shared.database.pool import Database
from shared.domain.errors import PlatformError
from shared.messages.messages import RunExecution
from shared.process import metrics

_log = structlog.get_logger(__name__)
_left_to_relay = metrics.counter(
    "dispatches_left_to_relay_total", "Accepted executions whose command the api could not send itself."
)


class Dispatcher:
    """The outbox of one process. ``run`` is its only task; ``dispatch`` never waits."""

    def __init__(self, db: Database, bus: Bus, *, max_waiting: int = 20_000, max_batch: int = 200) -> None:
        self._db = db
        self._bus = bus
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._waiting: deque[Dispatch] = deque()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def dispatch(self, command: Dispatch) -> None:
        """Have the command of an accepted execution sent soon."""
        if len(self._waiting) >= self._max_waiting:
            _left_to_relay.inc()
            return
        self._waiting.append(command)
        self._idle.clear()
        self._work.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._work.wait()
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            await self._send_all(batch)
            if not self._waiting:
                self._work.clear()
                self._idle.set()

    async def drain(self) -> None:
        """Wait until everything handed over has been tried."""
        await self._idle.wait()

    async def _send_all(self, batch: Sequence[Dispatch]) -> None:
        results = await asyncio.gather(*(self._sent(command) for command in batch))
        sent = [command for command, ok in zip(batch, results, strict=True) if ok]
        if len(sent) < len(batch):
            _left_to_relay.inc(len(batch) - len(sent))
            _log.warning("executions_left_to_relay", count=len(batch) - len(sent))
        if not sent:
            return
        try:
            await executions.mark_dispatched(self._db, sent)
        except PlatformError as error:
            _log.warning("dispatch_not_stamped", count=len(sent), reason=error.message)

    async def _sent(self, command: Dispatch) -> bool:
        try:
            await self._bus.send(
                RunExecution(
                    execution_id=command.execution_id, function_id=command.function_id, revision=command.revision
                )
            )
        except PlatformError:
            return False
        return True
