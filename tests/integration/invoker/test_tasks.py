"""Queued tasks begin when they are due, run once, are settled once, and are tried again where that is wanted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.invoker.due import DueLoop
from services.invoker.executions import SETTLE_S, WAIT_FOR_WORKER_S
from services.invoker.keeper import settle_cut_off
from services.invoker.pool.pool import FunctionCode, Invocation
from services.invoker.tasks import TaskLimits, TaskRunner
from shared.database import functions, schedules, task_queue, tasks
from shared.database.schedules import NewSchedule
from shared.domain.errors import ThrottledError, UnavailableError
from shared.domain.function import RetryPolicy
from shared.domain.ids import new_record_id
from shared.domain.outcome import Raised, Report, Timings
from shared.domain.task import Task, TaskStatus
from shared.messages.messages import LogLinesWritten
from shared.process.supervise import Supervisor
from tests.integration.database.world import line, spec
from tests.integration.invoker.conftest import HOLDER, Mill, echo, lines_of, returned
from tests.support.eventually import eventually

LAMBDA = spec(runtime="nodejs20.x", timeout_s=300)
RETRIED = RetryPolicy(enabled=True)


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
async def desk_of(mill: Mill, *, holder: str = HOLDER, at_once: int = 5, held: int = 10) -> AsyncIterator[Desk]:
    due = DueLoop(mill.db, look_s=30.0)
    runner = TaskRunner(
        mill.db,
        mill.invoker,
        mill.records.append,
        TaskLimits(at_once=at_once, held=held),
        holder=holder,
        on_end=due.wake,
    )
    yield Desk(mill=mill, due=due, runner=runner)
    await runner.close()


@pytest.fixture
async def desk(mill: Mill) -> AsyncIterator[Desk]:
    async with desk_of(mill) as desk:
        yield desk


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


async def test_a_due_task_runs_on_itself_and_ends_complete(desk: Desk) -> None:
    await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill, data=b'{"who":"Bo"}', tags=("t",), priority=7)

    await desk.look()

    [invocation] = desk.mill.pool.invocations
    event = orjson.loads(invocation.event)
    done = await desk.mill.world.task_row(task.id)
    assert (event["id"], event["status"], event["data"]) == (task.id, "inProgress", {"who": "Bo"})
    assert (event["functionName"], event["tags"], event["priority"]) == ("greeter", ["t"], 7)
    assert (done.status, done.failure) == (TaskStatus.COMPLETE, None)
    assert (invocation.deadline_s, invocation.wait_s) == (300, WAIT_FOR_WORKER_S)


async def test_the_lines_of_a_task_are_kept_under_the_id_of_its_run(desk: Desk) -> None:
    async def speak(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(b"1", line("one"), line("two"))

    desk.mill.pool.run = speak
    await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill)

    await desk.look()

    done = await desk.mill.world.task_row(task.id)
    [record] = desk.mill.records
    assert isinstance(record, LogLinesWritten)
    assert (record.record_id, lines_of([record]), done.log_lines) == (done.run_id, ["one", "two"], 2)


async def test_a_lease_outlives_the_time_limit_of_the_function(desk: Desk) -> None:
    left_s: list[float] = []

    async def look(_code: FunctionCode, invocation: Invocation) -> Report:
        left = await desk.mill.db.fetchval("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM tasks")
        left_s.append(float(left))
        return returned(invocation.event)

    desk.mill.pool.run = look
    await desk.mill.world.function(spec=spec(timeout_s=900))
    await accepted(desk.mill)

    await desk.look()

    assert left_s[0] > WAIT_FOR_WORKER_S + 900 + SETTLE_S - 5


@pytest.mark.parametrize("enabled", [None, False])
async def test_a_task_without_a_function_that_may_run_fails_and_is_not_tried_again(
    desk: Desk, enabled: bool | None
) -> None:
    if enabled is False:
        await desk.mill.world.function(spec=LAMBDA, enabled=False, retry_policy=RETRIED)
    task = await accepted(desk.mill)

    await desk.look()

    failed = await desk.mill.world.task_row(task.id)
    assert failed.failure is not None
    assert (failed.status, failed.failure.kind, failed.retried_by) == (TaskStatus.FAILED, "refused", None)
    assert desk.mill.pool.invocations == []


async def test_a_task_runs_the_function_that_bears_its_name_when_it_begins(desk: Desk) -> None:
    old = await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill)
    await functions.delete_function(desk.mill.db, old.id)
    new = await desk.mill.world.function(spec=LAMBDA)
    ran: list[str] = []

    async def note(code: FunctionCode, invocation: Invocation) -> Report:
        ran.append(code.function_id)
        return await echo(code, invocation)

    desk.mill.pool.run = note

    await desk.look()

    assert ran == [new.id]
    assert (await desk.mill.world.task_row(task.id)).status is TaskStatus.COMPLETE


async def test_a_failing_task_is_tried_four_times_with_pauses_of_two_five_and_ten_seconds(desk: Desk) -> None:
    desk.mill.pool.run = throw
    await desk.mill.world.function(spec=LAMBDA, retry_policy=RETRIED)
    await accepted(desk.mill, data=b'{"n":1}', tags=("t",), priority=3, created_by_user="u")

    await desk.look()
    pauses: list[timedelta] = []
    for _ in range(3):
        *_, last, waiting = await all_rows(desk.mill)
        assert (last.status, waiting.status) == (TaskStatus.RETRIED, TaskStatus.NEW)
        pauses.append(waiting.due_at - last.status_changed_at)
        await desk.mill.db.execute("UPDATE tasks SET due_at = now() WHERE id = $1", waiting.id)
        await desk.look()

    tries = await all_rows(desk.mill)
    assert [each.status for each in tries] == [TaskStatus.RETRIED] * 3 + [TaskStatus.FAILED]
    assert pauses == [timedelta(seconds=2), timedelta(seconds=5), timedelta(seconds=10)]
    assert [each.retried_by for each in tries] == [*(each.id for each in tries[1:]), None]
    assert tries[-1].retry_for == tuple(each.id for each in tries[:-1])
    assert {(each.data, each.tags, each.priority, each.created_by_user) for each in tries} == {
        (b'{"n": 1}', ("t",), 3, "u")
    }


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (RetryPolicy(enabled=True, errors_to_retry=("TypeError", "RangeError")), TaskStatus.RETRIED),
        (RetryPolicy(enabled=True, errors_to_retry=("TypeError",)), TaskStatus.FAILED),
        (RetryPolicy(enabled=False, errors_to_retry=("RangeError",)), TaskStatus.FAILED),
    ],
)
async def test_only_the_errors_a_policy_names_are_worth_another_try(
    desk: Desk, policy: RetryPolicy, status: TaskStatus
) -> None:
    desk.mill.pool.run = throw
    await desk.mill.world.function(spec=LAMBDA, retry_policy=policy)
    task = await accepted(desk.mill)

    await desk.look()

    ended = await desk.mill.world.task_row(task.id)
    assert ended.failure is not None
    assert (ended.status, ended.failure.name) == (status, "RangeError")


@pytest.mark.parametrize("error", [ThrottledError("no worker"), UnavailableError("the package store is away")])
async def test_a_task_there_is_no_place_for_waits_again(desk: Desk, error: Exception) -> None:
    async def refuse(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise error

    desk.mill.pool.run = refuse
    await desk.mill.world.function(spec=LAMBDA, retry_policy=RETRIED)
    task = await accepted(desk.mill)
    await desk.look()
    assert (await desk.mill.world.task_row(task.id)).status is TaskStatus.NEW

    desk.mill.pool.run = echo
    await desk.look()

    assert (await desk.mill.world.task_row(task.id)).status is TaskStatus.COMPLETE


async def test_an_error_of_ours_ends_the_task_and_tells_nothing_of_itself(desk: Desk) -> None:
    async def break_down(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise RuntimeError("secret of ours")

    desk.mill.pool.run = break_down
    await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill)

    await desk.look()

    failure = (await desk.mill.world.task_row(task.id)).failure
    assert failure is not None
    assert (failure.kind, failure.name) == ("refused", "internal.unexpected")
    assert "secret" not in failure.message


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


@asynccontextmanager
async def running(*desks: Desk) -> AsyncIterator[None]:
    async with Supervisor() as supervisor:
        for each in desks:
            supervisor.spawn("due", each.due.run(each.runner))
        yield
        for each in desks:
            await each.due.stop()
            await each.runner.drained()


async def test_the_loop_begins_a_task_when_it_is_due_though_it_looks_seldom(desk: Desk) -> None:
    await desk.mill.world.function(spec=LAMBDA)
    now = (await accepted(desk.mill)).created_at
    later = await accepted(desk.mill, due_at=now + timedelta(seconds=1))

    async with running(desk):
        await eventually(lambda: len(desk.mill.pool.invocations) == 2)

    done = await desk.mill.world.task_row(later.id)
    began = await desk.mill.db.fetchval("SELECT started_at FROM tasks WHERE id = $1", later.id)
    assert done.status is TaskStatus.COMPLETE
    assert timedelta(0) <= began - later.due_at < timedelta(seconds=1)


async def test_a_loop_that_is_told_looks_at_once(desk: Desk) -> None:
    await desk.mill.world.function(spec=LAMBDA)
    async with running(desk):
        await asyncio.sleep(0.1)
        await accepted(desk.mill)
        desk.due.wake()
        await eventually(lambda: len(desk.mill.pool.invocations) == 1)


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


async def test_what_a_claim_took_whose_answer_was_lost_is_run_all_the_same(desk: Desk) -> None:
    await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill)
    # What a lost answer leaves: the row says that we run it, and nothing here does.
    await task_queue.claim(desk.mill.db, holder=HOLDER, lease_s=60.0, at_once=5, limit=5)
    desk.runner._claim_lost = True

    await desk.runner.take()
    await desk.runner.drained()

    assert (await desk.mill.world.task_row(task.id)).status is TaskStatus.COMPLETE
    assert len(desk.mill.pool.invocations) == 1


async def test_a_task_whose_lease_was_lost_is_not_settled_over_the_keepers_word(desk: Desk) -> None:
    async def lose(_code: FunctionCode, invocation: Invocation) -> Report:
        await task_queue.interrupt_all(desk.mill.db)
        return returned(invocation.event)

    desk.mill.pool.run = lose
    await desk.mill.world.function(spec=LAMBDA)
    task = await accepted(desk.mill)

    await desk.look()

    failure = (await desk.mill.world.task_row(task.id)).failure
    assert failure is not None
    assert failure.kind == "interrupted"


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
        await desk.due.stop()
        go.set()
        await desk.runner.drained()

    assert (await mill.world.task_row(first.id)).status is TaskStatus.COMPLETE
    assert (await mill.world.task_row(second.id)).status is TaskStatus.NEW


async def test_the_keeper_settles_tasks_of_an_invoker_that_is_gone(mill: Mill) -> None:
    await accepted(mill)
    [lost] = await task_queue.claim(mill.db, holder="gone", lease_s=60.0, at_once=5, limit=5)
    await mill.db.execute("UPDATE tasks SET started_at = started_at - interval '20 s'")

    await mill.keeper.reap()
    assert (await mill.world.task_row(lost.id)).status is TaskStatus.IN_PROGRESS, (
        "nobody could be heard for long enough"
    )
    await mill.beat_for(20)
    await mill.keeper.reap()

    failure = (await mill.world.task_row(lost.id)).failure
    assert failure is not None
    assert failure.kind == "interrupted"


async def test_a_start_without_others_settles_whatever_was_in_progress(mill: Mill) -> None:
    await accepted(mill)
    [lost] = await task_queue.claim(mill.db, holder="last process", lease_s=60.0, at_once=5, limit=5)
    [direct] = await tasks.begin_direct(mill.db, [mill.world.direct_task()])
    waiting = await accepted(mill)

    await settle_cut_off(mill.db)

    statuses = [(await mill.world.task_row(each.id)).status for each in (lost, direct, waiting)]
    assert statuses == [TaskStatus.FAILED, TaskStatus.FAILED, TaskStatus.NEW]
