"""
Records over RabbitMQ: sent in batches, kept until confirmed; consumed in batches, kept until persisted.

Sending: one sender at a time lets records gather for ``GATHER_S`` while the others have their batches on the way. Each
AMQP message of records costs the broker about as much as a call does, and nobody waits for a record. What is not
confirmed goes back to the front of the buffer and out again on the next connection: at least once, and the logger is
idempotent by record id.

Consuming: messages are gathered up to a number of records or a time, handed over, and acknowledged when the
handler has returned. A handler that fails gets the same records again after a pause.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from shared.bus.bus import RecordHandler
from shared.bus.coalesce import MAX_BATCH_BYTES
from shared.bus.connection import Link
from shared.bus.consumer import Received
from shared.bus.delivery import InFlight, pause_s
from shared.bus.graveyard import Graveyard
from shared.bus.publisher import Properties
from shared.bus.records import Held, RecordBuffer, drop
from shared.bus.sending import PERSISTENT, confirmed
from shared.domain.errors import UnavailableError
from shared.messages import codec
from shared.messages.messages import Record
from shared.messages.topology import RECORDS_QUEUE
from shared.process.supervise import Supervisor

SENDERS: Final = 4
MAX_RECORDS: Final = 256
GATHER_S: Final = 0.02
PREFETCH: Final = 64

_log = structlog.get_logger(__name__)


class RecordSender:
    """The sending side."""

    def __init__(self, link: Link, buffer: RecordBuffer[bytes]) -> None:
        self._link, self._buffer = link, buffer
        self._gathering = asyncio.Lock()
        self._more = False

    def start(self, tasks: Supervisor) -> None:
        """Begin to send what is recorded."""
        for _ in range(SENDERS):
            tasks.spawn("records", self._send_all(), critical=False)

    def record(self, event: Record) -> None:
        """See ``Bus.record``."""
        try:
            frame = codec.encode(event)
        except codec.UnencodableError as error:
            _log.error("record_unencodable", reason=error.reason)
            drop("unencodable")
        else:
            self._buffer.add(frame, len(frame))

    async def flushed(self) -> None:
        """Return when everything recorded has been confirmed."""
        await self._buffer.emptied()

    async def _send_all(self) -> None:
        failures = 0
        while True:
            taken = await self._gather()
            try:
                await self._send(taken)
            except UnavailableError as error:
                failures += 1
                self._buffer.put_back(taken)
                _log.warning("records_wait", count=len(self._buffer), reason=str(error))
                await asyncio.sleep(pause_s(failures, 0.1, factor=2, most_s=5))
            except asyncio.CancelledError:
                self._buffer.put_back(taken)
                raise
            else:
                failures = 0
                self._buffer.done(taken)

    async def _gather(self) -> list[Held[bytes]]:
        """Return the next batch; what the one before had no room for goes at once."""
        async with self._gathering:
            await self._buffer.filled()
            if not self._more:
                await asyncio.sleep(GATHER_S)
            taken = self._buffer.take(MAX_RECORDS, MAX_BATCH_BYTES)
            self._more = self._buffer.waiting > 0
            return taken

    async def _send(self, taken: Sequence[Held[bytes]]) -> None:
        await confirmed(
            self._link,
            b"".join([held.item for held in taken]),
            exchange="",
            routing_key=RECORDS_QUEUE,
            properties=lambda: Properties(delivery_mode=PERSISTENT),
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    """A message in hand: its records, and the frames nobody can read with the reason of each."""

    message: Received
    records: list[Record]
    unreadable: list[tuple[bytes, str]]


class RecordDesk:
    """The consuming side. The consumer's prefetch bounds how many messages wait here."""

    def __init__(
        self,
        handler: RecordHandler,
        graveyard: Graveyard,
        *,
        max_batch: int,
        max_wait_s: float,
        redelivery_pause_s: float,
    ) -> None:
        self._handler, self._graveyard = handler, graveyard
        self._max_batch, self._max_wait_s, self._pause_s = max_batch, max_wait_s, redelivery_pause_s
        self._arrived: asyncio.Queue[Received] = asyncio.Queue()
        self._in_flight = InFlight(1)
        self._failures = 0

    def on_message(self, message: Received) -> None:
        """Take a message of records."""
        self._arrived.put_nowait(message)

    async def drained(self) -> None:
        """Return when no batch is being persisted."""
        await self._in_flight.drained()

    async def run(self) -> None:
        """Persist what arrives, for ever."""
        while True:
            messages = await self._gather()
            self._in_flight.enter()
            try:
                await self._persist(messages)
            finally:
                self._in_flight.leave()

    async def _gather(self) -> list[_Opened]:
        """Wait for a message, then for more until there are enough records or the first has waited long enough."""
        messages = [_opened(await self._arrived.get())]
        count = len(messages[0].records)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._max_wait_s):
                while count < self._max_batch:
                    messages.append(_opened(await self._arrived.get()))
                    count += len(messages[-1].records)
        return messages

    async def _persist(self, messages: list[_Opened]) -> None:
        records = [record for each in messages for record in each.records]
        try:
            for frame, reason in (bad for each in messages for bad in each.unreadable):
                await self._graveyard.bury(frame, reason, RECORDS_QUEUE, undecodable=True)
            for start in range(0, len(records), self._max_batch):
                await self._handler(records[start : start + self._max_batch])
        except Exception as error:  # noqa: BLE001 - the records stay the broker's whatever went wrong
            self._failures += 1
            _log.warning("records_not_persisted", count=len(records), failures=self._failures, exc_info=error)
            await asyncio.sleep(pause_s(self._failures, self._pause_s))
            for each in messages:
                each.message.requeue()
        else:
            self._failures = 0
            for each in messages:
                each.message.ack()


def _opened(message: Received) -> _Opened:
    opened = _Opened(message, [], [])
    try:
        frames = codec.split(message.body)
    except codec.UndecodableError as error:
        opened.unreadable.append((message.body, error.reason))
        return opened
    for frame in frames:
        try:
            record = codec.decode(frame)
            if not isinstance(record, Record):
                raise codec.UndecodableError(f"{record.TYPE} is not a record")
        except codec.UndecodableError as error:
            opened.unreadable.append((frame, error.reason))
        else:
            opened.records.append(record)
    return opened
