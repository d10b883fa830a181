"""A synchronous call becomes a reply and a record, and never an exception."""

import time
from dataclasses import replace

from services.invoker.pool.pool import FunctionCode, Invocation
from shared.domain.errors import FunctionNotFoundError, ThrottledError
from shared.domain.function import Convention
from shared.domain.ids import new_record_id
from shared.domain.outcome import Report, TimedOut, Timings
from shared.messages.messages import ApiCall, ApiRequestFinished, ExecutionFinished, InvokeFunction, LogLinesWritten
from tests.integration.database.world import line, spec
from tests.integration.invoker.conftest import Mill, lines_of, returned


def command(function_id: str, *, api: bool = False, payload: bytes = b"{}", revision: int = 0) -> InvokeFunction:
    return InvokeFunction(
        record_id=new_record_id(),
        kind="api" if api else "neo",
        function_id=function_id,
        revision=revision,
        expires_at_ms=int(time.time() * 1000) + 5000,
        api_call=ApiCall(method="GET", path="/x?y=1", user_id="u", application_id="a") if api else None,
        payload=payload,
    )


async def test_a_neo_call_replies_with_the_result_and_leaves_one_whole_record(mill: Mill) -> None:
    function = await mill.world.function()

    asked = command(function.id, payload=b'{"a":1}')
    reply = await mill.invoker.answer(asked)

    assert (reply.record_id, reply.payload, reply.failure, reply.error) == (asked.record_id, b'{"a":1}', None, None)
    [record] = mill.records
    assert isinstance(record, ExecutionFinished)
    assert (record.status, record.params, record.result) == ("completed", '{"a":1}', '{"a":1}')


async def test_a_call_that_says_what_is_kept_of_it_leaves_neither_its_event_nor_its_answer(mill: Mill) -> None:
    function = await mill.world.function()
    asked = replace(command(function.id, payload=b'{"password":"x"}'), kind="gateways", recorded='{"path":"/"}')

    reply = await mill.invoker.answer(asked)

    assert reply.payload == b'{"password":"x"}'
    [record] = mill.records
    assert isinstance(record, ExecutionFinished)
    assert (record.status, record.params, record.result, record.result_defined) == (
        "completed",
        '{"path":"/"}',
        None,
        False,
    )


async def test_an_api_call_replies_with_a_judged_answer_and_leaves_an_api_request(mill: Mill) -> None:
    async def page(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(b'{"statusCode":201,"headers":{"x-a":"b"},"body":"done"}', line("hello"))

    mill.pool.run = page
    function = await mill.world.function(spec=spec(convention=Convention.LAMBDA, runtime="nodejs20.x"))

    reply = await mill.invoker.answer(command(function.id, api=True))

    assert reply.answer is not None
    assert (reply.answer.status, reply.payload) == (201, b"done")
    [record] = mill.records
    assert isinstance(record, ApiRequestFinished)
    assert (record.status_code, record.failure, record.call.path) == (201, None, "/x?y=1")
    assert [each.message for each in record.lines] == ["hello"]


async def test_a_direct_task_replies_with_its_result_and_leaves_its_lines_alone(mill: Mill) -> None:
    async def speak(_code: FunctionCode, invocation: Invocation) -> Report:
        return returned(invocation.event, line("one"), line("two"))

    mill.pool.run = speak
    function = await mill.world.function(spec=spec(convention=Convention.LAMBDA, runtime="nodejs20.x"))
    asked = replace(command(function.id, payload=b'{"a":1}'), kind="direct")

    reply = await mill.invoker.answer(asked)

    assert (reply.payload, reply.failure, reply.log_lines) == (b'{"a":1}', None, 2)
    [record] = mill.records
    assert isinstance(record, LogLinesWritten)
    assert (record.record_id, lines_of([record])) == (asked.record_id, ["one", "two"])


async def test_an_answer_http_cannot_carry_is_a_failure_of_kind_invalid_response(mill: Mill) -> None:
    async def wrong(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(b'{"statusCode":500}')

    mill.pool.run = wrong
    function = await mill.world.function()

    reply = await mill.invoker.answer(command(function.id, api=True))

    assert reply.answer is None
    assert reply.failure is not None
    assert reply.failure.kind == "invalid_response"
    [record] = mill.records
    assert isinstance(record, ApiRequestFinished)
    assert record.status_code == 400


async def test_a_time_out_is_a_failure_that_names_the_limit(mill: Mill) -> None:
    async def late(_code: FunctionCode, _invocation: Invocation) -> Report:
        return Report(outcome=TimedOut(limit_s=3), timings=Timings())

    mill.pool.run = late
    function = await mill.world.function()

    reply = await mill.invoker.answer(command(function.id, api=True))

    assert reply.failure is not None
    assert (reply.failure.name, reply.failure.message) == ("Sandbox.Timedout", "Task timed out after 3.00 seconds")


async def test_a_call_that_could_not_be_run_replies_with_the_error_and_leaves_no_record(mill: Mill) -> None:
    async def full(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise ThrottledError("too many", limit=1)

    mill.pool.run = full
    function = await mill.world.function()

    full_house = await mill.invoker.answer(command(function.id))
    nobody = await mill.invoker.answer(command("func_0000000000"))

    assert full_house.error is not None
    assert full_house.error.code == ThrottledError.code
    assert nobody.error is not None
    assert nobody.error.code == FunctionNotFoundError.code
    assert mill.records == []


async def test_a_newer_revision_in_the_command_makes_the_cache_look_again(mill: Mill) -> None:
    function = await mill.world.function()
    await mill.invoker.answer(command(function.id))
    await mill.db.execute("UPDATE functions SET revision = revision + 1, description = 'new'")

    await mill.invoker.answer(command(function.id, revision=function.revision + 1))

    assert (await mill.functions.get(function.id)).description == "new"


async def test_a_result_over_a_mebibyte_is_too_large_for_neo_but_not_for_others(mill: Mill) -> None:
    async def large(_code: FunctionCode, _invocation: Invocation) -> Report:
        return returned(b'"' + b"x" * (1 << 20) + b'"')

    mill.pool.run = large
    function = await mill.world.function()

    neo = await mill.invoker.answer(command(function.id))
    direct = await mill.invoker.answer(replace(command(function.id), kind="direct"))

    assert neo.failure is not None
    assert (neo.failure.kind, neo.failure.limit) == ("oversized", 1 << 20)
    assert direct.failure is None
