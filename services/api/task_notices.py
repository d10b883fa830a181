"""
Tells the invokers that tasks wait, at most so often.

A notice is a hint: invokers look for themselves every second and know what is due later. So a burst of new tasks
is told once when it begins, and then once a pause while it lasts; what is due later than the invokers will have
looked is not told at all.
"""

import asyncio
from datetime import datetime, timedelta

from shared.bus.bus import Bus
from shared.messages.messages import TasksWaiting

PAUSE_S = 0.02
_SOON = timedelta(seconds=2)


class TaskNotices:
    """The notices of one api, at least ``pause_s`` apart. ``close`` when no task is accepted any more."""

    def __init__(self, bus: Bus, *, pause_s: float = PAUSE_S) -> None:
        self._bus = bus
        self._pause_s = pause_s
        self._pause: asyncio.TimerHandle | None = None
        self._again = False

    def planned(self, created_at: datetime, due_at: datetime) -> None:
        """Tell of a task or schedule that is kept; both moments are those of its row."""
        if due_at - created_at > _SOON:
            return
        if self._pause is None:
            self._tell()
        else:
            self._again = True

    def close(self) -> None:
        """End the pause, and what would have followed it."""
        if self._pause is not None:
            self._pause.cancel()

    def _tell(self) -> None:
        self._bus.notify(TasksWaiting())
        self._pause = asyncio.get_running_loop().call_later(self._pause_s, self._paused)

    def _paused(self) -> None:
        self._pause = None
        if self._again:
            self._again = False
            self._tell()
