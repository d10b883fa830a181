"""The connection to the broker breaks, at the worst moments: nothing hangs, nothing that was promised is lost."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from pamqp import commands
from pamqp.frame import marshal

from shared.bus.rabbitmq import RabbitBus
from shared.domain.errors import DeadlineExceededError, UnavailableError
from shared.messages.messages import InvocationReply, InvokeFunction, Notice, Record, Work
from shared.messages.topology import ASYNC_QUEUE
from tests.contract.bus.messages import a_call, a_notice, a_record, a_run, echo
from tests.contract.bus.test_records import Logger
from tests.contract.bus.test_work import Handler
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, Way

AT_ONCE_S = 0.5
PUBLISH = b"\x00\x3c\x00\x28"
ACK = b"\x00\x3c\x00\x50"
"""Class and method of AMQP's frames."""
CALLS_CHANNEL = 1
"""The number of the channel that publishes calls, the first of its connection."""


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    async with Proxy.of(amqp_url) as made:
        yield made


@pytest.fixture
async def bus(amqp_url: str, proxy: Proxy) -> AsyncIterator[RabbitBus]:
    """Return a bus whose way to the broker can be broken."""
    made = RabbitBus(proxy.url(amqp_url), replica_id="behind the proxy", redelivery_pause_s=0.01)
    await made.start()
    yield made
    proxy.heal()
    await made.close()


@pytest.fixture
async def other(amqp_url: str) -> AsyncIterator[RabbitBus]:
    """Return a bus whose way to the broker is good."""
    made = RabbitBus(amqp_url, replica_id="beside the proxy", redelivery_pause_s=0.01)
    await made.start()
    yield made
    await made.close()


async def reconnected(bus: RabbitBus) -> None:
    await eventually(lambda: bus.problems() == [], within_s=15)


async def test_work_whose_publish_was_cut_off_arrives_after_the_reconnect(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    handler, work = Handler(), a_run()
    await other.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    proxy.cut_when(lambda way, data: way is Way.TO_SERVER and PUBLISH in data)

    async with asyncio.TaskGroup() as group:
        group.create_task(bus.send(work))
        await proxy.sprung.wait()
        assert handler.seen == []
        proxy.heal()

    await eventually(lambda: handler.seen == [work])


async def test_work_whose_confirm_was_cut_off_is_sent_again(bus: RabbitBus, other: RabbitBus, proxy: Proxy) -> None:
    handler, work = Handler(), a_run()
    await other.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    proxy.cut_when(lambda way, data: way is Way.TO_CLIENT and ACK in data)

    async with asyncio.TaskGroup() as group:
        group.create_task(bus.send(work))
        await proxy.sprung.wait()
        proxy.heal()

    await eventually(lambda: handler.seen == [work, work])


async def test_work_whose_acknowledgement_was_cut_off_is_delivered_again(bus: RabbitBus, proxy: Proxy) -> None:
    handler, work = Handler(), a_run()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    proxy.cut_when(lambda way, data: way is Way.TO_SERVER and ACK in data)
    await bus.send(work)
    await proxy.sprung.wait()
    proxy.heal()

    await eventually(lambda: handler.counts == [1, 2], within_s=10)
    await bus.send(a_run())
    await eventually(lambda: handler.counts == [1, 2, 1])


async def test_work_in_hand_when_the_connection_breaks_runs_to_its_end(bus: RabbitBus, proxy: Proxy) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    ended: list[Work] = []

    async def handle(work: Work, _: object) -> None:
        begun.set()
        await gate.wait()
        ended.append(work)

    await bus.consume_work(ASYNC_QUEUE, handle, max_in_flight=1)
    work = a_run()
    await bus.send(work)
    await begun.wait()
    proxy.cut()
    await eventually(lambda: bus.problems() != [])
    gate.set()

    await eventually(lambda: ended == [work])
    proxy.heal()
    await eventually(lambda: ended == [work, work], within_s=10)


async def test_every_consumer_resumes_after_a_reconnect(bus: RabbitBus, other: RabbitBus, proxy: Proxy) -> None:
    handler, logger = Handler(), Logger()
    heard: list[Notice] = []
    gaps: list[None] = []
    await bus.serve_calls(echo, max_in_flight=4)
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=4)
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)
    await bus.subscribe(heard.append, on_gap=lambda: gaps.append(None))
    assert bus.problems() == []

    proxy.cut()
    await eventually(lambda: "not connected" in str(bus.problems()))
    proxy.heal()
    await reconnected(bus)

    work, record, notice = a_run(), a_record(), a_notice()
    assert (await other.call(a_call(payload=b"x"))).payload == b"x"
    await other.send(work)
    other.record(record)
    other.notify(notice)
    await eventually(lambda: handler.seen == [work])
    await eventually(lambda: logger.records == [record])
    await eventually(lambda: heard == [notice])
    assert len(gaps) == 1, "the subscriber was told that it may have missed something"


async def test_the_bus_is_not_ready_until_its_consumers_consume_again(bus: RabbitBus, proxy: Proxy) -> None:
    await bus.consume_work(ASYNC_QUEUE, Handler(), max_in_flight=4)
    proxy.cut()

    await eventually(lambda: bus.problems() != [])
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        assert bus.problems() != []
        await asyncio.sleep(0.01)
    proxy.heal()

    await reconnected(bus)


async def test_work_sent_during_a_short_outage_arrives(bus: RabbitBus, other: RabbitBus, proxy: Proxy) -> None:
    handler, work = Handler(), a_run()
    await other.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    proxy.cut()
    await eventually(lambda: bus.problems() != [])

    async with asyncio.TaskGroup() as group:
        group.create_task(bus.send(work))
        await asyncio.sleep(0.2)
        proxy.heal()

    await eventually(lambda: handler.seen == [work])


