"""What only RabbitMQ can show: coalescing, what it is told, and what nobody can read."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from services.invoker.executions import lease_s
from shared.bus.answers import PREFETCH
from shared.bus.bus import DeadLetter
from shared.bus.delivery import HELD_S
from shared.bus.rabbitmq import RabbitBus
from shared.bus.records import dropped
from shared.domain.errors import PayloadTooLargeError, UnavailableError
from shared.messages import codec
from shared.messages.messages import InvocationReply, InvokeFunction, Notice, Record
from shared.messages.topology import (
    ASYNC_QUEUE,
    CALLS_EXCHANGE,
    DEAD_LETTER_QUEUE,
    NOTICES_EXCHANGE,
    RECORDS_QUEUE,
    SYNC_QUEUE,
    UNDECODABLE_QUEUE,
)
from shared.process.settings import LONGEST_TIMEOUT_S
from tests.contract.bus.messages import a_call, a_notice, a_record, a_run, echo
from tests.contract.bus.test_records import Logger
from tests.contract.bus.test_work import Handler, Letters
from tests.support.backends import Broker
from tests.support.eventually import eventually


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    """Return a channel that is not the bus's own, to look and to meddle."""
    async with await aio_pika.connect(amqp_url) as connection:
        yield await connection.channel()


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[RabbitBus]:
    made = RabbitBus(amqp_url, replica_id="test", redelivery_pause_s=0.01)
    await made.start()
    yield made
    await made.close()


async def taken(channel: AbstractChannel, name: str) -> AbstractIncomingMessage:
    """Take the next message of a queue, waiting for it."""
    queue = await channel.get_queue(name, ensure=False)
    found = await eventually(lambda: queue.get(no_ack=True, fail=False))
    assert found is not None
    return found


async def spy_on_calls(channel: AbstractChannel) -> None:
    """Have a copy of every message of calls put on the queue ``spy``."""
    queue = await channel.declare_queue("spy", exclusive=True)
    await queue.bind(CALLS_EXCHANGE, SYNC_QUEUE)


async def test_the_broker_waits_for_a_piece_of_work_longer_than_its_lease_lasts(
    bus: RabbitBus, broker: Broker, amqp_url: str
) -> None:
    told = await asyncio.to_thread(broker.arguments, amqp_url, ASYNC_QUEUE.name)

    assert told["x-consumer-timeout"] / 1000 > HELD_S + lease_s(LONGEST_TIMEOUT_S)


async def test_calls_of_one_turn_of_the_loop_travel_as_one_message(bus: RabbitBus, channel: AbstractChannel) -> None:
    await spy_on_calls(channel)
    await bus.serve_calls(echo, max_in_flight=64)

    await asyncio.gather(*(bus.call(a_call()) for _ in range(40)))

    bodies = [(await taken(channel, "spy")).body for _ in range(3)]
    assert [len(codec.split(body)) for body in bodies] == [16, 16, 8]


async def test_replies_of_one_turn_of_the_loop_travel_as_one_message(bus: RabbitBus, amqp_url: str) -> None:
    """Seen by a caller of our own, because a reply goes to its caller alone."""
    gate = asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        await gate.wait()
        return await echo(command)

    await bus.serve_calls(wait, max_in_flight=64)
    received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await replies.consume(received.put, no_ack=True)
        commands = [a_call(), a_call(), a_call()]
        calls = await channel.get_exchange(CALLS_EXCHANGE, ensure=False)
        await calls.publish(aio_pika.Message(codec.encode_batch(commands), reply_to=replies.name), SYNC_QUEUE)
        gate.set()
        message = await asyncio.wait_for(received.get(), 5)

    assert codec.decode_batch(message.body) == [InvocationReply(record_id=each.record_id) for each in commands]


async def test_many_large_replies_at_once_arrive_or_are_refused_but_none_is_lost(bus: RabbitBus) -> None:
    gate = asyncio.Event()
    waiting = 0

    async def large(command: InvokeFunction) -> InvocationReply:
        nonlocal waiting
        waiting += 1
        await gate.wait()
        return InvocationReply(record_id=command.record_id, payload=bytes(6 * 1024 * 1024))

    await bus.serve_calls(large, max_in_flight=64)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(bus.call(a_call())) for _ in range(30)]
        await eventually(lambda: waiting == 30)
        gate.set()

    replies = [call.result() for call in calls]
    assert sum(len(reply.payload) == 6 * 1024 * 1024 for reply in replies) >= 10
    assert all(reply.payload or (reply.error and reply.error.code == "platform.unavailable") for reply in replies)


