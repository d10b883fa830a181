"""
The bus as the services see it.

Four ways to talk, with the guarantees of the design's section 2:

- ``call``: a synchronous invocation and its reply; at most once, bounded by its deadline, refused at once
  with ``UnavailableError`` when no invoker listens or its queue is full. Never touches a disk.
- ``send``: work that is kept until done; returns when the broker has confirmed it. At least once.
- ``record``: an event for the logger; buffered, sent in batches, kept until confirmed. At least once, up to
  the bound of the buffer; what the bound drops is counted in ``tidemill_records_dropped_total``.
- ``notify``: an event every replica hears; best effort, so what it announces is also in the database.

A handler of work ends in exactly one disposition: it returns (done), raises ``Reject`` (dead-letter at once,
with the reason), or raises anything else (delivered again, until the queue's delivery limit dead-letters it).
Cancellation gives no disposition, so the broker delivers again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.messages.messages import InvocationReply, InvokeFunction, Notice, Record, Work
from shared.messages.topology import WorkQueue


class Reject(Exception):  # noqa: N818 - a disposition, not an error
    """Raised by a work handler: this message can never be done; dead-letter it with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a handler may know of how a piece of work reached it. ``count`` is 1 at the first delivery."""

    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    Work that will not be tried again, and why.

    ``rejected: …``, or ``delivery_limit: …`` with what it failed of the last time (that nothing was heard of
    whoever took it, when those processes died).
    """

    work: Work
    reason: str


InvocationHandler = Callable[[InvokeFunction], Awaitable[InvocationReply]]
WorkHandler = Callable[[Work, Delivery], Awaitable[None]]
DeadLetterHandler = Callable[[DeadLetter], Awaitable[None]]
RecordHandler = Callable[[Sequence[Record]], Awaitable[None]]
NoticeHandler = Callable[[Notice], None]


class Bus(Protocol):
    """A connection to the bus. ``start`` before use; ``close`` flushes what it holds, then leaves."""

    durable: bool
    """Whether sent work outlives this process. If not, the relay sends all queued rows again at start."""

    async def start(self) -> None:
        """Connect and declare the topology; raise ``UnavailableError`` if the broker cannot be reached."""

    async def close(self) -> None:
        """Stop consuming, flush records, disconnect. Bounded in time."""

    async def call(self, command: InvokeFunction) -> InvocationReply:
        """
        Have an invoker run a function and return its reply.

        Raises
        ------
        DeadlineExceededError
            No reply before ``command.expires_at_ms``.
        UnavailableError
            No invoker is there, or its queue is full.

        """

    async def send(self, work: Work) -> None:
        """Put work on its queue; return once it is safe. Raises ``UnavailableError``."""

    def record(self, event: Record) -> None:
        """Hand an event to the logger; never waits, never raises."""

    def notify(self, notice: Notice) -> None:
        """Tell every replica; never waits, never raises."""

    async def serve_calls(self, handler: InvocationHandler, *, max_in_flight: int) -> None:
        """Answer calls with ``handler``, at most so many at once; a second call of this is an error."""

    async def consume_work(self, queue: WorkQueue, handler: WorkHandler, *, max_in_flight: int) -> None:
        """Take work from ``queue``, at most so many pieces at once."""

    async def consume_dead_letters(self, handler: DeadLetterHandler) -> None:
        """Settle dead letters, one at a time; a failing handler sees its letter again."""

    async def consume_records(self, handler: RecordHandler, *, max_batch: int, max_wait_s: float) -> None:
        """Persist records: batches of at most ``max_batch`` events, held at most ``max_wait_s``."""

    async def subscribe(self, handler: NoticeHandler, *, on_gap: Callable[[], None]) -> None:
        """Hear every notice; ``on_gap`` is called when some may have been missed (a reconnect)."""

    async def stop_consuming(self) -> None:
        """Take no more calls or work; what is in flight goes on and is awaited (draining)."""

    def problems(self) -> list[str]:
        """Return why this bus is not ready: not connected, or a consumer that should consume does not."""