async def test_work_sent_during_a_long_outage_is_refused_in_bounded_time(bus: RabbitBus, proxy: Proxy) -> None:
    proxy.cut()
    began = time.monotonic()

    with pytest.raises(UnavailableError):
        await bus.send(a_run())

    assert time.monotonic() - began < 6


async def test_a_call_during_an_outage_fails_at_once(bus: RabbitBus, other: RabbitBus, proxy: Proxy) -> None:
    await other.serve_calls(echo, max_in_flight=4)
    proxy.cut()
    await eventually(lambda: bus.problems() != [])
    began = time.monotonic()

    with pytest.raises(UnavailableError):
        await bus.call(a_call())

    assert time.monotonic() - began < AT_ONCE_S
    proxy.heal()
    await reconnected(bus)
    assert (await bus.call(a_call(payload=b"again"))).payload == b"again"


async def test_calls_under_way_fail_at_once_when_the_connection_breaks(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        begun.set()
        await gate.wait()
        return await echo(command)

    async def lost() -> float:
        with pytest.raises(UnavailableError):
            await bus.call(a_call())
        return time.monotonic()

    await other.serve_calls(wait, max_in_flight=4)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(lost())
        await begun.wait()
        cut_at = time.monotonic()
        proxy.cut()

    assert call.result() - cut_at < AT_ONCE_S
    gate.set()


async def test_a_reply_made_while_the_invoker_was_cut_off_still_arrives(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        begun.set()
        await gate.wait()
        return await echo(command)

    await bus.serve_calls(wait, max_in_flight=4)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(other.call(a_call(payload=b"late")))
        await begun.wait()
        proxy.cut()
        await eventually(lambda: bus.problems() != [])
        gate.set()
        await asyncio.sleep(0.05)
        proxy.heal()

    assert call.result().payload == b"late"


async def test_records_made_during_an_outage_arrive_after_it(bus: RabbitBus, other: RabbitBus, proxy: Proxy) -> None:
    logger = Logger()
    await other.consume_records(logger, max_batch=100, max_wait_s=0.01)
    records: list[Record] = [a_record(str(number)) for number in range(1000)]
    for record in records[:300]:
        bus.record(record)
    await asyncio.sleep(0)
    proxy.cut()
    for record in records[300:]:
        bus.record(record)
        await asyncio.sleep(0)
    await eventually(lambda: bus.problems() != [])
    proxy.heal()

    await eventually(lambda: {str(each) for each in logger.records} == set(map(str, records)), within_s=15)


async def test_a_connection_that_stalls_is_given_up_and_replaced(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    await other.serve_calls(echo, max_in_flight=4)
    proxy.stall()

    with pytest.raises(DeadlineExceededError):
        await bus.call(a_call(deadline_s=0.3))
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await bus.send(a_run())
    assert time.monotonic() - began < 6
    await eventually(lambda: bus.problems() != [])
    proxy.heal()

    await reconnected(bus)
    assert (await bus.call(a_call(payload=b"again"))).payload == b"again"


async def test_a_publishing_channel_that_the_broker_closes_is_replaced_with_its_connection(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    await other.serve_calls(echo, max_in_flight=4)

    proxy.inject(marshal(commands.Channel.Close(541, "a bug of the broker", 0, 0), CALLS_CHANNEL))
    await eventually(lambda: "a bug of the broker" in str(bus.problems()))

    await reconnected(bus)
    assert (await bus.call(a_call(payload=b"again"))).payload == b"again"


async def test_a_broker_short_of_memory_refuses_at_once_and_is_reported(
    bus: RabbitBus, other: RabbitBus, proxy: Proxy
) -> None:
    await other.serve_calls(echo, max_in_flight=4)

    proxy.inject(marshal(commands.Connection.Blocked(reason="low on memory"), 0))
    await eventually(lambda: "short of memory" in str(bus.problems()))
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="short of memory"):
        await bus.call(a_call())
    with pytest.raises(UnavailableError, match="short of memory"):
        await bus.send(a_run())
    assert time.monotonic() - began < AT_ONCE_S
    proxy.inject(marshal(commands.Connection.Unblocked(), 0))

    await reconnected(bus)
    assert (await bus.call(a_call(payload=b"again"))).payload == b"again"


async def test_closing_ends_in_bounded_time_when_the_broker_does_not_answer(amqp_url: str, proxy: Proxy) -> None:
    bus = RabbitBus(proxy.url(amqp_url), replica_id="stalled")
    await bus.start()
    await bus.serve_calls(echo, max_in_flight=4)
    proxy.stall()
    bus.record(a_record())
    began = time.monotonic()

    await bus.close()

    assert time.monotonic() - began < 25


async def test_starting_ends_in_bounded_time_when_the_broker_does_not_answer(amqp_url: str, proxy: Proxy) -> None:
    proxy.stall()
    bus = RabbitBus(proxy.url(amqp_url), replica_id="stalled")
    began = time.monotonic()

    with pytest.raises(UnavailableError):
        await bus.start()

    assert time.monotonic() - began < 15
    await bus.close()


async def test_nothing_is_left_running_after_a_close(amqp_url: str, proxy: Proxy) -> None:
    before = asyncio.all_tasks()
    bus = RabbitBus(proxy.url(amqp_url), replica_id="short-lived")
    await bus.start()
    await bus.serve_calls(echo, max_in_flight=4)
    await bus.consume_work(ASYNC_QUEUE, Handler(), max_in_flight=4)
    proxy.cut()
    await eventually(lambda: bus.problems() != [])
    proxy.heal()
    await reconnected(bus)

    await bus.close()

    await eventually(lambda: proxy.connections == 0)
    await eventually(lambda: asyncio.all_tasks() <= before)
