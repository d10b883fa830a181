"""Accepted executions run once and settle once, whatever is delivered, lost or late."""

import asyncio

import pytest

from services.invoker.dead_letters import DeadLetters
from services.invoker.executions import SETTLE_S, WAIT_FOR_WORKER_S
from services.invoker.pool.pool import FunctionCode, Invocation
from shared.bus.bus import DeadLetter, Delivery, Reject
from shared.database import executions, functions
from shared.domain.errors import StartFailedError, ThrottledError
from shared.domain.execution import Execution, ExecutionStatus
from shared.domain.outcome import Raised, Report, Timings
from shared.messages.messages import DeployFunction, FunctionChanged, LogLinesWritten, RunExecution
from shared.messages.topology import ASYNC_QUEUE
from tests.integration.database.world import line, spec
from tests.integration.invoker.conftest import HOLDER, Mill, echo, lines_of, returned
from tests.support.eventually import eventually

FIRST = Delivery(count=1)
AGAIN = Delivery(count=2)


async def row(mill: Mill, execution_id: str) -> Execution:
    found = await executions.find_execution(mill.db, execution_id)
    assert found is not None
    return found


async def test_an_accepted_execution_runs_and_its_row_holds_the_result(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    done = await row(mill, execution_id)
    assert done.status is ExecutionStatus.COMPLETED
    assert done.result == b'{"n":1}'
    assert done.started_at is not None
    assert done.timings == Timings(handler_ms=2.0)


async def test_a_duplicate_delivery_runs_the_function_once(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    work = RunExecution(execution_id=execution_id, function_id=function.id)

    await asyncio.gather(mill.runner.run(work, FIRST), mill.runner.run(work, AGAIN))
    await mill.runner.run(work, AGAIN)

    assert len(mill.pool.invocations) == 1


async def test_a_lease_outlives_the_time_limit_of_the_function(mill: Mill) -> None:
    left_s: list[float] = []

    async def look(_code: FunctionCode, invocation: Invocation) -> Report:
        left = await mill.db.fetchval("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM executions")
        left_s.append(float(left))
        return returned(invocation.event)

    mill.pool.run = look
    function = await mill.world.function(spec=spec(timeout_s=900))
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    [invocation] = mill.pool.invocations
    assert invocation.deadline_s == 900
    assert invocation.wait_s == WAIT_FOR_WORKER_S
    assert left_s[0] > invocation.wait_s + invocation.deadline_s + SETTLE_S


async def test_one_that_waits_for_its_turn_while_its_function_is_deleted_is_not_run(mill: Mill) -> None:
    go = asyncio.Event()

    async def hold(_code: FunctionCode, invocation: Invocation) -> Report:
        await go.wait()
        return returned(invocation.event)

    mill.pool.run = hold
    function = await mill.world.function()
    ids = await mill.world.accepted(function, 3)
    async with asyncio.TaskGroup() as tasks:
        for execution_id in ids:
            tasks.create_task(mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST))
        await eventually(lambda: len(mill.pool.invocations) == 2)
        deleted = await functions.delete_function(mill.db, function.id)
        assert deleted is not None
        mill.functions.on_change(
            FunctionChanged(
                function_id=deleted.id,
                environment_id=deleted.environment_id,
                name=deleted.name,
                revision=deleted.revision,
                deleted=True,
            )
        )
        go.set()

    assert len(mill.pool.invocations) == 2
    failures = [(await row(mill, execution_id)).failure for execution_id in ids]
    assert [failure.name for failure in failures if failure is not None] == ["function.not_found"]


async def test_a_run_that_throws_is_settled_as_failed_with_the_error_it_threw(mill: Mill) -> None:
    async def throw(_code: FunctionCode, _invocation: Invocation) -> Report:
        return Report(outcome=Raised(name="RangeError", message="too big", stack="at 1"), timings=Timings())

    mill.pool.run = throw
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    done = await row(mill, execution_id)
    assert done.status is ExecutionStatus.FAILED
    assert done.failure is not None
    assert (done.failure.kind, done.failure.name, done.failure.message) == ("raised", "RangeError", "too big")


async def test_the_log_lines_of_an_execution_go_to_the_logger(mill: Mill) -> None:
    async def speak(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(b"1", line("one"), line("two"))

    mill.pool.run = speak
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    assert [type(record) for record in mill.records] == [LogLinesWritten]
    assert lines_of(mill.records) == ["one", "two"]
    assert (await row(mill, execution_id)).log_lines == 2


async def test_an_execution_of_a_deleted_function_is_refused_not_left_queued(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    await functions.delete_function(mill.db, function.id)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    done = await row(mill, execution_id)
    assert done.status is ExecutionStatus.FAILED
    assert done.failure is not None
    assert (done.failure.kind, done.failure.name) == ("refused", "function.not_found")


async def test_an_execution_that_finds_no_worker_goes_back_to_the_queue_and_runs_later(mill: Mill) -> None:
    async def full(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise ThrottledError("no worker became free", limit=1)

    mill.pool.run = full
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    work = RunExecution(execution_id=execution_id, function_id=function.id)

    await mill.runner.run(work, FIRST)
    put_off = await row(mill, execution_id)
    mill.pool.run = echo
    await mill.runner.run(work, FIRST)

    assert put_off.status is ExecutionStatus.QUEUED
    assert (await row(mill, execution_id)).status is ExecutionStatus.COMPLETED


async def test_a_backlog_of_a_slow_function_leaves_places_for_others_and_loses_none(mill: Mill) -> None:
    open_gate = asyncio.Event()
    slow, quick = await mill.world.function("slow"), await mill.world.function("quick")

    async def gated(code: FunctionCode, invocation: Invocation) -> Report:
        if code.function_id == slow.id:
            await open_gate.wait()
        return returned(invocation.event)

    mill.pool.run = gated
    await mill.bus.consume_work(ASYNC_QUEUE, mill.runner.run, max_in_flight=4)
    backlog = await mill.world.accepted(slow, 12)
    [other] = await mill.world.accepted(quick)
    for execution_id in backlog:
        await mill.bus.send(RunExecution(execution_id=execution_id, function_id=slow.id))
    await mill.bus.send(RunExecution(execution_id=other, function_id=quick.id))

    async def other_completed() -> bool:
        return (await row(mill, other)).status is ExecutionStatus.COMPLETED

    await eventually(other_completed)
    statuses = [(await row(mill, each)).status for each in backlog]
    open_gate.set()

    assert statuses.count(ExecutionStatus.RUNNING) == 2
    assert statuses.count(ExecutionStatus.QUEUED) == 10


async def test_a_run_gets_its_whole_time_however_long_it_waited_for_a_worker(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    [invocation] = mill.pool.invocations
    assert (invocation.deadline_s, invocation.wait_s) == (function.version.spec.timeout_s, WAIT_FOR_WORKER_S)


async def test_the_revision_in_the_command_makes_the_invoker_run_the_new_version(mill: Mill) -> None:
    function = await mill.world.function()
    await mill.functions.get(function.id)
    await mill.db.execute("UPDATE functions SET enabled = false, revision = revision + 1")
    [execution_id] = await mill.world.accepted(function)

    work = RunExecution(execution_id=execution_id, function_id=function.id, revision=function.revision + 1)
    await mill.runner.run(work, FIRST)

    done = await row(mill, execution_id)
    assert done.failure is not None
    assert done.failure.name == "resource.illegal_state"


async def test_a_bug_of_ours_settles_the_execution_instead_of_leaving_it_running(mill: Mill) -> None:
    async def bug(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise LookupError("a bug")

    mill.pool.run = bug
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    done = await row(mill, execution_id)
    assert done.failure is not None
    assert (done.failure.kind, done.failure.name) == ("refused", "internal.unexpected")


async def test_a_claim_whose_answer_was_lost_is_taken_up_at_the_next_delivery(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.running(function, holder=HOLDER)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), AGAIN)

    assert (await row(mill, execution_id)).status is ExecutionStatus.COMPLETED


async def test_a_run_that_cannot_be_started_is_settled_as_refused(mill: Mill) -> None:
    async def broken(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise StartFailedError("the sandbox did not start")

    mill.pool.run = broken
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), FIRST)

    done = await row(mill, execution_id)
    assert done.failure is not None
    assert (done.failure.kind, done.failure.name) == ("refused", "invocation.start_failed")


async def test_work_of_another_queue_is_rejected(mill: Mill) -> None:
    with pytest.raises(Reject):
        await mill.runner.run(DeployFunction(deployment_id="0" * 24, function_id="func_0123456789"), FIRST)


async def test_a_run_whose_invoker_went_away_is_settled_as_interrupted_and_never_run_again(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.running(function, holder="invoker-that-died")
    await mill.db.execute("UPDATE executions SET started_at = now() - interval '1 minute'")

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), AGAIN)
    await mill.beat_for(20)
    await mill.keeper.reap()

    done = await row(mill, execution_id)
    assert mill.pool.invocations == []
    assert done.status is ExecutionStatus.FAILED
    assert done.failure is not None
    assert done.failure.kind == "interrupted"


async def test_the_keeper_spares_silent_invokers_right_after_nobody_could_be_heard(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.running(function, holder="also cut off")
    await mill.db.execute("UPDATE executions SET started_at = now() - interval '1 minute'")

    mill.clock.advance(60)
    await mill.keeper.reap()
    spared = (await row(mill, execution_id)).status
    mill.clock.advance(10)
    await mill.keeper.reap()
    mill.clock.advance(10)
    await mill.keeper.reap()

    assert spared is ExecutionStatus.RUNNING
    assert (await row(mill, execution_id)).status is ExecutionStatus.FAILED


async def test_the_keeper_leaves_runs_of_a_living_invoker_alone(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.running(function, holder=HOLDER)
    await mill.db.execute("UPDATE executions SET started_at = now() - interval '1 minute'")

    await mill.keeper.beat()
    await mill.keeper.reap()

    assert (await row(mill, execution_id)).status is ExecutionStatus.RUNNING


async def test_an_execution_whose_command_never_went_out_is_relayed_and_runs(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    await mill.db.execute("UPDATE executions SET accepted_at = now() - interval '1 minute'")
    await mill.bus.consume_work(ASYNC_QUEUE, mill.runner.run, max_in_flight=4)

    await mill.keeper.relay()

    async def completed() -> bool:
        return (await row(mill, execution_id)).status is ExecutionStatus.COMPLETED

    await eventually(completed)


async def test_the_relay_sends_nothing_that_was_just_sent(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    sent = executions.Dispatch(execution_id=execution_id, function_id=function.id, revision=function.revision)
    await executions.mark_dispatched(mill.db, [sent])
    await mill.db.execute("UPDATE executions SET accepted_at = now() - interval '1 minute'")

    assert await executions.undispatched(mill.db, 10) == []


async def test_a_dead_letter_settles_its_execution_with_its_true_reason(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    work = RunExecution(execution_id=execution_id, function_id=function.id)
    letter = DeadLetter(work=work, reason="delivery_limit: internal.unexpected: the store lost it")

    await DeadLetters(mill.db, mill.bus).settle(letter)
    await DeadLetters(mill.db, mill.bus).settle(letter)

    done = await row(mill, execution_id)
    assert done.status is ExecutionStatus.FAILED
    assert done.failure is not None
    assert done.failure.message == f"the execution was given up: {letter.reason}"


async def test_the_ledger_balances_after_every_kind_of_end(mill: Mill) -> None:
    function = await mill.world.function()
    ids = await mill.world.accepted(function, 4)
    await mill.runner.run(RunExecution(execution_id=ids[0], function_id=function.id), FIRST)
    await executions.cancel(mill.db, ids[1])
    letter = DeadLetter(work=RunExecution(execution_id=ids[2], function_id=function.id), reason="rejected: broken")
    await DeadLetters(mill.db, mill.bus).settle(letter)

    [ledger] = await executions.ledger(mill.db)

    assert (ledger.accepted, ledger.queued, ledger.running) == (4, 1, 0)
    assert (ledger.completed, ledger.failed, ledger.cancelled) == (1, 1, 1)
