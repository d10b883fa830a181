"""
Publishing on one AMQP channel, cheaply.

aio-pika's ``Exchange.publish`` costs a message object for each message, and aiormq's ``basic_publish`` below it a
coroutine, a lock, a random id and a queue. Here a message is one synchronous write of finished bytes to the transport
of the connection that aio-pika opened, and its confirm is a future. aiormq goes on reading: it resolves the futures it
finds in ``channel.confirmations``. Those are ours, not of its own store, because its store rejects them with
``CancelledError``, which nobody can tell from a real cancellation. A channel is published on either by this or by the
library, never by both.

What waits to be written is bounded by ``MAX_UNSENT_BYTES``; beyond it a message is refused at once. Nothing here
waits and nothing is sent twice: that is for those who know what a message is worth.
"""

import asyncio
import struct
from typing import Any, Final

from aio_pika.exceptions import DeliveryError, PublishError
from aiormq import Channel
from pamqp import commands
from pamqp.frame import marshal
from pamqp.header import ContentHeader

MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
_METHODS_KEPT: Final = 512
_FRAME: Final = struct.Struct(">BHI")
_BODY: Final = 3
_FRAME_END: Final = b"\xce"

Properties = commands.Basic.Properties
Confirm = asyncio.Future[Any]
"""Done when the broker has the message; fails with one of the errors below, or with aio-pika's ``DeliveryError``."""


class NotSentError(Exception):
    """The message was not sent: the connection is gone or takes no more bytes."""


class ConnectionLostError(Exception):
    """The connection went away before the broker confirmed: the message may have arrived or not."""


def why_not(error: BaseException) -> str:
    """Put into a few words why a confirm failed."""
    match error:
        case PublishError():
            return "no queue takes it"
        case DeliveryError():
            return "its queue is full"
        case _:
            return str(error)


class Publisher:
    """Publishes without confirms: for what nobody waits for."""

    def __init__(self, channel: Channel, transport: asyncio.WriteTransport) -> None:
        self._channel, self._transport = channel, transport
        self._methods: dict[tuple[str, str, bool], bytes] = {}

    @property
    def congested(self) -> bool:
        """Whether the next message would be refused for want of room."""
        return self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES

    def publish(
        self, body: bytes, *, exchange: str, routing_key: str, properties: Properties, mandatory: bool = False
    ) -> None:
        """Send one message; ``NotSentError`` if that cannot be done now."""
        if self._channel.is_closed or self._transport.is_closing():
            raise NotSentError("not connected to the broker")
        if self.congested:
            raise NotSentError("the broker does not keep up")
        number = self._channel.number
        parts = [
            self._method(exchange, routing_key, mandatory=mandatory),
            marshal(ContentHeader(body_size=len(body), properties=properties), number),
        ]
        size = self._channel.max_content_size
        for start in range(0, len(body), size):
            chunk = body[start : start + size]
            parts += (_FRAME.pack(_BODY, number, len(chunk)), chunk, _FRAME_END)
        self._transport.write(b"".join(parts))

    def _method(self, exchange: str, routing_key: str, *, mandatory: bool) -> bytes:
        """Return the Basic.Publish frame; there are few different ones, so they are kept."""
        key = exchange, routing_key, mandatory
        frame = self._methods.get(key)
        if frame is None:
            if len(self._methods) >= _METHODS_KEPT:
                self._methods.clear()
            publish = commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
            frame = self._methods[key] = marshal(publish, self._channel.number)
        return frame


class ConfirmedPublisher:
    """Publishes on a channel in confirm mode. An unroutable or refused message fails its confirm."""

    def __init__(self, channel: Channel, transport: asyncio.WriteTransport) -> None:
        self._channel = channel
        self._publisher = Publisher(channel, transport)

    def publish(self, body: bytes, *, exchange: str, routing_key: str, properties: Properties) -> Confirm:
        """Send one message, mandatory; ``NotSentError`` if that cannot be done now. Never cancel what it returns."""
        channel = self._channel
        tag = channel.delivery_tag + 1
        # The broker returns an unroutable message with its properties: aiormq finds the confirm by this id.
        properties.message_id = str(tag)
        self._publisher.publish(body, exchange=exchange, routing_key=routing_key, properties=properties, mandatory=True)
        channel.delivery_tag = tag
        confirm: Confirm = asyncio.get_running_loop().create_future()
        channel.confirmations[tag] = confirm
        channel.message_id_delivery_tag[properties.message_id] = tag
        confirm.add_done_callback(lambda done: self._forget(str(tag), done))
        return confirm

    def _forget(self, message_id: str, confirm: Confirm) -> None:
        self._channel.message_id_delivery_tag.pop(message_id, None)
        confirm.exception()  # read, so that asyncio does not complain of one that nobody awaited

    def abandon(self) -> None:
        """Fail every confirm that is still open: the connection is lost."""
        confirms = list(self._channel.confirmations.values())
        self._channel.confirmations.clear()
        for confirm in confirms:
            if not confirm.done():
                confirm.set_exception(ConnectionLostError("the connection to the broker was lost"))
                confirm.exception()  # read, as in _forget: aiormq leaves futures of its own here too
