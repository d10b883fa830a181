"""A call is answered within its deadline, or fails at once; it runs at most once."""

import asyncio
import time

import pytest

from shared.bus.bus import Bus
from shared.domain.errors import DeadlineExceededError, ThrottledError, UnavailableError
from shared.messages.messages import InvocationReply, InvokeFunction
from tests.contract.bus.conftest import FEW
from tests.contract.bus.messages import a_call, echo
from tests.support.eventually import eventually

AT_ONCE_S = 0.5
SIX_MB = 6 * 1024 * 1024


async def test_a_call_is_answered_by_the_invoker(bus: Bus) -> None:
    await bus.serve_calls(echo, max_in_flight=4)
    command = a_call(payload=b'{"a":1}\x00\xff')

    reply = await bus.call(command)

    assert reply == InvocationReply(record_id=command.record_id, payload=b'{"a":1}\x00\xff')


async def test_the_invoker_sees_the_command_as_it_was_made(bus: Bus) -> None:
    seen: list[InvokeFunction] = []

    async def remember(command: InvokeFunction) -> InvocationReply:
        seen.append(command)
        return await echo(command)

    await bus.serve_calls(remember, max_in_flight=4)
    command = a_call(payload=b"x")
    await bus.call(command)

    assert seen == [command]


@pytest.mark.parametrize("size", [0, 1, 131_071, 131_072, 1_000_000, SIX_MB])
async def test_payloads_of_any_size_up_to_6_mb_arrive_whole(bus: Bus, size: int) -> None:
    await bus.serve_calls(echo, max_in_flight=4)
    payload = bytes(range(256)) * (size // 256 + 1)

    reply = await bus.call(a_call(payload=payload[:size]))

    assert reply.payload == payload[:size]


async def test_many_calls_at_once_each_get_their_own_answer(bus: Bus) -> None:
    running = most = 0

    async def count(command: InvokeFunction) -> InvocationReply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await echo(command)

    await bus.serve_calls(count, max_in_flight=64)
    for start in range(0, 500, 50):
        payloads = [f"call {number}".encode() for number in range(start, start + 50)]
        replies = await asyncio.gather(*(bus.call(a_call(payload=payload)) for payload in payloads))

        assert [reply.payload for reply in replies] == payloads
    assert 1 < most <= 64


async def test_no_more_calls_run_at_once_than_the_invoker_takes(bus: Bus) -> None:
    running = most = 0

    async def count(command: InvokeFunction) -> InvocationReply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await echo(command)

    await bus.serve_calls(count, max_in_flight=2)
    await asyncio.gather(*(bus.call(a_call()) for _ in range(2 + FEW)))

    assert most == 2


async def test_a_call_fails_at_once_when_no_invoker_is_there(bus: Bus) -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await bus.call(a_call())

    assert time.monotonic() - began < AT_ONCE_S


async def test_a_call_fails_at_its_deadline_when_the_invoker_does_not_answer(bus: Bus) -> None:
    stuck = asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        await stuck.wait()
        return await echo(command)

    await bus.serve_calls(wait, max_in_flight=4)
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        await bus.call(a_call(deadline_s=0.2))

    assert 0.15 < time.monotonic() - began < 0.2 + AT_ONCE_S
    stuck.set()


async def test_a_call_whose_deadline_has_passed_is_not_sent(bus: Bus) -> None:
    seen: list[InvokeFunction] = []

    async def remember(command: InvokeFunction) -> InvocationReply:
        seen.append(command)
        return await echo(command)

    await bus.serve_calls(remember, max_in_flight=4)
    with pytest.raises(DeadlineExceededError):
        await bus.call(a_call(deadline_s=-1))
    await bus.call(a_call())

    assert len(seen) == 1


async def test_a_call_that_waited_past_its_deadline_is_not_run(bus: Bus) -> None:
    seen: list[bytes] = []
    gate = asyncio.Event()

    async def remember(command: InvokeFunction) -> InvocationReply:
        seen.append(command.payload)
        await gate.wait()
        return await echo(command)

    await bus.serve_calls(remember, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bus.call(a_call(payload=b"first")))
        await eventually(lambda: seen == [b"first"])
        with pytest.raises(DeadlineExceededError):
            await bus.call(a_call(payload=b"late", deadline_s=0.1))
        last = group.create_task(bus.call(a_call(payload=b"last")))
        gate.set()
    assert (await first).payload == b"first"
    assert (await last).payload == b"last"

    assert seen == [b"first", b"last"]


async def test_a_call_fails_at_once_when_too_many_wait(bus: Bus) -> None:
    gate = asyncio.Event()
    refused = 0

    async def wait(command: InvokeFunction) -> InvocationReply:
        await gate.wait()
        return await echo(command)

    async def one() -> None:
        nonlocal refused
        try:
            await bus.call(a_call())
        except UnavailableError:
            refused += 1

    await bus.serve_calls(wait, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        # One at a time: calls of one turn of the loop would travel as one message.
        for _ in range(30):
            group.create_task(one())
            await asyncio.sleep(0.01)
        await eventually(lambda: refused >= 30 - 1 - FEW - 8)
        gate.set()

    assert refused <= 30 - 1 - FEW


async def test_what_the_invoker_raises_reaches_the_caller_as_an_error(bus: Bus) -> None:
    async def throttle(command: InvokeFunction) -> InvocationReply:
        raise ThrottledError("too many runs", limit=3)

    await bus.serve_calls(throttle, max_in_flight=4)
    reply = await bus.call(a_call())

    assert reply.error is not None
    assert (reply.error.code, reply.error.fields) == ("invocation.throttled", {"limit": 3})


async def test_a_bug_of_the_invoker_reaches_the_caller_without_its_text(bus: Bus) -> None:
    async def break_(command: InvokeFunction) -> InvocationReply:
        raise KeyError("the secret")

    await bus.serve_calls(break_, max_in_flight=4)
    reply = await bus.call(a_call())

    assert reply.error is not None
    assert reply.error.code == "internal.unexpected"
    assert "secret" not in str(reply)


async def test_a_caller_that_goes_away_does_not_stop_the_run(bus: Bus) -> None:
    begun, gate, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(command: InvokeFunction) -> InvocationReply:
        begun.set()
        await gate.wait()
        ended.set()
        return await echo(command)

    await bus.serve_calls(run, max_in_flight=4)
    async with asyncio.TaskGroup() as group:
        caller = group.create_task(bus.call(a_call()))
        await begun.wait()
        caller.cancel()
    gate.set()

    await eventually(ended.is_set)
    assert (await bus.call(a_call(payload=b"next"))).payload == b"next"


async def test_calls_can_be_served_once_only(bus: Bus) -> None:
    await bus.serve_calls(echo, max_in_flight=4)
    with pytest.raises(RuntimeError):
        await bus.serve_calls(echo, max_in_flight=4)


async def test_draining_answers_the_calls_in_flight_and_takes_no_more(bus: Bus) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def run(command: InvokeFunction) -> InvocationReply:
        begun.set()
        await gate.wait()
        return await echo(command)

    await bus.serve_calls(run, max_in_flight=4)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(bus.call(a_call(payload=b"in flight")))
        await begun.wait()
        draining = group.create_task(bus.stop_consuming())
        await eventually_unavailable(bus)
        assert not draining.done()
        gate.set()

    assert (await call).payload == b"in flight"


async def eventually_unavailable(bus: Bus) -> None:
    async def refused() -> bool:
        try:
            await bus.call(a_call(deadline_s=0.2))
        except UnavailableError:
            return True
        except DeadlineExceededError:
            return False
        return False

    await eventually(refused)


async def test_a_started_bus_has_no_problems(bus: Bus) -> None:
    await bus.serve_calls(echo, max_in_flight=4)

    assert bus.problems() == []
