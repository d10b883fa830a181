"""
Records on their way to the logger: a buffer with a bound.

The buffer holds a record until it is told that the record arrived, so a lost connection loses nothing. Beyond
its bound new records are dropped, and counted in ``tidemill_records_dropped_total``.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from shared.process import metrics

MAX_RECORDS = 100_000
MAX_BYTES = 128 * 1024 * 1024

dropped = metrics.counter("records_dropped_total", "Records that were not kept, by reason.", ("reason",))
_log = structlog.get_logger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Held(Generic[Item]):
    """One buffered record and its size in bytes."""

    item: Item
    size: int


class RecordBuffer(Generic[Item]):
    """First in, first out. What was taken still counts against the bound until it is ``done`` or ``put_back``."""

    def __init__(self, *, max_count: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self._max_count, self._max_bytes = max_count, max_bytes
        self._waiting: deque[Held[Item]] = deque()
        self._count = 0
        self._bytes = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        """How many are held: waiting, or taken and not yet done."""
        return self._count

    @property
    def waiting(self) -> int:
        """How many are held and not taken."""
        return len(self._waiting)

    def add(self, item: Item, size: int) -> None:
        """Keep a record of about ``size`` bytes, or drop and count it."""
        if self._count >= self._max_count or (self._bytes + size > self._max_bytes and self._count):
            drop("buffer_full")
            return
        self._count += 1
        self._bytes += size
        self._waiting.append(Held(item, size))
        self._filled.set()
        self._emptied.clear()

    def take(self, max_count: int, max_bytes: int) -> list[Held[Item]]:
        """Return the oldest waiting records within both bounds; at least one if there is any."""
        taken: list[Held[Item]] = []
        size = 0
        while self._waiting and len(taken) < max_count and (not taken or size + self._waiting[0].size <= max_bytes):
            held = self._waiting.popleft()
            size += held.size
            taken.append(held)
        if not self._waiting:
            self._filled.clear()
        return taken

    def put_back(self, taken: Iterable[Held[Item]]) -> None:
        """They did not arrive: they wait again, before all others."""
        self._waiting.extendleft(reversed(list(taken)))
        if self._waiting:
            self._filled.set()

    def done(self, taken: Iterable[Held[Item]]) -> None:
        """They arrived: forget them."""
        for held in taken:
            self._count -= 1
            self._bytes -= held.size
        if not self._count:
            self._emptied.set()

    async def filled(self) -> None:
        """Return when a record waits."""
        await self._filled.wait()

    async def emptied(self) -> None:
        """Return when nothing is held."""
        await self._emptied.wait()


def drop(reason: str, count: int = 1) -> None:
    """Count records that are not kept; say so once in a while, not for each."""
    counter = dropped.labels(reason)
    counter.inc(count)
    _limiter.say(reason, count)


class _Limiter:
    """Logs the first drop of each kind and then one line every ten seconds."""

    EVERY_S = 10.0

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, int]] = {}

    def say(self, reason: str, count: int) -> None:
        now = time.monotonic()
        said_at, unsaid = self._since.get(reason, (-self.EVERY_S, 0))
        if now - said_at < self.EVERY_S:
            self._since[reason] = (said_at, unsaid + count)
            return
        self._since[reason] = (now, 0)
        _log.error("records_dropped", reason=reason, count=unsaid + count)


_limiter = _Limiter()
