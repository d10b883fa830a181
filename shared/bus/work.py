"""
Consuming work and dead letters from RabbitMQ: at least once, one disposition a message.

A piece of work is acknowledged when it is done, goes back to its queue (after a pause, which also slows down a
consumer whose every attempt fails) when its handler raised, and to the graveyard, with the reason, when it was
rejected, cannot be read, or failed once more than the queue's limit allows. The broker counts deliveries, and
dead-letters past the limit what kills its consumers. Work in hand when the connection is lost runs on; the broker
delivers it again, and its handler knows it is settled.
"""

import asyncio
import contextlib
from typing import Final

import structlog

from shared.bus.bus import DeadLetter, DeadLetterHandler, Delivery, WorkHandler
from shared.bus.consumer import Received
from shared.bus.delivery import Fate, InFlight, dispose, pause_s
from shared.bus.graveyard import Graveyard, reason_of
from shared.domain.errors import UnavailableError
from shared.messages import codec
from shared.messages.messages import Work
from shared.messages.topology import WorkQueue
from shared.process.supervise import Supervisor

COUNT_HEADER: Final = "x-delivery-count"

_log = structlog.get_logger(__name__)


class WorkDesk:
    """Handles what one queue of work delivers; the consumer's prefetch bounds how much at once."""

    def __init__(
        self,
        queue: WorkQueue,
        handler: WorkHandler,
        graveyard: Graveyard,
        tasks: Supervisor,
        *,
        redelivery_pause_s: float,
    ) -> None:
        self._queue, self._handler, self._graveyard, self._tasks = queue, handler, graveyard, tasks
        self._pause_s = redelivery_pause_s
        self._in_flight = InFlight(1)
        self._stopping = asyncio.Event()

    def on_message(self, message: Received) -> None:
        """Begin with one piece of work."""
        self._in_flight.enter()
        self._tasks.spawn(self._queue.name, self._handle(message), critical=False)

    def stop(self) -> None:
        """What failed goes back at once: somebody else may take it."""
        self._stopping.set()

    async def drained(self) -> None:
        """Return when nothing is in hand."""
        await self._in_flight.drained()

    async def _handle(self, message: Received) -> None:
        try:
            work = codec.decode(message.body)
            if not isinstance(work, Work):
                raise codec.UndecodableError(f"{work.TYPE} is not work")
        except codec.UndecodableError as error:
            await self._bury(message, error.reason, undecodable=True)
        else:
            await self._do(message, work)
        finally:
            self._in_flight.leave()

    async def _do(self, message: Received, work: Work) -> None:
        count = 1 + int(message.headers.get(COUNT_HEADER) or 0)
        disposition = await dispose(self._handler, work, Delivery(count=count), limit=self._queue.delivery_limit)
        match disposition.fate:
            case Fate.DONE:
                message.ack()
            case Fate.AGAIN:
                await _pause(pause_s(count, self._pause_s), self._stopping)
                message.requeue()
            case Fate.DEAD:
                await self._bury(message, disposition.reason)

    async def _bury(self, message: Received, reason: str, *, undecodable: bool = False) -> None:
        try:
            await self._graveyard.bury(message.body, reason, self._queue.name, undecodable=undecodable)
        except UnavailableError as error:
            _log.warning("not_buried", queue=self._queue.name, reason=str(error))
            message.requeue()
        else:
            message.ack()


class DeadLetterDesk:
    """Settles dead letters one at a time (the consumer's prefetch is 1)."""

    def __init__(
        self, handler: DeadLetterHandler, graveyard: Graveyard, tasks: Supervisor, *, redelivery_pause_s: float
    ) -> None:
        self._handler, self._graveyard, self._tasks = handler, graveyard, tasks
        self._pause_s = redelivery_pause_s
        self._failures = 0
        self._in_flight = InFlight(1)
        self._stopping = asyncio.Event()

    def on_message(self, message: Received) -> None:
        """Begin with a letter."""
        self._in_flight.enter()
        self._tasks.spawn("dead letter", self._handle(message), critical=False)

    def stop(self) -> None:
        """A letter that was not settled goes back at once."""
        self._stopping.set()

    async def drained(self) -> None:
        """Return when no letter is in hand."""
        await self._in_flight.drained()

    async def _handle(self, message: Received) -> None:
        try:
            work = codec.decode(message.body)
            if not isinstance(work, Work):
                raise codec.UndecodableError(f"{work.TYPE} is not work")
            await self._handler(DeadLetter(work=work, reason=reason_of(message.headers)))
        except codec.UndecodableError as error:
            await self._park(message, f"{error.reason}; it was dead: {reason_of(message.headers)}")
        except Exception as error:  # noqa: BLE001 - the letter stays whatever went wrong
            await self._again(message, error)
        else:
            self._failures = 0
            message.ack()
        finally:
            self._in_flight.leave()

    async def _park(self, message: Received, reason: str) -> None:
        try:
            await self._graveyard.bury(message.body, reason, "dead letters", undecodable=True)
        except UnavailableError as error:
            await self._again(message, error)
        else:
            message.ack()

    async def _again(self, message: Received, error: Exception) -> None:
        self._failures += 1
        _log.warning("dead_letter_not_settled", failures=self._failures, exc_info=error)
        await _pause(pause_s(self._failures, self._pause_s), self._stopping)
        message.requeue()


async def _pause(seconds: float, cut_short: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await cut_short.wait()
