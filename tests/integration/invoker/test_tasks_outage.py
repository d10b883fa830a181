"""A database that goes away under the runner of tasks costs no finished run and starts nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from services.invoker.pool.pool import FunctionCode, Invocation
from services.invoker.tasks import PUT_OFF_S
from shared.database.pool import Database
from shared.domain.errors import ThrottledError
from shared.domain.outcome import Report
from shared.domain.task import TaskStatus
from tests.integration.invoker.conftest import Mill, echo
from tests.integration.invoker.desk import LAMBDA, Desk, accepted, desk_of, running
from tests.support.apps_outage import way_to
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, Way

COMMITTED = b"COMMIT\0"
"""What PostgreSQL says to whoever committed a transaction of several statements: here, a claim."""

RELEASED = b"UPDATE 1\0"
"""What it says when a task went back to the queue."""


@dataclass(kw_only=True)
class Fragile:
    """A runner whose way to the database can be cut; the tests look at the rows another way."""

    desk: Desk
    way: Proxy


@pytest.fixture
async def fragile(mill: Mill, database_url: str) -> AsyncIterator[Fragile]:
    async with AsyncExitStack() as stack:
        way, url = await way_to(database_url, stack)
        db = await Database.connect(url)
        stack.push_async_callback(db.close)
        async with desk_of(mill, db=db, look_s=0.2) as desk:
            yield Fragile(desk=desk, way=way)


async def test_a_run_that_ends_while_the_database_is_away_is_settled_when_it_is_back(
    mill: Mill, fragile: Fragile
) -> None:
    async def run(code: FunctionCode, invocation: Invocation) -> Report:
        fragile.way.cut()
        return await echo(code, invocation)

    mill.pool.run = run
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)
    async with running(fragile.desk):
        await eventually(lambda: mill.pool.invocations)
        await asyncio.sleep(0.5)
        assert (await mill.world.task_row(task.id)).status is TaskStatus.IN_PROGRESS
        fragile.way.heal()
        await fragile.desk.runner.drained()

    assert (await mill.world.task_row(task.id)).status is TaskStatus.COMPLETE
    assert len(mill.pool.invocations) == 1


async def test_a_claim_whose_answer_is_lost_is_made_again_and_its_tasks_run_once(mill: Mill, fragile: Fragile) -> None:
    await mill.world.function(spec=LAMBDA)
    ids = [(await accepted(mill)).id for _ in range(3)]
    fragile.way.cut_when(lambda way, data: way is Way.TO_CLIENT and COMMITTED in data)

    async with running(fragile.desk):
        await fragile.way.sprung.wait()
        claimed = [(await mill.world.task_row(each)).status for each in ids]
        fragile.way.heal()
        await eventually(lambda: len(mill.pool.invocations) == 3)

    assert claimed == [TaskStatus.IN_PROGRESS] * 3
    assert [(await mill.world.task_row(each)).status for each in ids] == [TaskStatus.COMPLETE] * 3
    assert len(mill.pool.invocations) == 3


async def test_a_task_that_goes_back_to_the_queue_does_so_when_the_database_is_back(
    mill: Mill, fragile: Fragile
) -> None:
    async def refuse(_code: FunctionCode, _invocation: Invocation) -> Report:
        mill.pool.run = echo
        fragile.way.cut()
        raise ThrottledError("no worker")

    mill.pool.run = refuse
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)
    async with running(fragile.desk):
        await eventually(lambda: mill.pool.invocations)
        await asyncio.sleep(PUT_OFF_S + 0.3)
        fragile.way.heal()
        await eventually(lambda: len(mill.pool.invocations) == 2)

    assert (await mill.world.task_row(task.id)).status is TaskStatus.COMPLETE


async def test_a_release_whose_answer_is_lost_does_not_undo_the_claim_that_follows(
    mill: Mill, fragile: Fragile
) -> None:
    """Another invoker is not needed: the same one takes the task up again before it asks for the release again."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def run_long(code: FunctionCode, invocation: Invocation) -> Report:
        begun.set()
        await may_end.wait()
        return await echo(code, invocation)

    async def refuse(_code: FunctionCode, _invocation: Invocation) -> Report:
        mill.pool.run = run_long
        fragile.way.cut_when(lambda way, data: way is Way.TO_CLIENT and RELEASED in data)
        raise ThrottledError("no worker")

    mill.pool.run = refuse
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)
    async with running(fragile.desk):
        await fragile.way.sprung.wait()
        fragile.way.heal()
        fragile.desk.due.wake()
        await begun.wait()
        await asyncio.sleep(1.0)
        assert (await mill.world.task_row(task.id)).status is TaskStatus.IN_PROGRESS
        may_end.set()
        await fragile.desk.runner.drained()

    assert (await mill.world.task_row(task.id)).status is TaskStatus.COMPLETE
    assert len(mill.pool.invocations) == 2
