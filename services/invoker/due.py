"""
The loop that begins what is due: marks tasks whose time has come, fires schedules, claims, runs.

It looks when it is told that tasks wait, when the next one is due, when one of its own has ended, and every second
at the latest: notices may be lost, and another invoker may have given up a place. Any number of invokers may do
this at once: each row goes to one of them.
"""

import asyncio

import structlog

from services.invoker.tasks import TaskRunner
from shared.database import schedules, task_queue
from shared.database.pool import Database
from shared.domain.errors import UnavailableError

LOOK_S = 1.0
_TAKEN_ELSEWHERE_S = 0.02
"""What is due and not to be had is in the hands of another invoker, for as long as a statement takes."""

logger = structlog.get_logger()


class DueLoop:
    """One invoker's. ``wake`` makes it look at once; ``stop`` lets it end."""

    def __init__(self, db: Database, *, look_s: float = LOOK_S) -> None:
        self._db = db
        self._look_s = look_s
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look at once: something may be there."""
        self._woken.set()

    async def run(self, runner: TaskRunner) -> None:
        """Begin what is due, until ``stop``."""
        try:
            while not self._stopping:
                self._woken.clear()
                await self._rest(await self._pause_after_look(runner))
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Begin nothing more; return when what was being claimed is known."""
        self._stopping = True
        self.wake()
        await self._ended.wait()

    async def look(self, runner: TaskRunner) -> float:
        """Do what is to be done now; return for how many seconds there is nothing more, as far as is known."""
        await runner.give_back_lost()
        found = await task_queue.waiting(self._db)
        due = found.due_in_s is not None and found.due_in_s <= 0
        moved = 0
        if due:
            moved = len(await schedules.fire(self._db)) + await task_queue.make_ready(self._db)
        if found.ready or moved:
            await runner.take()
        if due:
            return 0.0 if moved else _TAKEN_ELSEWHERE_S
        return self._look_s if found.due_in_s is None else min(found.due_in_s, self._look_s)

    async def _pause_after_look(self, runner: TaskRunner) -> float:
        try:
            return await self.look(runner)
        except UnavailableError as error:
            logger.warning("tasks_wait", reason=error.message)
            return self._look_s

    async def _rest(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            return