async def test_a_result_too_large_for_the_broker_is_a_failure_that_is_told(bus: RabbitBus) -> None:
    async def huge(command: InvokeFunction) -> InvocationReply:
        return InvocationReply(record_id=command.record_id, payload=bytes(codec.MAX_FRAME_BYTES + 1))

    await bus.serve_calls(huge, max_in_flight=1)
    reply = await bus.call(a_call())

    assert reply.error is not None
    assert reply.error.code == "request.too_large"


async def test_an_event_too_large_for_the_broker_is_refused_to_its_caller(bus: RabbitBus) -> None:
    await bus.serve_calls(echo, max_in_flight=1)

    with pytest.raises(PayloadTooLargeError):
        await bus.call(a_call(payload=bytes(codec.MAX_FRAME_BYTES + 1)))
    assert (await bus.call(a_call(payload=b"next"))).payload == b"next"


async def test_a_record_that_cannot_be_written_is_counted_and_costs_no_other(bus: RabbitBus) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)
    before = dropped.labels("unencodable")._value.get()
    record = a_record()

    bus.record(a_record("\ud800"))
    bus.record(record)

    await eventually(lambda: logger.records == [record])
    assert dropped.labels("unencodable")._value.get() == before + 1


async def test_a_batch_of_calls_expires_with_the_last_of_its_deadlines(
    bus: RabbitBus, channel: AbstractChannel
) -> None:
    await spy_on_calls(channel)
    await bus.serve_calls(echo, max_in_flight=64)

    await asyncio.gather(bus.call(a_call(deadline_s=5)), bus.call(a_call(deadline_s=15)))

    message = await taken(channel, "spy")
    assert isinstance(message.expiration, float)
    assert 14 < message.expiration <= 15
    assert message.delivery_mode != aio_pika.DeliveryMode.PERSISTENT


async def test_the_queue_of_calls_goes_with_its_last_invoker(bus: RabbitBus, amqp_url: str) -> None:
    second = RabbitBus(amqp_url, replica_id="second")
    await second.start()
    await bus.serve_calls(echo, max_in_flight=4)
    await second.serve_calls(echo, max_in_flight=4)
    await second.close()

    assert (await bus.call(a_call(payload=b"one is left"))).payload == b"one is left"

    await bus.stop_consuming()
    with pytest.raises(UnavailableError):
        await bus.call(a_call())


async def test_a_busy_invoker_leaves_waiting_calls_to_the_others(bus: RabbitBus, amqp_url: str) -> None:
    gate = asyncio.Event()
    stuck = 0

    async def wait(command: InvokeFunction) -> InvocationReply:
        nonlocal stuck
        stuck += 1
        await gate.wait()
        return await echo(command)

    idle = RabbitBus(amqp_url, replica_id="idle")
    await idle.start()
    await bus.serve_calls(wait, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.call(a_call()))
        await eventually(lambda: stuck == 1)
        held = []
        for _ in range(PREFETCH):
            # Each in a message of its own: as many as the busy one may hold back.
            held.append(group.create_task(bus.call(a_call())))
            await asyncio.sleep(0.02)
        await idle.serve_calls(echo, max_in_flight=8)
        for _ in range(20):
            await bus.call(a_call(deadline_s=5))
        assert not any(each.done() for each in held)
        gate.set()
    await idle.close()


