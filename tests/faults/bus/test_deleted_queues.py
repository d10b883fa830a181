"""Somebody deletes queues of a running platform: they are made anew, and consumers go on."""

from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from shared.bus.bus import DeadLetter, Reject
from shared.bus.rabbitmq import RabbitBus
from shared.messages.topology import ASYNC_QUEUE, DEAD_LETTER_QUEUE, RECORDS_QUEUE, SYNC_QUEUE, UNDECODABLE_QUEUE
from tests.contract.bus.messages import a_call, a_record, a_run, echo
from tests.contract.bus.test_records import Logger
from tests.contract.bus.test_work import Handler, Letters
from tests.support.eventually import eventually


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(amqp_url) as connection:
        yield await connection.channel()


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[RabbitBus]:
    made = RabbitBus(amqp_url, replica_id="test", redelivery_pause_s=0.01)
    await made.start()
    yield made
    await made.close()


async def test_a_consumer_whose_queue_was_deleted_says_so_and_resumes(bus: RabbitBus, channel: AbstractChannel) -> None:
    handler = Handler()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)

    await channel.queue_delete(ASYNC_QUEUE.name)
    await eventually(lambda: ASYNC_QUEUE.name in str(bus.problems()))
    await eventually(lambda: bus.problems() == [])

    work = a_run()
    await bus.send(work)
    await eventually(lambda: handler.seen == [work])


async def test_calls_are_served_again_after_their_queue_was_deleted(bus: RabbitBus, channel: AbstractChannel) -> None:
    await bus.serve_calls(echo, max_in_flight=4)

    await channel.queue_delete(SYNC_QUEUE)
    await eventually(lambda: bus.problems() != [])
    await eventually(lambda: bus.problems() == [])

    assert (await bus.call(a_call(payload=b"x"))).payload == b"x"


async def test_records_are_consumed_again_after_their_queue_was_deleted(
    bus: RabbitBus, channel: AbstractChannel
) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)

    await channel.queue_delete(RECORDS_QUEUE)
    await eventually(lambda: bus.problems() != [])
    await eventually(lambda: bus.problems() == [])

    record = a_record()
    bus.record(record)
    await eventually(lambda: logger.records == [record])


async def test_work_is_not_lost_when_nobody_consumes_and_its_queue_was_deleted(
    bus: RabbitBus, channel: AbstractChannel
) -> None:
    """The send finds no queue, has it made, and sends again."""
    await channel.queue_delete(ASYNC_QUEUE.name)
    work = a_run()

    await bus.send(work)

    queue = await channel.get_queue(ASYNC_QUEUE.name, ensure=False)
    message = await eventually(lambda: queue.get(no_ack=True, fail=False))
    assert message is not None
    assert message.body


async def test_records_are_not_lost_when_their_queue_was_deleted(bus: RabbitBus, channel: AbstractChannel) -> None:
    await channel.queue_delete(RECORDS_QUEUE)
    record = a_record()
    bus.record(record)
    logger = Logger()
    await bus.consume_records(logger, max_batch=10, max_wait_s=0.01)

    await eventually(lambda: logger.records == [record])


async def test_rejected_work_finds_its_graveyard_again(bus: RabbitBus, channel: AbstractChannel) -> None:
    handler, letters = Handler(failures=9, error=Reject("no")), Letters()
    await channel.queue_delete(DEAD_LETTER_QUEUE)
    await channel.queue_delete(UNDECODABLE_QUEUE)
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)
    work = a_run()

    await bus.send(work)

    await eventually(lambda: len(handler.seen) == 1)
    await bus.consume_dead_letters(letters)
    await eventually(lambda: letters.seen == [DeadLetter(work=work, reason="rejected: no")])
