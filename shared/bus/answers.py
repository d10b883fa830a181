"""
Synchronous calls over RabbitMQ, the answering side; ``calls.py`` is the other one.

A batch of calls is acknowledged when its first call begins, never later: a call runs at most once. Until then it
stays the broker's, so an invoker that dies takes along only what it had begun, and ``PREFETCH`` bounds what one
invoker may hold back from the others while it has no room. Callers of what it took along get their deadline.

Replies to one caller made in the same turn of the event loop leave as one AMQP message. While the connection is
down they are kept (bounded, until their deadline): the caller's own connection may well be up.
"""

import asyncio
import contextvars
from collections import deque
from dataclasses import dataclass
from typing import Final

import structlog

from shared.bus.bus import InvocationHandler
from shared.bus.coalesce import Leaving, batches, body_of
from shared.bus.connection import Link, Session
from shared.bus.consumer import Received
from shared.bus.delivery import InFlight, answer, remaining_s
from shared.bus.graveyard import Graveyard
from shared.bus.publisher import NotSentError, Properties
from shared.domain.errors import PayloadTooLargeError, PlatformError, UnavailableError
from shared.messages import codec
from shared.messages.messages import InvocationReply, InvokeFunction
from shared.messages.topology import SYNC_QUEUE
from shared.process.supervise import Supervisor

PREFETCH: Final = 4
MAX_REPLIES: Final = 256
MAX_KEPT: Final = 4_000
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
_RETRY_S: Final = 0.01

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call in hand and where its reply goes."""

    command: InvokeFunction
    reply_to: str


class Answerer:
    """
    Runs calls, at most ``max_in_flight`` at once.

    ``_held`` are batches not yet begun (and not acknowledged), at most ``PREFETCH``; ``_line`` is the rest of a
    batch that has begun.
    """

    def __init__(
        self,
        handler: InvocationHandler,
        replies: "Replies",
        graveyard: Graveyard,
        tasks: Supervisor,
        *,
        max_in_flight: int,
    ) -> None:
        self._handler, self._replies, self._graveyard, self._tasks = handler, replies, graveyard, tasks
        self._in_flight = InFlight(max_in_flight)
        self._held: deque[Received] = deque()
        self._line: deque[_Call] = deque()
        self._context = contextvars.copy_context()

    def on_message(self, message: Received) -> None:
        """Take a batch of calls, now or when there is room."""
        self._held.append(message)
        self._fill()

    async def drained(self) -> None:
        """Return when every call in hand has been answered."""
        await self._in_flight.drained()

    def _fill(self) -> None:
        while not self._in_flight.full and (self._line or self._held):
            if not self._line:
                self._open(self._held.popleft())
                continue
            call = self._line.popleft()
            if remaining_s(call.command.expires_at_ms) > 0:
                self._in_flight.enter()
                # A context of its own: what another call has bound for its log lines is not this one's.
                self._context.run(self._begin, call)

    def _begin(self, call: _Call) -> None:
        self._tasks.spawn("call", self._run(call), critical=False)

    def _open(self, message: Received) -> None:
        message.ack()
        try:
            frames = codec.split(message.body)
        except codec.UndecodableError as error:
            self._graveyard.park(message.body, error.reason, SYNC_QUEUE)
            return
        for frame in frames:
            try:
                command = codec.decode(frame)
                if not isinstance(command, InvokeFunction):
                    raise codec.UndecodableError(f"{command.TYPE} is not a call")
            except codec.UndecodableError as error:
                self._graveyard.park(frame, error.reason, SYNC_QUEUE)
            else:
                self._line.append(_Call(command, message.reply_to or ""))

    async def _run(self, call: _Call) -> None:
        try:
            reply = await answer(self._handler, call.command)
            self._replies.send(call.reply_to, reply, call.command.expires_at_ms)
        finally:
            self._in_flight.leave()
        self._fill()


class Replies:
    """Replies on their way to their callers."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._leaving: dict[str, list[Leaving]] = {}
        self._kept = self._kept_bytes = 0
        self._none_kept = asyncio.Event()
        self._none_kept.set()
        self._scheduled = False
        link.on_up.append(self._resume)

    def send(self, reply_to: str, reply: InvocationReply, expires_at_ms: int) -> None:
        """Send a reply at the end of this turn of the event loop, or when the connection is back."""
        frame = _encoded(reply)
        if self._kept_bytes + len(frame) > MAX_KEPT_BYTES or self._kept >= MAX_KEPT:
            self._flush()
        if self._kept >= MAX_KEPT:
            _log.warning("reply_dropped", record_id=reply.record_id)
            return
        if self._kept_bytes + len(frame) > MAX_KEPT_BYTES:
            frame = _instead(reply, UnavailableError("the reply could not be sent: too many large ones are waiting"))
        self._keep(reply_to, [Leaving(reply.record_id, frame, expires_at_ms)])
        self._schedule()

    async def flushed(self) -> None:
        """Return when none is left to be sent."""
        await self._none_kept.wait()

    def _schedule(self, delay_s: float = 0.0) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            if delay_s:
                loop.call_later(delay_s, self._flush)
            else:
                loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        session = self._link.session
        if session is None:
            return
        leaving, self._leaving = self._leaving, {}
        self._kept = self._kept_bytes = 0
        for reply_to, replies in leaving.items():
            timely = (each for each in replies if remaining_s(each.expires_at_ms) > 0)
            for batch in batches(timely, MAX_REPLIES):
                self._publish(session, reply_to, batch)
        if not self._kept:
            self._none_kept.set()

    def _publish(self, session: Session, reply_to: str, batch: list[Leaving]) -> None:
        try:
            session.loose.publish(
                body_of(batch),
                exchange="",
                routing_key=reply_to,
                properties=Properties(message_type=InvocationReply.TYPE),
            )
        except NotSentError:
            self._keep(reply_to, batch)
            self._schedule(_RETRY_S)

    def _keep(self, reply_to: str, replies: list[Leaving]) -> None:
        self._leaving.setdefault(reply_to, []).extend(replies)
        self._kept += len(replies)
        self._kept_bytes += sum(len(each.frame) for each in replies)
        self._none_kept.clear()

    async def _resume(self, session: Session) -> None:  # noqa: ARG002 - the form of a hook
        self._schedule()


def _encoded(reply: InvocationReply) -> bytes:
    """A reply too large to be sent is a failure that is told, not a reply that is lost."""
    try:
        return codec.encode(reply)
    except codec.UnencodableError:
        return _instead(
            reply, PayloadTooLargeError("the result is too large to be sent back", limit=codec.MAX_FRAME_BYTES)
        )


def _instead(reply: InvocationReply, error: PlatformError) -> bytes:
    _log.warning("reply_replaced", record_id=reply.record_id, error=error.code)
    return codec.encode(InvocationReply(record_id=reply.record_id, error=error.record()))