async def test_calls_an_invoker_holds_but_has_not_begun_go_to_another_when_it_dies(
    bus: RabbitBus, amqp_url: str
) -> None:
    begun: list[bytes] = []
    gate = asyncio.Event()

    async def wait(command: InvokeFunction) -> InvocationReply:
        begun.append(command.payload)
        await gate.wait()
        return await echo(command)

    dying = RabbitBus(amqp_url, replica_id="dying")
    await dying.start()
    await dying.serve_calls(wait, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        lost = group.create_task(raises_a_deadline(bus))
        await eventually(lambda: begun == [b"lost"])
        held = group.create_task(bus.call(a_call(payload=b"held")))
        await asyncio.sleep(0.1)
        await bus.serve_calls(echo, max_in_flight=4)
        await dying.close()

    assert (await held).payload == b"held"
    assert begun == [b"lost"], "what had begun is not run again"
    await lost


async def raises_a_deadline(bus: RabbitBus) -> None:
    with pytest.raises(Exception, match="in time"):
        await bus.call(a_call(payload=b"lost", deadline_s=1.5))


@pytest.mark.parametrize("queue", [ASYNC_QUEUE.name, DEAD_LETTER_QUEUE, RECORDS_QUEUE, SYNC_QUEUE])
async def test_what_nobody_can_read_is_parked_at_once_with_the_reason(
    bus: RabbitBus, channel: AbstractChannel, queue: str
) -> None:
    logger, handler, letters = Logger(), Handler(), Letters()
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    await bus.consume_dead_letters(letters)
    await bus.serve_calls(echo, max_in_flight=1)

    await channel.default_exchange.publish(aio_pika.Message(b"\x00\x00\x00\x02\x00\x00\x00\x00{}"), queue)

    parked = await taken(channel, UNDECODABLE_QUEUE)
    assert parked.body == b"\x00\x00\x00\x02\x00\x00\x00\x00{}"
    assert "unknown message type" in str(parked.headers["x-tidemill-reason"])
    assert not logger.records
    assert not handler.seen
    assert not letters.seen


async def test_an_unreadable_frame_does_not_cost_the_records_beside_it(
    bus: RabbitBus, channel: AbstractChannel
) -> None:
    logger = Logger()
    before, after = a_record("before"), a_record("after")
    body = codec.encode(before) + codec.encode(a_notice()) + codec.encode(after)
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)

    await channel.default_exchange.publish(aio_pika.Message(body), RECORDS_QUEUE)

    await eventually(lambda: logger.records == [before, after])
    parked = await taken(channel, UNDECODABLE_QUEUE)
    assert parked.headers["x-tidemill-reason"] == "function.changed is not a record"


async def test_an_unreadable_notice_counts_as_a_gap(bus: RabbitBus, channel: AbstractChannel) -> None:
    heard: list[Notice] = []
    gaps: list[None] = []
    await bus.subscribe(heard.append, on_gap=lambda: gaps.append(None))

    notices = await channel.get_exchange(NOTICES_EXCHANGE, ensure=False)
    await notices.publish(aio_pika.Message(b"{}"), "x")

    await eventually(lambda: len(gaps) == 1)
    assert heard == []


async def test_notices_reach_every_replica(bus: RabbitBus, amqp_url: str) -> None:
    other = RabbitBus(amqp_url, replica_id="other")
    await other.start()
    here: list[Notice] = []
    there: list[Notice] = []
    await bus.subscribe(here.append, on_gap=lambda: None)
    await other.subscribe(there.append, on_gap=lambda: None)
    notice = a_notice()

    other.notify(notice)

    await eventually(lambda: here == there == [notice])
    await other.close()


async def test_work_in_flight_when_its_consumer_leaves_is_delivered_to_another_with_its_count(
    bus: RabbitBus, amqp_url: str
) -> None:
    begun = asyncio.Event()

    async def never(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    dying = RabbitBus(amqp_url, replica_id="dying")
    await dying.start()
    await dying.consume_work(ASYNC_QUEUE, never, max_in_flight=1)
    work = a_run()
    await bus.send(work)
    await begun.wait()
    await dying.close()
    handler = Handler()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)

    await eventually(lambda: handler.seen == [work])
    assert handler.counts == [2]


async def test_dead_letters_come_from_the_broker_too(bus: RabbitBus, channel: AbstractChannel) -> None:
    """A worker that dies gives no disposition: only the queue can bound its deliveries."""
    letters = Letters()
    work = a_run()
    await bus.send(work)
    queue = await channel.get_queue(ASYNC_QUEUE.name, ensure=False)
    for _ in range(ASYNC_QUEUE.delivery_limit + 1):
        held = await eventually(lambda: queue.get(fail=False))
        assert held is not None
        await held.reject(requeue=True)
    await bus.consume_dead_letters(letters)

    await eventually(
        lambda: (
            letters.seen
            == [DeadLetter(work=work, reason="delivery_limit: every process that took it went away without a word")]
        )
    )


async def test_records_are_sent_as_batches(bus: RabbitBus, channel: AbstractChannel) -> None:
    records: list[Record] = [a_record(str(number)) for number in range(300)]
    for record in records:
        bus.record(record)

    bodies = [(await taken(channel, RECORDS_QUEUE)).body for _ in range(2)]
    assert sorted(len(codec.split(body)) for body in bodies) == [44, 256]


async def test_a_broker_that_cannot_be_reached_fails_the_start() -> None:
    bus = RabbitBus("amqp://guest:guest@127.0.0.1:1/", replica_id="test")

    with pytest.raises(UnavailableError):
        await bus.start()
    await bus.close()
    assert bus.problems()
