"""
Watches the memory of workers while they run.

A function's limit counts anonymous memory, as the author sees it; the control group's wall is further out,
because files in ``/tmp`` count there too and because a process at that wall is slow to die. A run that passes
the limit ends as out of memory within a poll. A worker that is nearly full between calls is retired instead
of being allowed to fail the next one.
"""

import asyncio
import time
from collections.abc import Iterable

from services.invoker.sandbox.limits import MEGABYTE
from services.invoker.sandbox.states import KillReason, WorkerState
from services.invoker.sandbox.worker import Worker
from shared.domain.outcome import OutOfMemory

POLL_S = 0.025
_CHECK_EVERY_S = 0.02
_NEARLY_FULL = 0.8
_WATCHED = {WorkerState.BUSY, WorkerState.RESTING}


class Watchdog:
    """Polls only while something runs."""

    def __init__(self) -> None:
        self._running: set[Worker] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, worker: Worker) -> None:
        """Begin with the start of a run."""
        self._running.add(worker)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._poll)

    def leave(self, worker: Worker) -> None:
        """End with the end of a run."""
        self._running.discard(worker)

    def stop(self) -> None:
        """Poll no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_nearly_full(self, worker: Worker) -> bool:
        """Tell whether a worker is so close to its limit that it should serve no more calls."""
        now = time.monotonic()
        if now - worker.checked_at < _CHECK_EVERY_S:
            return False
        worker.checked_at = now
        worker.note_kills()
        return worker.memory_bytes() > worker.memory_mb * MEGABYTE * _NEARLY_FULL

    def check_idle(self, workers: Iterable[Worker]) -> None:
        """End workers that grew past their limit with nobody calling: work they left running in the background."""
        for worker in workers:
            if worker.state is WorkerState.IDLE and worker.memory_bytes() > worker.memory_mb * MEGABYTE:
                worker.end(KillReason.OUT_OF_MEMORY)

    def _poll(self) -> None:
        self._timer = None
        now = time.monotonic()
        for worker in list(self._running):
            if worker.state not in _WATCHED or now - worker.run_began < _CHECK_EVERY_S:
                continue
            if worker.memory_bytes() > worker.memory_mb * MEGABYTE:
                worker.cut_off(OutOfMemory(limit_mb=worker.memory_mb), KillReason.OUT_OF_MEMORY)
        if self._running:
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._poll)
