"""
Synchronous calls over RabbitMQ, the asking side; ``answers.py`` is the other one.

Calls made in one turn of the event loop leave as one AMQP message, and replies to one caller likewise: the cost
is per AMQP message, not per call. Nothing ever waits for a timer to fill a batch: the first call of a turn asks
the loop for a flush at its end. Batches are small (``MAX_CALLS``), because a batch is run by one invoker.

- Replies come by direct reply-to, without acknowledgement, on the channel that published the call, and below
  aio-pika (``consumer.py`` says why).
- A batch expires in its queue with the last of its deadlines; the answering side drops what is late itself.
- No invoker: the queue does not exist, the broker returns the batch, its calls fail at once. Queue full: the
  broker refuses it (nack), the same. Connection lost: all calls under way fail at once; they may have run.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from aiormq.abc import DeliveredMessage

from shared.bus.coalesce import Leaving, batches, body_of
from shared.bus.connection import CONNECT_S, Link, Session
from shared.bus.delivery import remaining_s
from shared.bus.publisher import Confirm, NotSentError, Properties, why_not
from shared.domain.errors import DeadlineExceededError, PayloadTooLargeError, UnavailableError
from shared.messages import codec
from shared.messages.messages import InvocationReply, InvokeFunction
from shared.messages.topology import CALLS_EXCHANGE, SYNC_QUEUE

MAX_CALLS: Final = 16
MAX_WAITING: Final = 10_000
CONFIRM_S: Final = 5.0
"""The queue of calls touches no disk: a broker that has not confirmed by then does not answer at all."""
REPLY_TO: Final = "amq.rabbitmq.reply-to"

_log = structlog.get_logger(__name__)


class Caller:
    """The asking side: who waits for which reply."""

    def __init__(self, link: Link, *, max_waiting: int = MAX_WAITING) -> None:
        self._link, self._max_waiting = link, max_waiting
        self._waiting: dict[str, asyncio.Future[InvocationReply]] = {}
        self._leaving: list[Leaving] = []
        link.on_up.append(self._listen)
        link.on_down.append(self._lost)

    async def call(self, command: InvokeFunction) -> InvocationReply:
        """See ``Bus.call``."""
        self._link.present()
        left_s = remaining_s(command.expires_at_ms)
        if left_s <= 0:
            raise _too_late()
        if len(self._waiting) >= self._max_waiting:
            raise UnavailableError("too many calls are waiting for a reply", limit=self._max_waiting)
        if command.record_id in self._waiting:
            raise ValueError(f"a call with record id {command.record_id} is under way")
        frame = _encoded(command)
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[InvocationReply] = loop.create_future()
        self._waiting[command.record_id] = reply
        if not self._leaving:
            loop.call_soon(self._flush)
        self._leaving.append(Leaving(command.record_id, frame, command.expires_at_ms))
        timer = loop.call_later(left_s, self._fail, command.record_id, _too_late())
        try:
            return await reply
        finally:
            timer.cancel()
            del self._waiting[command.record_id]

    def _flush(self) -> None:
        """Send what this turn of the loop gathered, less those whose callers have gone."""
        leaving, self._leaving = self._leaving, []
        for batch in batches((each for each in leaving if each.record_id in self._waiting), MAX_CALLS):
            self._publish(batch)

    def _publish(self, batch: list[Leaving]) -> None:
        ids = [each.record_id for each in batch]
        session = self._link.session
        if session is None:
            self._refuse(ids, "not connected to the message broker")
            return
        last_s = remaining_s(max(each.expires_at_ms for each in batch))
        properties = Properties(
            reply_to=REPLY_TO, expiration=str(max(1, int(last_s * 1000))), message_type=InvokeFunction.TYPE
        )
        try:
            confirm = session.calls.publish(
                body_of(batch),
                exchange=CALLS_EXCHANGE,
                routing_key=SYNC_QUEUE,
                properties=properties,
            )
        except NotSentError as error:
            self._refuse(ids, str(error))
        else:
            confirm.add_done_callback(lambda confirm: self._confirmed(ids, confirm))
            loop = asyncio.get_running_loop()
            patience = loop.call_later(CONFIRM_S, session.overdue, "a call was not confirmed in time")
            confirm.add_done_callback(lambda _: patience.cancel())

    def _confirmed(self, ids: list[str], confirm: Confirm) -> None:
        error = confirm.exception()
        if error is not None:
            self._refuse(ids, f"no invoker takes the call: {why_not(error)}")

    def _refuse(self, ids: Iterable[str], why: str) -> None:
        for record_id in ids:
            self._fail(record_id, UnavailableError(why))

    def _fail(self, record_id: str, error: Exception) -> None:
        reply = self._waiting.get(record_id)
        if reply is not None and not reply.done():
            reply.set_exception(error)

    async def _listen(self, session: Session) -> None:
        """Consume replies, on the channel that calls are published on, as direct reply-to demands."""
        await session.calls_channel.basic_consume(REPLY_TO, self._on_replies, no_ack=True, timeout=CONNECT_S)

    async def _on_replies(self, message: DeliveredMessage) -> None:
        try:
            replies = codec.decode_batch(message.body)
        except codec.UndecodableError as error:
            _log.error("replies_undecodable", reason=error.reason)
            return
        for reply in replies:
            if isinstance(reply, InvocationReply):
                waiting = self._waiting.get(reply.record_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)

    def _lost(self) -> None:
        self._refuse(list(self._waiting), "the connection to the message broker was lost during the call")


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("no invoker answered in time")


def _encoded(command: InvokeFunction) -> bytes:
    try:
        return codec.encode(command)
    except codec.UnencodableError as error:
        raise PayloadTooLargeError(
            "the event is too large to be sent to an invoker", limit=codec.MAX_FRAME_BYTES
        ) from error
