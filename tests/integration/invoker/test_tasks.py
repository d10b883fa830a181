"""Queued tasks begin when they are due, run once, are settled once, and are tried again where that is wanted."""

from collections.abc import AsyncIterator
from datetime import timedelta

import orjson
import pytest

from services.invoker.executions import SETTLE_S, WAIT_FOR_WORKER_S
from services.invoker.keeper import settle_cut_off
from services.invoker.pool.pool import FunctionCode, Invocation
from shared.database import functions, task_queue, tasks
from shared.domain.errors import ThrottledError, UnavailableError
from shared.domain.function import RetryPolicy
from shared.domain.outcome import Report
from shared.domain.task import TaskStatus
from shared.messages.messages import LogLinesWritten
from tests.integration.database.world import line, spec
from tests.integration.invoker.conftest import Mill, echo, lines_of, returned
from tests.integration.invoker.desk import LAMBDA, Desk, accepted, all_rows, desk_of, throw

RETRIED = RetryPolicy(enabled=True)


@pytest.fixture
async def desk(mill: Mill) -> AsyncIterator[Desk]:
    async with desk_of(mill) as desk:
        yield desk


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
