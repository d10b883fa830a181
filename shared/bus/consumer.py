"""
One consumer of one queue, kept consuming.

A supervised task opens a channel, prepares the queue, consumes, and watches; when the channel closes or the
broker cancels the consumer (its queue was deleted), it does so again, for ever, with a pause that grows. Between
the two ``problem`` says that nothing is consumed.

``Received`` is a message in hand. Its disposition goes back by the channel it came by; when that is closed the
broker has already taken the message back, so there is nothing to do. These dispositions are plain writes. Those of
aio-pika are waits: behind a queue of frames that nobody empties once the connection is lost, and for a future that
the loss may end with ``CancelledError``, which a consumer cannot tell from its own cancellation.

Messages come through aio-pika's ``Queue.consume``, at some 40 µs of CPU each for a message object and a task. Those
of a ``hot`` consumer come from the channel below it, for a tenth of that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq import Channel
from aiormq.abc import DeliveredMessage
from pamqp import commands
from pamqp.base import Frame
from pamqp.frame import marshal

from shared.bus.connection import CHANNEL_ERRORS, CLOSE_S, CONNECT_S, Link, Wire, close_channel, underlay_of
from shared.bus.delivery import pause_s
from shared.domain.errors import UnavailableError
from shared.process.supervise import Supervisor

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

_log = structlog.get_logger(__name__)


class _WayBack:
    """Where dispositions go."""

    __slots__ = ("_channel", "_transport")

    def __init__(self, channel: Channel, transport: asyncio.WriteTransport) -> None:
        self._channel, self._transport = channel, transport

    def write(self, frame: Frame) -> None:
        if not self._channel.is_closed and not self._transport.is_closing():
            self._transport.write(marshal(frame, self._channel.number))


class Received:
    """A message in hand: exactly one of ``ack`` and ``requeue`` ends it (neither, if it needs no acknowledgement)."""

    __slots__ = ("_tag", "_way_back", "body", "headers", "reply_to")

    def __init__(
        self, way_back: _WayBack, tag: int | None, body: bytes, headers: dict[str, Any] | None, reply_to: str | None
    ) -> None:
        self._way_back, self._tag = way_back, tag or 0
        self.body, self.headers, self.reply_to = body, headers or {}, reply_to

    def ack(self) -> None:
        """It is done."""
        self._way_back.write(commands.Basic.Ack(delivery_tag=self._tag))

    def requeue(self) -> None:
        """
        It goes back to its queue, as failed.

        By reject: since RabbitMQ 4.3 a nack does not count towards a quorum queue's delivery limit
        (https://www.rabbitmq.com/docs/4.3/nack).
        """
        self._way_back.write(commands.Basic.Reject(delivery_tag=self._tag, requeue=True))


class Consumer:
    """
    Keeps one queue consumed.

    ``prepare`` declares the queue on the given channel; ``on_message`` gets each message and
    must not wait; ``on_resumed`` is called each time consuming begins anew.
    """

    def __init__(
        self,
        link: Link,
        what: str,
        prepare: Callable[[AbstractChannel], Awaitable[AbstractQueue]],
        on_message: Callable[[Received], None],
        *,
        prefetch: int,
        hot: bool = False,
        on_resumed: Callable[[], None] | None = None,
    ) -> None:
        """``prefetch`` bounds the unacknowledged messages; 0 means that none needs acknowledgement."""
        self._link, self._what, self._prepare, self._on_message = link, what, prepare, on_message
        self._prefetch, self._hot, self._on_resumed = prefetch, hot, on_resumed
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = False
        self._reason = "not begun"

    async def start(self, tasks: Supervisor) -> None:
        """Begin; return when messages flow, or after a while if they do not yet (``problem`` tells)."""
        tasks.spawn(f"consumer of {self._what}", self._keep(), critical=False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._begun.wait()
        except TimeoutError:
            _log.warning("consumer_not_begun", queue=self._what, reason=self._reason)

    def problem(self) -> str | None:
        """Return why nothing is consumed although it should be."""
        if self._stopping or self._tag is not None:
            return None
        return f"{self._what} is not consumed: {self._reason}"

    async def stop(self) -> None:
        """Ask for no more messages; those in hand may still be acknowledged."""
        self._stopping = True
        queue, tag, self._tag = self._queue, self._tag, None
        if queue is not None and tag is not None:
            try:
                await queue.cancel(tag, timeout=CLOSE_S)
            except CHANNEL_ERRORS as error:
                _log.info("consumer_not_cancelled", queue=self._what, reason=repr(error))

    async def _keep(self) -> None:
        attempt = 0
        while not self._stopping:
            try:
                wire = (await self._link.ready(CONNECT_S)).consuming
                await self._consume(wire)
                attempt = 0
            except (*CHANNEL_ERRORS, UnavailableError) as error:
                self._reason = repr(error)
                attempt += 1
            if not self._stopping:
                await asyncio.sleep(pause_s(attempt + 1, _FIRST_PAUSE_S, factor=2, most_s=_LONGEST_PAUSE_S))

    async def _consume(self, wire: Wire) -> None:
        """Consume until the channel or the consumer ends."""
        channel = await wire.channel()
        ended = self._ended = asyncio.Event()
        channel.close_callbacks.add(lambda *_: self._end(ended, "its channel was closed"))
        underlay = await underlay_of(channel)
        # aio-pika passes this on to nobody but its robust channel.
        underlay.on_consumer_cancel_callbacks.add(lambda _: self._end(ended, "the broker cancelled it"))
        try:
            queue = await self._prepare(channel)
            if self._prefetch:
                await channel.set_qos(prefetch_count=self._prefetch, timeout=CONNECT_S)
            way_back = _WayBack(underlay, wire.transport)
            if self._hot:
                tag = await self._receive_below(underlay, queue.name, way_back)
            else:
                tag = await self._receive(queue, way_back)
            self._begin(queue, tag)
            await ended.wait()
        finally:
            self._queue = self._tag = None
            if not channel.is_closed:
                await close_channel(channel)

    async def _receive(self, queue: AbstractQueue, way_back: _WayBack) -> str:
        """Have messages delivered; return the consumer's tag."""

        async def deliver(message: AbstractIncomingMessage) -> None:
            self._on_message(Received(way_back, message.delivery_tag, message.body, message.headers, message.reply_to))

        return await queue.consume(deliver, no_ack=not self._prefetch, timeout=CONNECT_S)

    async def _receive_below(self, channel: Channel, queue: str, way_back: _WayBack) -> str:
        """Do the same by the layer below aio-pika."""

        async def deliver(message: DeliveredMessage) -> None:
            said = message.header.properties
            self._on_message(Received(way_back, message.delivery_tag, message.body, said.headers, said.reply_to))

        begun = await channel.basic_consume(queue, deliver, no_ack=not self._prefetch, timeout=CONNECT_S)
        assert begun.consumer_tag is not None
        return begun.consumer_tag

    def _begin(self, queue: AbstractQueue, tag: str) -> None:
        if self._stopping or self._ended.is_set():
            # Stopped in between: closing the channel gives back what has come already.
            self._ended.set()
            return
        self._queue, self._tag = queue, tag
        if self._begun.is_set():
            _log.info("consumer_resumed", queue=self._what)
            if self._on_resumed is not None:
                self._on_resumed()
        self._begun.set()

    def _end(self, ended: asyncio.Event, reason: str) -> None:
        if ended is self._ended:
            self._reason = reason
            self._tag = None
            ended.set()
