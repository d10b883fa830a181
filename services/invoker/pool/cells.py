"""
Stem cells: workers that wait with their runtime loaded and no function.

Used ones are replaced in the background, a few at a time and a moment later, so that making them does not
slow the call that used them. When making one fails it is tried again, less and less often.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping

import structlog

from services.invoker.sandbox.states import WorkerState
from services.invoker.sandbox.worker import Worker
from shared.domain.errors import PlatformError
from shared.process.supervise import Supervisor

_log = structlog.get_logger(__name__)
_AT_ONCE = 2
_REFILL_AFTER_S = 0.03
_RETRY_S = (0.1, 0.5, 2.0, 5.0)


class StemCells:
    """The stem cells of one invoker, by runtime family. ``make`` starts one; it raises ``PlatformError``."""

    def __init__(
        self, wanted: Mapping[str, int], make: Callable[[str], Awaitable[Worker]], supervisor: Supervisor
    ) -> None:
        self._wanted = wanted
        self._make = make
        self._supervisor = supervisor
        self._ready: dict[str, deque[Worker]] = {family: deque() for family in wanted}
        self._making: Counter[str] = Counter()
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def take(self, family: str) -> Worker | None:
        """Return a cell that is still alive, None when there is none; see to its replacement."""
        self.refill_soon()
        ready = self._ready[family]
        while ready:
            cell = ready.popleft()
            if cell.state is WorkerState.BLANK:
                return cell
        return None

    def put(self, cell: Worker) -> None:
        """Take a cell that was made elsewhere, or given back unused."""
        self._ready[cell.runtime].append(cell)

    def forget(self, worker: Worker) -> None:
        """A worker is gone: if it was one of these, replace it."""
        if worker in self._ready[worker.runtime]:
            self._ready[worker.runtime].remove(worker)
            self.refill_soon()

    def ready(self) -> dict[str, int]:
        """Return how many wait, by family."""
        return {family: len(cells) for family, cells in self._ready.items()}

    def refill_soon(self) -> None:
        """Make what is missing, in a moment."""
        if self._timer is None and not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(_REFILL_AFTER_S, self._refill)

    def stop(self) -> None:
        """Make no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _refill(self) -> None:
        self._timer = None
        for family, wanted in self._wanted.items():
            missing = wanted - len(self._ready[family]) - self._making[family]
            for _ in range(min(missing, _AT_ONCE - self._making.total())):
                self._making[family] += 1
                self._supervisor.spawn(f"stem-cell-{family}", self._add(family), critical=False)

    async def _add(self, family: str) -> None:
        try:
            cell = await self._make(family)
        except PlatformError as error:
            if self._stopped:
                return
            delay = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
            self._failures += 1
            _log.warning("stem_cell_failed", family=family, reason=str(error), retry_s=delay)
            await asyncio.sleep(delay)
        else:
            self._failures = 0
            self.put(cell)
        finally:
            self._making[family] -= 1
        if not self._stopped:
            self._refill()
