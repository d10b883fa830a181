"""
What both buses do with a message once they hold it: one disposition for work, one reply for a call.

Also what bounds them: the count of what is in flight, and the pauses between attempts.
"""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum

import structlog

from shared.bus.bus import Delivery, InvocationHandler, Reject, WorkHandler
from shared.domain.errors import InternalError, PlatformError, UnavailableError
from shared.messages.messages import InvocationReply, InvokeFunction, Work

DELIVERY_LIMIT_REASON = "delivery_limit"
HELD_S = 600.0
"""How long a piece of work is held while a backend is away; well under the broker's consumer timeout."""
_HELD_PAUSE_S = 0.25

_log = structlog.get_logger(__name__)


class Fate(Enum):
    """What becomes of a delivered message."""

    DONE = "done"
    DEAD = "dead"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Disposition:
    """How a handler left its message; ``reason`` is that of a dead letter."""

    fate: Fate
    reason: str = ""


_DONE = Disposition(Fate.DONE)
_AGAIN = Disposition(Fate.AGAIN)


async def dispose(handler: WorkHandler, work: Work, delivery: Delivery, *, limit: int) -> Disposition:
    """
    Let ``handler`` do the work; its end in exactly one disposition. Cancellation passes through: it gives none.

    What fails after ``limit`` redeliveries is dead, and what it failed of the last time is the reason: a queue that
    counts deliveries cannot know it.

    A backend that is away says nothing about the work: it is held here and tried again until the backend is back,
    for as long as the broker lets us, and does not use up its deliveries.
    """
    give_up_at = time.monotonic() + HELD_S
    attempt = 1
    while True:
        try:
            await handler(work, delivery)
        except Reject as reject:
            return Disposition(Fate.DEAD, f"rejected: {reject}")
        except Exception as error:  # noqa: BLE001 - whatever a handler raises means: deliver it again
            _log.warning("work_failed", type=work.TYPE, delivery=delivery.count, attempt=attempt, exc_info=error)
            if not isinstance(error, UnavailableError) or time.monotonic() >= give_up_at:
                if delivery.count > limit:
                    return Disposition(Fate.DEAD, f"{DELIVERY_LIMIT_REASON}: {_cause(error)}")
                return _AGAIN
        else:
            return _DONE
        await asyncio.sleep(pause_s(attempt, _HELD_PAUSE_S, factor=2.0))
        attempt += 1


def _cause(error: Exception) -> str:
    """Name an error to whoever reads a dead letter; the text of a bug of ours stays in the log."""
    return f"{error.code}: {error.message}" if isinstance(error, PlatformError) else type(error).__name__


async def answer(handler: InvocationHandler, command: InvokeFunction) -> InvocationReply:
    """Return the handler's reply; what it raises becomes a reply that says so. Cancellation passes through."""
    try:
        return await handler(command)
    except PlatformError as error:
        return InvocationReply(record_id=command.record_id, error=error.record())
    except Exception as error:  # noqa: BLE001 - a bug of ours; the caller is told, and not what it was
        _log.exception("call_failed", record_id=command.record_id)
        unexpected = InternalError("the invoker failed unexpectedly", incident=command.record_id)
        unexpected.__cause__ = error
        return InvocationReply(record_id=command.record_id, error=unexpected.record())


def pause_s(attempt: int, first_s: float, *, factor: float = 4.0, most_s: float = 10.0) -> float:
    """Return how long to wait after the ``attempt``-th failure, in seconds."""
    return min(most_s, first_s * factor ** min(attempt - 1, 20))


def remaining_s(expires_at_ms: int) -> float:
    """Return the seconds left until a deadline given in Unix milliseconds; negative when it has passed."""
    return expires_at_ms / 1000 - time.time()


class InFlight:
    """How many messages are being handled, and up to how many may be."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"at least one must be in flight, not {limit}")
        self._limit = limit
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @property
    def full(self) -> bool:
        return self._count >= self._limit

    def enter(self) -> None:
        self._count += 1
        self._none.clear()

    def leave(self) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()

    async def drained(self) -> None:
        """Return when nothing is in flight."""
        while self._count:
            await self._none.wait()
