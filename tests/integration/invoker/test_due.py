"""What is due begins at once, in its turn, no more at a time than may, and once whatever the number of invokers."""

import asyncio
from datetime import timedelta
from typing import cast

import orjson

from services.invoker.app import InvokerService
from services.invoker.pool.pool import FunctionCode, Invocation, WorkerPool
from services.ports import Ports
from shared.bus.memory import MemoryBus
from shared.database import schedules, tasks
from shared.database.pool import Database
from shared.database.schedules import NewSchedule
from shared.domain.errors import ThrottledError
from shared.domain.ids import new_record_id
from shared.domain.outcome import Report
from shared.domain.task import TaskStatus
from shared.packages.postgres import PostgresPackageStore
from shared.process.health import Health
from shared.process.supervise import Supervisor
from tests.integration.invoker.conftest import Mill, echo
from tests.integration.invoker.desk import LAMBDA, accepted, all_rows, desk_of, hold_forever, running
from tests.support.envelopes import an_envelope
from tests.support.eventually import eventually


async def test_no_more_tasks_run_at_once_than_may(mill: Mill) -> None:
    mill.pool.run = hold_forever
    await mill.world.function(spec=LAMBDA)
    for _ in range(12):
        await accepted(mill)

    async with desk_of(mill, holder="one", held=3) as one, desk_of(mill, holder="other") as other:
        await one.due.look(one.runner)
        await one.due.look(one.runner)
        await eventually(lambda: len(mill.pool.invocations) == 3)
        await other.due.look(other.runner)
        await eventually(lambda: len(mill.pool.invocations) == 5)


async def test_six_waiting_tasks_run_in_priority_order_when_one_runs_at_once(mill: Mill) -> None:
    await mill.world.function(spec=LAMBDA)
    for priority in (3, 1, 5, 0, 4, 2):
        await accepted(mill, priority=priority)

    async with desk_of(mill, at_once=1) as desk, running(desk):
        await eventually(lambda: len(mill.pool.invocations) == 6)

    ran = [orjson.loads(each.event)["priority"] for each in mill.pool.invocations]
    assert ran == [5, 4, 3, 2, 1, 0]


async def test_the_loop_begins_a_task_when_it_is_due_though_it_looks_seldom(mill: Mill) -> None:
    await mill.world.function(spec=LAMBDA)
    now = (await accepted(mill)).created_at
    later = await accepted(mill, due_at=now + timedelta(seconds=1))

    async with desk_of(mill) as desk, running(desk):
        await eventually(lambda: len(mill.pool.invocations) == 2)

    done = await mill.world.task_row(later.id)
    began = await mill.db.fetchval("SELECT started_at FROM tasks WHERE id = $1", later.id)
    assert done.status is TaskStatus.COMPLETE
    assert timedelta(0) <= began - later.due_at < timedelta(seconds=1)


async def test_a_loop_that_is_told_looks_at_once(mill: Mill) -> None:
    await mill.world.function(spec=LAMBDA)
    async with desk_of(mill) as desk, running(desk):
        first = await accepted(mill)
        desk.due.wake()
        await eventually(lambda: len(mill.pool.invocations) == 1)
        second = await accepted(mill)
        desk.due.wake()
        await eventually(lambda: len(mill.pool.invocations) == 2)

    for each in (first, second):
        assert (await mill.world.task_row(each.id)).status is TaskStatus.COMPLETE


async def test_two_loops_run_each_task_once_and_fire_a_schedule_once_an_interval(mill: Mill) -> None:
    await mill.world.function(spec=LAMBDA)
    await schedules.create(
        mill.db,
        NewSchedule(
            id=new_record_id(),
            environment_id=mill.world.environment_id,
            function_name="greeter",
            interval_s=1,
            data=b'{"by":"schedule"}',
            priority=9,
        ),
    )
    await tasks.accept(mill.db, [mill.world.task() for _ in range(60)])

    async with desk_of(mill, holder="one") as one, desk_of(mill, holder="other") as other, running(one, other):
        await eventually(lambda: len(mill.pool.invocations) >= 62)

    events = [orjson.loads(each.event) for each in mill.pool.invocations]
    planned = [each["startTimestamp"] for each in events if each.get("data") == {"by": "schedule"}]
    assert len({each["id"] for each in events}) == len(events)
    assert len(set(planned)) == len(planned) >= 2
    assert {each.status for each in await all_rows(mill)} == {TaskStatus.COMPLETE}


