"""
One consumer of one queue, kept consuming.

A supervised task opens a channel, prepares the queue, consumes, and watches; when the channel closes or the
broker cancels the consumer (its queue was deleted), it does so again, for ever, with a pause that grows. Between
the two ``problem`` says that nothing is consumed.

``Received`` is a message in hand. Its disposition goes back by the channel it came by; when that is closed the
broker has already taken the message back, so there is nothing to do. Unlike aiormq's, these dispositions are
plain writes: they neither wait nor raise.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp import commands
from pamqp.base import Frame
from pamqp.frame import marshal

from shared.bus.connection import CHANNEL_ERRORS, CLOSE_S, CONNECT_S, Link, Wire
from shared.bus.delivery import pause_s
from shared.domain.errors import UnavailableError
from shared.process.supervise import Supervisor

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Received:
    """A message in hand: exactly one of ``ack`` and ``requeue`` ends it (neither, if it needs no acknowledgement)."""

    __slots__ = ("_channel", "_tag", "_transport", "body", "headers", "reply_to")

    def __init__(self, message: DeliveredMessage, channel: Channel, transport: asyncio.WriteTransport) -> None:
        self._channel, self._transport = channel, transport
        self._tag = message.delivery_tag or 0
        self.body = message.body
        self.headers: dict[str, Any] = message.header.properties.headers or {}
        self.reply_to = message.header.properties.reply_to

    def ack(self, *, and_all_before: bool = False) -> None:
        """It is done."""
        self._write(commands.Basic.Ack(delivery_tag=self._tag, multiple=and_all_before))

    def requeue(self, *, and_all_before: bool = False) -> None:
        """It goes back to its queue."""
        self._write(commands.Basic.Nack(delivery_tag=self._tag, multiple=and_all_before, requeue=True))

    def _write(self, frame: Frame) -> None:
        if not self._channel.is_closed and not self._transport.is_closing():
            self._transport.write(marshal(frame, self._channel.number))


class Consumer:
    """
    Keeps one queue consumed.

    ``prepare`` declares the queue on the given channel and returns its name; ``on_message`` gets each message and
    must not wait; ``on_resumed`` is called each time consuming begins anew.
    """

    def __init__(
        self,
        link: Link,
        what: str,
        prepare: Callable[[Channel], Awaitable[str]],
        on_message: Callable[[Received], None],
        *,
        prefetch: int,
        on_resumed: Callable[[], None] | None = None,
    ) -> None:
        """``prefetch`` bounds the unacknowledged messages; 0 means that none needs acknowledgement."""
        self._link, self._what, self._prepare, self._on_message = link, what, prepare, on_message
        self._prefetch, self._on_resumed = prefetch, on_resumed
        self._channel: Channel | None = None
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
        channel, tag, self._tag = self._channel, self._tag, None
        if channel is not None and tag is not None:
            try:
                await channel.basic_cancel(tag, timeout=CLOSE_S)
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
        self._channel, self._ended = channel, asyncio.Event()
        channel.closing.add_done_callback(lambda _: self._end(channel, "its channel was closed"))
        channel.on_consumer_cancel_callbacks.add(lambda _: self._end(channel, "the broker cancelled it"))
        try:
            queue = await self._prepare(channel)
            if self._prefetch:
                await channel.basic_qos(prefetch_count=self._prefetch, timeout=CONNECT_S)
            await self._begin(channel, wire.transport, queue)
            await self._ended.wait()
        finally:
            self._channel = self._tag = None
            if not channel.is_closed:
                await channel.close(timeout=CLOSE_S)

    async def _begin(self, channel: Channel, transport: asyncio.WriteTransport, queue: str) -> None:
        async def deliver(message: DeliveredMessage) -> None:
            self._on_message(Received(message, channel, transport))

        begun = await channel.basic_consume(queue, deliver, no_ack=not self._prefetch, timeout=CONNECT_S)
        if self._stopping or self._ended.is_set():
            # Stopped in between: closing the channel gives back what has come already.
            self._ended.set()
            return
        self._tag = begun.consumer_tag
        if self._begun.is_set():
            _log.info("consumer_resumed", queue=self._what)
            if self._on_resumed is not None:
                self._on_resumed()
        self._begun.set()

    def _end(self, channel: Channel, reason: str) -> None:
        if channel is self._channel:
            self._reason = reason
            self._tag = None
            self._ended.set()
