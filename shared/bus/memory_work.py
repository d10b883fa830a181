"""
Work in memory: a line for each queue, with its delivery limit, and the dead letters behind them.

Nothing here outlives the process; ``MemoryBus`` says so by not being ``durable``.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from shared.bus.bus import DeadLetter, DeadLetterHandler, Delivery, WorkHandler
from shared.bus.delivery import Fate, InFlight, dispose, pause_s
from shared.domain.errors import UnavailableError
from shared.messages.messages import Work
from shared.messages.topology import WorkQueue
from shared.process.supervise import Supervisor

MAX_WAITING = 1_000_000
"""Pieces of work in one line. A piece is two ids; what it stands for is a row."""

_log = structlog.get_logger(__name__)


class WorkLine:
    """One queue of work. Work put while nobody consumes waits."""

    def __init__(
        self,
        queue: WorkQueue,
        tasks: Supervisor,
        bury: Callable[[DeadLetter], None],
        redelivery_pause_s: float,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._queue, self._tasks, self._bury = queue, tasks, bury
        self._pause_s, self._max_waiting = redelivery_pause_s, max_waiting
        self._waiting: deque[tuple[Work, int]] = deque()
        self._handler: WorkHandler | None = None
        self._in_flight = InFlight(1)
        self._stopped = False

    def put(self, work: Work) -> None:
        """Add a piece at the end; ``UnavailableError`` when the line is full."""
        if len(self._waiting) >= self._max_waiting:
            raise UnavailableError(f"{self._queue.name} is full", limit=self._max_waiting)
        self._waiting.append((work, 1))
        self._fill()

    def consume(self, handler: WorkHandler, max_in_flight: int) -> None:
        """Start handing pieces to ``handler``."""
        if self._handler is not None:
            raise RuntimeError(f"{self._queue.name} is already consumed")
        self._handler, self._in_flight = handler, InFlight(max_in_flight)
        self._fill()

    def stop(self) -> None:
        """Hand out no more."""
        self._stopped = True

    async def drained(self) -> None:
        """Return when no piece is being handled."""
        await self._in_flight.drained()

    def _fill(self) -> None:
        while self._handler is not None and self._waiting and not self._stopped and not self._in_flight.full:
            work, count = self._waiting.popleft()
            self._in_flight.enter()
            self._tasks.spawn(self._queue.name, self._handle(self._handler, work, count), critical=False)

    async def _handle(self, handler: WorkHandler, work: Work, count: int) -> None:
        try:
            disposition = await dispose(handler, work, Delivery(count=count), limit=self._queue.delivery_limit)
        finally:
            self._in_flight.leave()
        match disposition.fate:
            case Fate.DEAD:
                self._bury(DeadLetter(work=work, reason=disposition.reason))
            case Fate.AGAIN:
                asyncio.get_running_loop().call_later(pause_s(count, self._pause_s), self._again, work, count + 1)
            case Fate.DONE:
                pass
        self._fill()

    def _again(self, work: Work, count: int) -> None:
        self._waiting.append((work, count))
        self._fill()


class DeadLetters:
    """Dead letters, settled one at a time; one that cannot be settled is tried again before the next."""

    def __init__(self, tasks: Supervisor, redelivery_pause_s: float) -> None:
        self._tasks, self._pause_s = tasks, redelivery_pause_s
        self._letters: deque[DeadLetter] = deque()
        self._arrived = asyncio.Event()
        self._consumed = False
        self._busy = InFlight(1)
        self._stopped = False

    def put(self, letter: DeadLetter) -> None:
        """Add a letter."""
        self._letters.append(letter)
        self._arrived.set()

    def consume(self, handler: DeadLetterHandler) -> None:
        """Start settling."""
        if self._consumed:
            raise RuntimeError("dead letters are already consumed")
        self._consumed = True
        self._tasks.spawn("dead letters", self._settle(handler), critical=False)

    def stop(self) -> None:
        """Settle no more after the one in hand."""
        self._stopped = True

    async def drained(self) -> None:
        """Return when no letter is being settled."""
        await self._busy.drained()

    async def _settle(self, handler: DeadLetterHandler) -> None:
        attempt = 1
        while True:
            await self._arrived.wait()
            if self._stopped:
                return
            self._busy.enter()
            try:
                await handler(self._letters[0])
            except Exception as error:  # noqa: BLE001 - the letter stays whatever went wrong
                _log.warning("dead_letter_not_settled", attempt=attempt, exc_info=error)
            else:
                attempt = 0
                self._letters.popleft()
                if not self._letters:
                    self._arrived.clear()
            finally:
                self._busy.leave()
            if attempt:
                await asyncio.sleep(pause_s(attempt, self._pause_s))
            attempt += 1