async def test_a_stopped_loop_begins_nothing_more_and_what_runs_ends(mill: Mill) -> None:
    go = asyncio.Event()

    async def wait(code: FunctionCode, invocation: Invocation) -> Report:
        await go.wait()
        return await echo(code, invocation)

    mill.pool.run = wait
    await mill.world.function(spec=LAMBDA)
    first = await accepted(mill)
    async with desk_of(mill, at_once=1) as desk, Supervisor() as supervisor:
        supervisor.spawn("due", desk.due.run(desk.runner))
        await eventually(lambda: len(mill.pool.invocations) == 1)
        second = await accepted(mill)
        desk.runner.stop()
        await desk.due.stop()
        go.set()
        await desk.runner.drained()

    assert (await mill.world.task_row(first.id)).status is TaskStatus.COMPLETE
    assert (await mill.world.task_row(second.id)).status is TaskStatus.NEW


async def test_a_task_that_waits_for_a_worker_goes_back_at_once_when_its_invoker_leaves(mill: Mill) -> None:
    mill.pool.busy = True
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)

    async with desk_of(mill) as desk:
        await desk.due.look(desk.runner)
        await eventually(lambda: mill.pool.invocations)
        desk.runner.stop()
        async with asyncio.timeout(5):
            await desk.runner.drained()

    assert (await mill.world.task_row(task.id)).status is TaskStatus.NEW


async def test_a_task_that_is_put_off_goes_back_at_once_when_its_invoker_leaves(mill: Mill) -> None:
    async def refuse(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise ThrottledError("no worker")

    mill.pool.run = refuse
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)

    async with desk_of(mill) as desk:
        await desk.due.look(desk.runner)
        await eventually(lambda: mill.pool.invocations)
        await desk.runner.close()

        assert (await mill.world.task_row(task.id)).status is TaskStatus.NEW


async def test_an_invoker_that_leaves_while_the_database_is_away_does_not_wait_for_it(
    mill: Mill, database_url: str
) -> None:
    mill.pool.busy = True
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)
    away = await Database.connect(database_url)

    async with desk_of(mill, db=away) as desk:
        await desk.due.look(desk.runner)
        await eventually(lambda: mill.pool.invocations)
        await away.close()
        async with asyncio.timeout(8):
            await desk.runner.close()

    assert (await mill.world.task_row(task.id)).status is TaskStatus.IN_PROGRESS


async def test_a_task_that_is_claimed_while_its_invoker_leaves_goes_back_unbegun(mill: Mill) -> None:
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)

    async with desk_of(mill) as desk:
        desk.runner.stop()
        assert await desk.runner.take() == 1
        await desk.runner.drained()

    assert (await mill.world.task_row(task.id)).status is TaskStatus.NEW
    assert mill.pool.invocations == []


async def test_an_invoker_that_leaves_takes_no_more_calls_while_a_claim_is_still_being_made(mill: Mill) -> None:
    class Bus(MemoryBus):
        stopped = False

        async def stop_consuming(self) -> None:
            self.stopped = True

    bus = Bus()
    await mill.world.function(spec=LAMBDA)
    task = await accepted(mill)
    async with desk_of(mill) as desk, Supervisor() as supervisor:
        ports = Ports(
            replica_id="leaving",
            db=mill.db,
            bus=bus,
            packages=PostgresPackageStore(mill.db),
            envelope=an_envelope(),
            health=Health("invoker"),
        )
        invoker = InvokerService(ports=ports, pool=cast("WorkerPool", mill.pool), due=desk.due, tasks=desk.runner)
        async with mill.db.transaction() as elsewhere:
            await elsewhere.execute("LOCK TABLE tasks")
            supervisor.spawn("due", desk.due.run(desk.runner))
            leaving = supervisor.spawn("leave", invoker.drain())
            await eventually(lambda: bus.stopped)
            assert not leaving.done()
        await eventually(leaving.done)

    assert (await mill.world.task_row(task.id)).status is TaskStatus.NEW
