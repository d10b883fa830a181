import asyncio
import contextvars
import time

import pytest

from shared.bus.bus import Delivery
from shared.bus.memory import MemoryBus
from shared.domain.errors import UnavailableError
from shared.messages.messages import InvocationReply, InvokeFunction, RunExecution, Work
from shared.messages.topology import ASYNC_QUEUE
from tests.support.eventually import eventually

caller = contextvars.ContextVar("caller", default="")


def a_call(record_id: str, payload: bytes = b"") -> InvokeFunction:
    expires_at_ms = int(time.time() * 1000) + 20_000
    return InvokeFunction(
        record_id=record_id, kind="api", function_id="f", revision=1, expires_at_ms=expires_at_ms, payload=payload
    )


async def test_messages_are_passed_as_they_are_never_encoded() -> None:
    bus = MemoryBus()
    await bus.start()
    seen: list[Work] = []

    async def handle(work: Work, _delivery: Delivery) -> None:
        seen.append(work)

    await bus.consume_work(ASYNC_QUEUE, handle, max_in_flight=1)
    work = RunExecution(execution_id="e", function_id="f")
    await bus.send(work)
    await eventually(lambda: bool(seen))
    await bus.close()

    assert seen[0] is work


async def test_each_run_has_the_context_of_its_own_caller_even_after_waiting() -> None:
    bus = MemoryBus()
    await bus.start()
    seen: dict[str, str] = {}

    async def handle(command: InvokeFunction) -> InvocationReply:
        seen[command.record_id] = caller.get()
        caller.set("somebody else")
        await asyncio.sleep(0.001)
        return InvocationReply(record_id=command.record_id)

    async def call(name: str) -> None:
        caller.set(name)
        await bus.call(a_call(name))

    await bus.serve_calls(handle, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(call(name))
    await bus.close()

    assert seen == {"first": "first", "second": "second", "third": "third"}


async def test_closing_fails_the_calls_that_run_and_those_that_wait() -> None:
    bus = MemoryBus()
    await bus.start()
    failed: list[str] = []

    async def never(command: InvokeFunction) -> InvocationReply:
        await asyncio.Event().wait()
        return InvocationReply(record_id=command.record_id)

    async def call(name: str) -> None:
        with pytest.raises(UnavailableError):
            await bus.call(a_call(name))
        failed.append(name)

    await bus.serve_calls(never, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(call("running"))
        group.create_task(call("waiting"))
        await asyncio.sleep(0)
        await bus.close()

    assert sorted(failed) == ["running", "waiting"]


async def test_calls_that_wait_are_bounded_by_their_bytes_too() -> None:
    bus = MemoryBus(calls_waiting_bytes=10)
    await bus.start()
    began, go = asyncio.Event(), asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        began.set()
        await go.wait()
        return InvocationReply(record_id=command.record_id)

    await bus.serve_calls(wait, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.call(a_call("running", b"x" * 100)))
        await began.wait()
        group.create_task(bus.call(a_call("waiting", b"x" * 6)))
        group.create_task(bus.call(a_call("waiting, too", b"x" * 4)))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="too large"):
            await bus.call(a_call("refused", b"x"))
        go.set()
    began.clear()
    go.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.call(a_call("running")))
        await began.wait()
        room_again = group.create_task(bus.call(a_call("room again", b"x" * 10)))
        await asyncio.sleep(0)
        go.set()
    await bus.close()

    assert room_again.result().record_id == "room again"


async def test_nothing_is_left_running_after_a_close() -> None:
    before = asyncio.all_tasks()
    bus = MemoryBus()
    await bus.start()

    async def never(_work: Work, _delivery: Delivery) -> None:
        await asyncio.Event().wait()

    await bus.consume_work(ASYNC_QUEUE, never, max_in_flight=1)
    await bus.send(RunExecution(execution_id="e", function_id="f"))
    await asyncio.sleep(0)
    await bus.close()
    await bus.close()

    assert asyncio.all_tasks() == before
    assert bus.problems() == ["the bus is not started"]
