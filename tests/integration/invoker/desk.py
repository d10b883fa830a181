"""The loop and the runner of tasks of one invoker, as tests of both take them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.invoker.due import DueLoop
from services.invoker.pool.pool import FunctionCode, Invocation
from services.invoker.tasks import TaskLimits, TaskRunner
from shared.database import tasks
from shared.database.pool import Database
from shared.domain.outcome import Raised, Report, Timings
from shared.domain.task import Task
from shared.process.supervise import Supervisor
from tests.integration.database.world import spec
from tests.integration.invoker.conftest import HOLDER, Mill

LAMBDA = spec(runtime="nodejs20.x", timeout_s=300)


@dataclass(kw_only=True)
class Desk:
    """The loop and the runner of one invoker."""

    mill: Mill
    due: DueLoop
    runner: TaskRunner

    async def look(self) -> float:
        """Begin what is due now, and wait until it has ended."""
        pause_s = await self.due.look(self.runner)
        await self.runner.drained()
        return pause_s


@asynccontextmanager
async def desk_of(
    mill: Mill,
    *,
    db: Database | None = None,
    holder: str = HOLDER,
    at_once: int = 5,
    held: int = 10,
    look_s: float = 30.0,
) -> AsyncIterator[Desk]:
    """Give a desk on the mill's database, or on another way to it."""
    due = DueLoop(db or mill.db, look_s=look_s)
    runner = TaskRunner(
        db or mill.db,
        mill.invoker,
        mill.records.append,
        TaskLimits(at_once=at_once, held=held),
        holder=holder,
        on_end=due.wake,
    )
    try:
        yield Desk(mill=mill, due=due, runner=runner)
    finally:
        await runner.close()


@asynccontextmanager
async def running(*desks: Desk) -> AsyncIterator[None]:
    async with Supervisor() as supervisor:
        for each in desks:
            supervisor.spawn("due", each.due.run(each.runner))
        yield
        for each in desks:
            await each.due.stop()
            await each.runner.drained()


async def accepted(mill: Mill, **changes: Any) -> Task:
    [task] = await tasks.accept(mill.db, [mill.world.task(**changes)])
    return task


async def all_rows(mill: Mill) -> list[Task]:
    ids = await mill.db.fetch("SELECT id FROM tasks ORDER BY created_at, id")
    return [await mill.world.task_row(each["id"]) for each in ids]


async def throw(_code: FunctionCode, _invocation: Invocation) -> Report:
    return Report(outcome=Raised(name="RangeError", message="too big"), timings=Timings())


async def hold_forever(_code: FunctionCode, _invocation: Invocation) -> Report:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
