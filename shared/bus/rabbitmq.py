"""
The bus over RabbitMQ (3.10 or later), for services in processes of their own.

This module puts the parts together and orders their start and end; what each guarantees stands with it::

    call ──────── calls.py ──────┐                                     ┌─ answers.py ─────── serve_calls
    send ──────── sending.py ────┤  publisher.py        consumer.py    ├─ work.py ────────── consume_work
    record ────── record_stream ─┤  connection.py ◀══ RabbitMQ ══▶     ├─ record_stream.py ─ consume_records
    notify ────── notices.py ────┘  declare.py                         └─ notices.py ─────── subscribe

The AMQP client is aio-pika. Publishing, calls and their replies go by its own lower layer, aiormq, on the connections
and channels that aio-pika opened; ``publisher.py`` and ``consumer.py`` say why.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import structlog

from shared.bus import answers, record_stream
from shared.bus.answers import Answerer, Replies
from shared.bus.bus import DeadLetterHandler, InvocationHandler, NoticeHandler, RecordHandler, WorkHandler
from shared.bus.calls import Caller
from shared.bus.connection import Link
from shared.bus.consumer import Consumer
from shared.bus.declare import (
    declare_calls,
    declare_dead,
    declare_notices,
    declare_records,
    declare_work,
)
from shared.bus.graveyard import Graveyard
from shared.bus.notices import NoticeBoard, Notifier
from shared.bus.publisher import Properties
from shared.bus.record_stream import RecordDesk, RecordSender
from shared.bus.records import RecordBuffer
from shared.bus.sending import PERSISTENT, confirmed
from shared.bus.work import DeadLetterDesk, WorkDesk
from shared.domain.errors import UnavailableError
from shared.messages import codec
from shared.messages.messages import InvocationReply, InvokeFunction, Notice, Record, Work
from shared.messages.topology import (
    DEAD_LETTER_QUEUE,
    NOTICES_EXCHANGE,
    RECORDS_QUEUE,
    SYNC_QUEUE,
    SYNC_QUEUE_LENGTH,
    WorkQueue,
    queue_of,
)
from shared.process.supervise import Supervisor

HEARTBEAT_S: Final = 10
CLOSE_S: Final = 5.0
DRAIN_S: Final = 330.0
"""The longest run and its lease: beyond that nothing is worth waiting for."""

_log = structlog.get_logger(__name__)


class RabbitBus:
    """
    One replica's connection to the broker.

    The virtual host in ``url`` is the platform's alone. ``calls_waiting`` bounds the queue of calls, in AMQP
    messages; it must be the same for all invokers.
    """

    durable = True

    def __init__(
        self,
        url: str,
        *,
        replica_id: str,
        calls_waiting: int = SYNC_QUEUE_LENGTH,
        redelivery_pause_s: float = 0.5,
        heartbeat_s: int = HEARTBEAT_S,
    ) -> None:
        self._calls_waiting, self._pause_s = calls_waiting, redelivery_pause_s
        self._tasks = Supervisor(close_timeout_s=CLOSE_S)
        self._link = Link(url, replica_id=replica_id, tasks=self._tasks, heartbeat_s=heartbeat_s)
        self._caller = Caller(self._link)
        self._replies = Replies(self._link)
        self._notifier = Notifier(self._link)
        self._buffer: RecordBuffer[bytes] = RecordBuffer()
        self._records = RecordSender(self._link, self._buffer)
        self._graveyard = Graveyard(self._link)
        self._board = NoticeBoard()
        self._consumers: dict[str, Consumer] = {}
        self._desks: list[WorkDesk | DeadLetterDesk] = []
        self._answerer: Answerer | None = None
        self._record_desk: RecordDesk | None = None
        self._closed = False

    async def start(self) -> None:
        await self._link.start()
        self._records.start(self._tasks)

    async def close(self) -> None:
        """In the order of the flow: take nothing new, let replies and records out, then hang up."""
        if self._closed:
            return
        self._closed = True
        await self._stop_work()
        await _within(CLOSE_S, self._replies.flushed(), "replies_left_behind")
        await _within(CLOSE_S, self._records.flushed(), "records_left_behind")
        await _stop(self._consumers.values())
        if self._record_desk is not None:
            await _within(CLOSE_S, self._record_desk.drained(), "records_not_persisted")
        await self._link.close()
        await self._tasks.close()

    async def call(self, command: InvokeFunction) -> InvocationReply:
        return await self._caller.call(command)

    async def send(self, work: Work) -> None:
        if self._closed:
            raise UnavailableError("the bus is closed")
        body = codec.encode(work)
        await confirmed(
            self._link,
            body,
            exchange="",
            routing_key=queue_of(work).name,
            properties=lambda: Properties(delivery_mode=PERSISTENT, message_type=work.TYPE),
        )

    def record(self, event: Record) -> None:
        self._records.record(event)

    def notify(self, notice: Notice) -> None:
        self._notifier.notify(notice)

    async def serve_calls(self, handler: InvocationHandler, *, max_in_flight: int) -> None:
        answerer = Answerer(handler, self._replies, self._graveyard, self._tasks, max_in_flight=max_in_flight)
        consumer = Consumer(
            self._link,
            SYNC_QUEUE,
            lambda channel: declare_calls(channel, self._calls_waiting),
            answerer.on_message,
            prefetch=answers.PREFETCH,
            hot=True,
        )
        self._enlist(SYNC_QUEUE, consumer)
        self._answerer = answerer
        await consumer.start(self._tasks)

    async def consume_work(self, queue: WorkQueue, handler: WorkHandler, *, max_in_flight: int) -> None:
        desk = WorkDesk(queue, handler, self._graveyard, self._tasks, redelivery_pause_s=self._pause_s)
        consumer = Consumer(
            self._link,
            queue.name,
            lambda channel: declare_work(channel, queue),
            desk.on_message,
            prefetch=max_in_flight,
        )
        self._enlist(queue.name, consumer)
        self._desks.append(desk)
        await consumer.start(self._tasks)

    async def consume_dead_letters(self, handler: DeadLetterHandler) -> None:
        desk = DeadLetterDesk(handler, self._graveyard, self._tasks, redelivery_pause_s=self._pause_s)
        consumer = Consumer(
            self._link,
            DEAD_LETTER_QUEUE,
            declare_dead,
            desk.on_message,
            prefetch=1,
        )
        self._enlist(DEAD_LETTER_QUEUE, consumer)
        self._desks.append(desk)
        await consumer.start(self._tasks)

    async def consume_records(self, handler: RecordHandler, *, max_batch: int, max_wait_s: float) -> None:
        desk = RecordDesk(
            handler, self._graveyard, max_batch=max_batch, max_wait_s=max_wait_s, redelivery_pause_s=self._pause_s
        )
        consumer = Consumer(
            self._link,
            RECORDS_QUEUE,
            declare_records,
            desk.on_message,
            prefetch=record_stream.PREFETCH,
        )
        self._enlist(RECORDS_QUEUE, consumer)
        self._record_desk = desk
        self._tasks.spawn("records desk", desk.run(), critical=False)
        await consumer.start(self._tasks)

    async def subscribe(self, handler: NoticeHandler, *, on_gap: Callable[[], None]) -> None:
        self._board.add(handler, on_gap)
        if NOTICES_EXCHANGE in self._consumers:
            return
        consumer = Consumer(
            self._link,
            NOTICES_EXCHANGE,
            declare_notices,
            self._board.on_message,
            prefetch=0,
            on_resumed=self._board.gap,
        )
        self._enlist(NOTICES_EXCHANGE, consumer)
        await consumer.start(self._tasks)

    async def stop_consuming(self) -> None:
        await self._stop_work()
        drained = [desk.drained() for desk in self._desks]
        if self._answerer is not None:
            drained.append(self._answerer.drained())
        for each in drained:
            await _within(DRAIN_S, each, "work_left_behind")

    def problems(self) -> list[str]:
        if self._closed:
            return ["the bus is closed"]
        link = self._link.problem()
        if link is not None:
            return [link]
        return [problem for each in self._consumers.values() if (problem := each.problem()) is not None]

    async def _stop_work(self) -> None:
        """Stop the consumers of calls, work and dead letters."""
        await _stop(
            consumer for name, consumer in self._consumers.items() if name not in (RECORDS_QUEUE, NOTICES_EXCHANGE)
        )
        for desk in self._desks:
            desk.stop()

    def _enlist(self, name: str, consumer: Consumer) -> None:
        if name in self._consumers:
            raise RuntimeError(f"{name} is already consumed")
        self._consumers[name] = consumer


async def _stop(consumers: Iterable[Consumer]) -> None:
    """Stop them all at once: a broker that does not answer costs its deadline once."""
    async with asyncio.TaskGroup() as group:
        for consumer in consumers:
            group.create_task(consumer.stop())


async def _within(seconds: float, work: Coroutine[Any, Any, None], otherwise: str) -> None:
    """Await ``work`` to a deadline; past it, log and go on."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        _log.error(otherwise, waited_s=seconds)
