"""
The bus of the all-in-one: everything stays in this process, and goes with it.

Messages are passed as objects, never encoded. What RabbitMQ bounds is bounded here too: the line of calls that
wait for an invoker, the work that waits, the records on their way. Work redelivers with a pause up to its
delivery limit and then becomes a dead letter. ``durable`` is false, so the relay sends all queued rows again
when the process starts.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared.bus.bus import (
    DeadLetterHandler,
    InvocationHandler,
    NoticeHandler,
    RecordHandler,
    WorkHandler,
)
from shared.bus.delivery import InFlight, answer, pause_s, remaining_s
from shared.bus.memory_work import DeadLetters, WorkLine
from shared.bus.records import Held, RecordBuffer
from shared.domain.errors import DeadlineExceededError, UnavailableError
from shared.messages.messages import (
    ApiRequestFinished,
    ExecutionFinished,
    InvocationReply,
    InvokeFunction,
    Notice,
    Record,
    SecretsAsked,
    Work,
)
from shared.messages.topology import SYNC_QUEUE_BYTES, SYNC_QUEUE_LENGTH, WORK_QUEUES, WorkQueue, queue_of
from shared.process.supervise import Supervisor

CLOSE_S = 5.0
DRAIN_S = 330.0
"""The longest run and its lease: beyond that nothing is worth waiting for."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call in line: its command, its caller's future, and the caller's context for the run's log lines."""

    command: InvokeFunction
    reply: "asyncio.Future[InvocationReply]"
    context: contextvars.Context


