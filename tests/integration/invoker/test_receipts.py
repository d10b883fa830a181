"""Every finished Neo execution gets a receipt that states what its record shows."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from services.invoker.dead_letters import DeadLetters
from services.invoker.pool.pool import FunctionCode, Invocation
from services.invoker.receipts import Receipts
from services.signing import ServiceKey
from shared.bus.bus import DeadLetter, Delivery
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.crypto.receipts import code_hash, hash_of, malformed, moment
from shared.crypto.signing import flaw
from shared.database import executions, functions, receipts
from shared.domain.errors import StartFailedError
from shared.domain.execution import Execution, ExecutionKind
from shared.domain.outcome import Outcome, OutOfMemory, Raised, Report, TimedOut, Timings
from shared.domain.run_error import cancelled, run_error
from shared.messages.messages import ExecutionFinished, InvokeFunction, RunExecution
from tests.integration.database.world import claim
from tests.integration.invoker.conftest import Mill, returned
from tests.integration.invoker.test_invoke import command
from tests.support.envelopes import an_envelope

FIRST = Delivery(count=1)
CODE = code_hash("module.exports = 1", "")


async def row(mill: Mill, execution_id: str) -> Execution:
    found = await executions.find_execution(mill.db, execution_id)
    assert found is not None
    return found


def checked(mill: Mill, record: Execution) -> dict[str, Any]:
    """Return the receipt of a record, once it is found to be right in every member."""
    assert mill.signing.current is not None
    assert record.receipt is not None
    found: dict[str, Any] = json.loads(record.receipt)
    assert malformed(found) is None
    assert flaw(found, mill.signing.current.public_key) is None
    assert found["executionId"] == f"exec_{record.id}"
    assert found["functionId"] == record.function_id
    assert found["codeHash"] == CODE
    assert found["paramsHash"] == hash_of(json.loads(record.params))
    if found["status"] == "completed":
        assert found["resultHash"] == hash_of(json.loads(record.result or b"null"))
    else:
        assert found["errorHash"] == hash_of(run_error(record.failure) if record.failure else cancelled())
    assert found["startedAt"] == moment(record.started_at or record.accepted_at)
    assert record.finished_at is not None
    assert found["completedAt"] == moment(record.finished_at)
    return found


def answering(outcome: Outcome) -> Any:
    async def run(_code: FunctionCode, _invocation: Invocation) -> Report:
        return Report(outcome=outcome, timings=Timings(handler_ms=2.0))

    return run


async def called(mill: Mill, asked: InvokeFunction) -> Execution:
    """Make a synchronous call and write its record, as the logger does."""
    await mill.invoker.answer(asked)
    finished = [record for record in mill.records if isinstance(record, ExecutionFinished)]
    await executions.insert_finished(mill.db, finished)
    return await row(mill, asked.record_id)


async def ran(mill: Mill, execution_id: str, function_id: str) -> Execution:
    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function_id), FIRST)
    return await row(mill, execution_id)


FAILURES = [
    Raised(name="TypeError", message="no \0 such \ud800 thing", stack="at /function/index.js:1:1"),
    Raised(name="string", message="thrown text"),
    TimedOut(limit_s=1.0),
    OutOfMemory(limit_mb=128),
]


async def test_a_synchronous_call_is_recorded_with_its_receipt(mill: Mill) -> None:
    function = await mill.world.function()

    done = await called(mill, command(function.id, payload='{"n":1.0,"é":[]}'.encode()))

    assert checked(mill, done)["status"] == "completed"


async def test_an_accepted_execution_is_settled_with_its_receipt(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    done = await ran(mill, execution_id, function.id)

    assert checked(mill, done)["status"] == "completed"
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.started_at <= done.finished_at


@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: type(outcome).__name__)
async def test_a_run_that_failed_has_a_receipt_of_its_error(mill: Mill, outcome: Outcome) -> None:
    mill.pool.run = answering(outcome)
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    now, later = await called(mill, command(function.id)), await ran(mill, execution_id, function.id)

    assert [checked(mill, each)["status"] for each in (now, later)] == ["failed", "failed"]


async def test_a_run_that_could_not_be_started_has_one_too(mill: Mill) -> None:
    async def refuse(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise StartFailedError("no package")

    mill.pool.run = refuse
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    assert checked(mill, await ran(mill, execution_id, function.id))["status"] == "failed"


async def test_what_ended_without_a_run_is_signed_soon_after(mill: Mill) -> None:
    function = await mill.world.function()
    given_up, called_off, cut_off, disabled = await mill.world.accepted(function, 4)
    letter = DeadLetter(work=RunExecution(execution_id=given_up, function_id=function.id), reason="delivery_limit")
    await DeadLetters(mill.db, mill.bus).settle(letter)
    await executions.cancel(mill.db, called_off)
    await executions.claim(
        mill.db, [replace(claim(cut_off, "an invoker that is no more"), version_id=function.version.id)]
    )
    assert await executions.interrupt_all(mill.db) == [cut_off]
    await functions.set_enabled(mill.db, function.id, enabled=False)
    await ran(mill, disabled, function.id)
    assert [(await row(mill, each)).receipt for each in (given_up, called_off, cut_off, disabled)] == [None] * 4

    await mill.receipts.make_missing()

    for each in (given_up, called_off, cut_off, disabled):
        assert checked(mill, await row(mill, each))["status"] == "failed"
    assert await receipts.unsigned(mill.db) == []


async def test_a_receipt_that_is_there_is_left_alone(mill: Mill) -> None:
    function = await mill.world.function()
    done = await called(mill, command(function.id))

    await receipts.keep(mill.db, [(done.id, "another")])
    await mill.receipts.make_missing()

    assert (await row(mill, done.id)).receipt == done.receipt


async def test_without_a_key_runs_go_on_and_are_signed_when_there_is_one(mill: Mill) -> None:
    no_key = ServiceKey(mill.db, Envelope(KeyRing(())))
    await no_key.refresh()
    mill.invoker._receipts = mill.runner._receipts = without = Receipts(mill.db, no_key)
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)

    now, later = await called(mill, command(function.id)), await ran(mill, execution_id, function.id)
    await without.make_missing()

    assert (now.status, now.receipt) == ("completed", None)
    assert (later.status, (await row(mill, later.id)).receipt) == ("completed", None)
    await mill.receipts.make_missing()
    for each in (now, later):
        assert checked(mill, await row(mill, each.id))["status"] == "completed"


@pytest.mark.parametrize(
    "result",
    [
        json.dumps(["x" * 100] * 1000).encode(),
        json.dumps([1.0] * 4000).encode(),
    ],
    ids=["large", "laborious"],
)
async def test_what_takes_long_to_hash_is_signed_after_the_answer(mill: Mill, result: bytes) -> None:
    async def answer(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(result)

    mill.pool.run = answer
    function = await mill.world.function()

    done = await called(mill, command(function.id))

    assert done.receipt is None
    await mill.receipts.make_missing()
    checked(mill, await row(mill, done.id))


@pytest.mark.parametrize("result", ["{oops" * 10_000, "[" * 3000 + "]" * 3000, "{oops"])
async def test_a_result_without_a_canonical_form_has_a_receipt_and_holds_up_nothing(mill: Mill, result: str) -> None:
    async def answer(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(result.encode())

    mill.pool.run = answer
    function = await mill.world.function()
    done = await called(mill, command(function.id))

    await mill.receipts.make_missing()

    found = json.loads((await row(mill, done.id)).receipt or "")
    assert found["resultHash"] == hash_of(result)


async def test_a_function_that_is_gone_leaves_receipts(mill: Mill) -> None:
    function = await mill.world.function()
    [execution_id] = await mill.world.accepted(function)
    await executions.cancel(mill.db, execution_id)
    await functions.delete_function(mill.db, function.id)

    await mill.receipts.make_missing()

    assert checked(mill, await row(mill, execution_id))["codeHash"] == CODE


async def test_runs_that_did_not_come_through_neo_get_none(mill: Mill) -> None:
    function = await mill.world.function()
    task = mill.world.execution(function, kind=ExecutionKind.TASK)
    other = mill.world.execution(function, kind=ExecutionKind.TASK)
    await executions.accept(mill.db, [task, other])
    await executions.cancel(mill.db, other.id)

    done = await ran(mill, task.id, function.id)
    await mill.receipts.make_missing()

    assert done.receipt is None
    assert (await row(mill, other.id)).receipt is None


async def test_a_heap_of_them_is_signed_in_batches_by_several_at_once(mill: Mill) -> None:
    function = await mill.world.function()
    small = await mill.world.accepted(function, 450)
    large = mill.world.execution(function, params=b'{"a":"' + b"x" * 900_000 + b'"}')
    await executions.accept(mill.db, [large])
    ids = [*small, large.id]
    for each in ids:
        await executions.cancel(mill.db, each)
    other = ServiceKey(mill.db, an_envelope())
    await other.refresh()

    assert len(await receipts.unsigned(mill.db)) == 200
    assert len(await receipts.unsigned(mill.db, max_bytes=70)) == 10
    assert len(await receipts.unsigned(mill.db, max_bytes=1)) == 1
    await asyncio.gather(mill.receipts.make_missing(), Receipts(mill.db, other).make_missing())

    assert await receipts.unsigned(mill.db) == []
    for each in (ids[0], ids[-1]):
        checked(mill, await row(mill, each))
