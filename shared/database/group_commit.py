"""
Group commit: rows that arrive while a batch is being committed go together in the next one.

A commit costs a disk flush whether it holds one row or five hundred. Nobody waits for a timer: an idle group
commits a lone row at once, and under load batches grow to what arrives during one commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from shared.domain.errors import UnavailableError
from shared.process.supervise import Supervisor


class Row(Protocol):
    """What a row must tell of itself: about how large it is, so that a batch of large ones stays bounded."""

    @property
    def size_bytes(self) -> int: ...


RowT = TypeVar("RowT", bound=Row)
ResultT = TypeVar("ResultT")


class GroupCommit(Generic[RowT, ResultT]):
    """
    One kind of row, committed in batches by ``flush``, which returns one result for each row, in order.

    At most ``max_batch`` rows and ``max_bytes`` a batch (one row may be larger), ``max_in_flight`` batches at a
    time, ``max_waiting`` rows and ``max_waiting_bytes`` in wait (one row may be larger here too). A batch that fails
    fails each of its rows with the same error and no others.
    A batch on its way is not called back by a submitter that gives up: it belongs to all of its rows.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[RowT]], Awaitable[Sequence[ResultT]]],
        *,
        max_batch: int = 500,
        max_bytes: int = 16 * 1024 * 1024,
        max_in_flight: int = 1,
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._max_in_flight = max_in_flight
        self._max_waiting, self._max_waiting_bytes = max_waiting, max_waiting_bytes
        self._waiting_bytes = 0
        self._waiting: deque[tuple[RowT, asyncio.Future[ResultT]]] = deque()
        self._in_flight = 0
        self._closed = False
        self._tasks = Supervisor()

    async def submit(self, row: RowT) -> ResultT:
        """
        Commit a row; return its result.

        Raises:
            UnavailableError: too many rows wait already, or too large ones, or the group is closed.
            Exception: whatever ``flush`` raised for the row's batch.
        """
        if self._closed:
            raise UnavailableError("the platform is shutting down")
        if self._is_full(row):
            raise UnavailableError("too many writes are waiting for the database")
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, result))
        self._waiting_bytes += row.size_bytes
        if self._in_flight < self._max_in_flight:
            # The task starts in the next turn of the loop: all rows of this turn go with it.
            self._in_flight += 1
            self._tasks.spawn("group-commit", self._commit_waiting(), critical=False)
        return await result

    async def close(self) -> None:
        """Give up what is on its way; its rows fail as cancelled."""
        self._closed = True
        await self._tasks.close()
        while self._waiting:
            self._waiting.popleft()[1].cancel()
        self._waiting_bytes = 0

    def _is_full(self, row: RowT) -> bool:
        too_large = bool(self._waiting) and self._waiting_bytes + row.size_bytes > self._max_waiting_bytes
        return too_large or len(self._waiting) >= self._max_waiting

    async def _commit_waiting(self) -> None:
        try:
            while batch := self._next_batch():
                await self._commit(batch)
        finally:
            self._in_flight -= 1

    def _next_batch(self) -> list[tuple[RowT, asyncio.Future[ResultT]]]:
        batch: list[tuple[RowT, asyncio.Future[ResultT]]] = []
        room = self._max_bytes
        while self._waiting and len(batch) < self._max_batch:
            room -= self._waiting[0][0].size_bytes
            if batch and room < 0:
                break
            row, result = self._waiting.popleft()
            self._waiting_bytes -= row.size_bytes
            if not result.done():  # its submitter gave up before it left
                batch.append((row, result))
        return batch

    async def _commit(self, batch: list[tuple[RowT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await self._flush([row for row, _ in batch])
        except asyncio.CancelledError:
            for _, result in batch:
                result.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the submitters' error, whatever it is
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), value in zip(batch, results, strict=True):
            if not result.done():
                result.set_result(value)