class MemoryBus:
    """
    One for a whole process; all services of it share it.

    At most ``calls_waiting`` calls, of ``calls_waiting_bytes`` together, wait for an invoker.
    """

    durable = False

    def __init__(
        self,
        *,
        calls_waiting: int = SYNC_QUEUE_LENGTH,
        calls_waiting_bytes: int = SYNC_QUEUE_BYTES,
        redelivery_pause_s: float = 0.5,
    ) -> None:
        self._tasks = Supervisor(close_timeout_s=CLOSE_S)
        self._started = False
        self._stopped = False
        self._invoke: InvocationHandler | None = None
        self._calls: InFlight | None = None
        self._line: deque[_Waiting] = deque()
        self._line_bytes = 0
        self._calls_waiting, self._calls_waiting_bytes = calls_waiting, calls_waiting_bytes
        self._pause_s = redelivery_pause_s
        self._dead = DeadLetters(self._tasks, redelivery_pause_s)
        self._work = {
            queue.name: WorkLine(queue, self._tasks, self._dead.put, redelivery_pause_s) for queue in WORK_QUEUES
        }
        self._records: RecordBuffer[Record] = RecordBuffer()
        self._record_consumer: asyncio.Task[None] | None = None
        self._subscribers: list[NoticeHandler] = []

    async def start(self) -> None:
        self._started = True

    async def close(self) -> None:
        """Refuse what is new, hand the logger what is held (to a deadline), end every task."""
        if not self._started:
            return
        self._started = False
        self._stop()
        if self._record_consumer is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._records.emptied()
            except TimeoutError:
                _log.error("records_left_behind", count=len(self._records))
        await self._tasks.close()
        for waiting in self._line:
            _refuse(waiting.reply, "the platform is shutting down")
        self._line.clear()
        self._line_bytes = 0

    async def call(self, command: InvokeFunction) -> InvocationReply:
        calls = self._calls
        if calls is None or not self._started or self._stopped:
            raise UnavailableError("no invoker is there to run the function")
        left_s = remaining_s(command.expires_at_ms)
        if left_s <= 0:
            raise _too_late()
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[InvocationReply] = loop.create_future()
        if not calls.full:
            self._begin(command, reply)
        else:
            self._queue(command, reply)
        timer = loop.call_later(left_s, _expire, reply)
        try:
            return await reply
        finally:
            timer.cancel()

    def _queue(self, command: InvokeFunction, reply: "asyncio.Future[InvocationReply]") -> None:
        """Put a call in line; raise ``UnavailableError`` when the line is full."""
        if len(self._line) >= self._calls_waiting:
            raise UnavailableError("too many calls are waiting for an invoker", limit=self._calls_waiting)
        if self._line_bytes + len(command.payload) > self._calls_waiting_bytes:
            raise UnavailableError("the calls that wait for an invoker are too large", limit=self._calls_waiting_bytes)
        self._line.append(_Waiting(command, reply, contextvars.copy_context()))
        self._line_bytes += len(command.payload)

    def _begin(self, command: InvokeFunction, reply: "asyncio.Future[InvocationReply]") -> None:
        """Run in a task of its own: a caller that goes away does not stop the run."""
        assert self._invoke is not None
        assert self._calls is not None
        self._calls.enter()
        run = self._tasks.spawn("call", _run(self._invoke, command, reply), critical=False)
        run.add_done_callback(lambda _: self._ended(reply))

    def _ended(self, reply: "asyncio.Future[InvocationReply]") -> None:
        """A run is over: answered, or cancelled (perhaps before its first step). The next in line begins."""
        assert self._calls is not None
        _refuse(reply, "the invoker is shutting down")
        self._calls.leave()
        while self._started and self._line and not self._calls.full:
            waiting = self._line.popleft()
            self._line_bytes -= len(waiting.command.payload)
            if not waiting.reply.done():
                waiting.context.run(self._begin, waiting.command, waiting.reply)

    async def send(self, work: Work) -> None:
        if not self._started:
            raise UnavailableError("the bus is closed")
        self._work[queue_of(work).name].put(work)

    def record(self, event: Record) -> None:
        self._records.add(event, _size_of(event))

    def notify(self, notice: Notice) -> None:
        loop = asyncio.get_running_loop()
        for subscriber in self._subscribers:
            loop.call_soon(_tell, subscriber, notice)

    async def serve_calls(self, handler: InvocationHandler, *, max_in_flight: int) -> None:
        if self._invoke is not None:
            raise RuntimeError("calls are already being served")
        self._invoke, self._calls = handler, InFlight(max_in_flight)

    async def consume_work(self, queue: WorkQueue, handler: WorkHandler, *, max_in_flight: int) -> None:
        self._work[queue.name].consume(handler, max_in_flight)

    async def consume_dead_letters(self, handler: DeadLetterHandler) -> None:
        self._dead.consume(handler)

    async def consume_records(self, handler: RecordHandler, *, max_batch: int, max_wait_s: float) -> None:
        if self._record_consumer is not None:
            raise RuntimeError("records are already being consumed")
        self._record_consumer = self._tasks.spawn(
            "records", self._persist(handler, max_batch, max_wait_s), critical=False
        )

    async def _persist(self, handler: RecordHandler, max_batch: int, max_wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            await self._records.filled()
            # A lone record goes at once; under load batches are ``max_wait_s`` apart.
            if self._started and len(self._records) < max_batch and (wait_s := next_at - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            next_at = loop.time() + max_wait_s
            taken = self._records.take(max_batch, 1 << 62)
            await self._persist_batch(handler, taken)
            self._records.done(taken)

    async def _persist_batch(self, handler: RecordHandler, taken: list[Held[Record]]) -> None:
        """Hand over one batch, again and again until the handler takes it."""
        attempt = 1
        while True:
            try:
                await handler([held.item for held in taken])
            except Exception as error:  # noqa: BLE001 - the batch stays ours whatever went wrong
                _log.warning("records_not_persisted", count=len(taken), attempt=attempt, exc_info=error)
            else:
                return
            await asyncio.sleep(pause_s(attempt, self._pause_s))
            attempt += 1

    async def subscribe(self, handler: NoticeHandler, *, on_gap: Callable[[], None]) -> None:  # noqa: ARG002 - no gaps here
        self._subscribers.append(handler)

    async def stop_consuming(self) -> None:
        self._stop()
        try:
            async with asyncio.timeout(DRAIN_S):
                if self._calls is not None:
                    await self._calls.drained()
                for line in self._work.values():
                    await line.drained()
                await self._dead.drained()
        except TimeoutError:
            _log.error("work_left_behind", waited_s=DRAIN_S)

    def _stop(self) -> None:
        self._stopped = True
        for line in self._work.values():
            line.stop()
        self._dead.stop()

    def problems(self) -> list[str]:
        if not self._started:
            return ["the bus is not started"]
        if self._record_consumer is not None and self._record_consumer.done():
            return ["the consumer of records has ended"]
        return []


async def _run(handler: InvocationHandler, command: InvokeFunction, reply: "asyncio.Future[InvocationReply]") -> None:
    result = await answer(handler, command)
    if not reply.done():
        reply.set_result(result)


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("no invoker answered in time")


def _expire(reply: "asyncio.Future[InvocationReply]") -> None:
    if not reply.done():
        reply.set_exception(_too_late())


def _refuse(reply: "asyncio.Future[InvocationReply]", why: str) -> None:
    if not reply.done():
        reply.set_exception(UnavailableError(why))


def _tell(subscriber: NoticeHandler, notice: Notice) -> None:
    try:
        subscriber(notice)
    except Exception:  # noqa: BLE001 - one deaf subscriber must not cost the others
        _log.exception("notice_handler_failed", type=notice.TYPE)


def _size_of(event: Record) -> int:
    """Roughly: the texts of unbounded length, and something for the rest."""
    size = 500
    if not isinstance(event, SecretsAsked):
        size += sum(100 + len(line.message) + len(line.text) for line in event.lines)
    match event:
        case ExecutionFinished():
            size += len(event.params) + len(event.result or "")
        case ApiRequestFinished():
            size += len(event.call.path)
        case _:
            pass
    return size
