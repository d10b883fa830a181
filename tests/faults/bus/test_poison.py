"""An execution whose every delivery ends badly is settled, and its record says what it failed of."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

import aio_pika
import pytest

from services.invoker.dead_letters import DeadLetters
from shared.bus.bus import Delivery
from shared.bus.rabbitmq import RabbitBus
from shared.database import executions
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.domain.errors import StartFailedError
from shared.domain.execution import ExecutionStatus
from shared.messages.messages import RunExecution, Work
from shared.messages.topology import ASYNC_QUEUE
from tests.integration.database.world import World
from tests.support.eventually import eventually


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, max_size=2)
    await ensure_partitions(opened, datetime.now(UTC).date())
    yield opened
    await opened.close()


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[RabbitBus]:
    made = RabbitBus(amqp_url, replica_id="test", redelivery_pause_s=0.01)
    await made.start()
    yield made
    await made.close()


async def send(db: Database, bus: RabbitBus) -> str:
    """Accept an execution and send its command; return its id."""
    world = await World.make(db)
    function = await world.function()
    [execution_id] = await world.accepted(function)
    await bus.send(RunExecution(execution_id=execution_id, function_id=function.id))
    return execution_id


async def reason_of(db: Database, execution_id: str) -> str:
    found = await executions.find_execution(db, execution_id)
    assert found is not None
    assert found.status is ExecutionStatus.FAILED
    assert found.failure is not None
    return found.failure.message


async def test_the_record_of_an_execution_that_always_fails_us_names_the_last_failure(
    db: Database, bus: RabbitBus
) -> None:
    async def fail(_work: Work, delivery: Delivery) -> None:
        raise StartFailedError(f"attempt {delivery.count} found no package")

    await bus.consume_work(ASYNC_QUEUE, fail, max_in_flight=4)
    await bus.consume_dead_letters(DeadLetters(db, bus).settle)
    execution_id = await send(db, bus)

    reason = await eventually(lambda: reason_of(db, execution_id))

    assert reason == ("the execution was given up: delivery_limit: invocation.start_failed: attempt 4 found no package")


async def test_the_record_of_an_execution_that_kills_its_consumers_says_that_they_went_away(
    db: Database, bus: RabbitBus, amqp_url: str
) -> None:
    execution_id = await send(db, bus)
    for _ in range(ASYNC_QUEUE.delivery_limit + 1):
        async with await aio_pika.connect(amqp_url) as victim:
            queue = await (await victim.channel()).get_queue(ASYNC_QUEUE.name, ensure=False)
            assert await eventually(partial(queue.get, fail=False)) is not None

    await bus.consume_dead_letters(DeadLetters(db, bus).settle)

    reason = await eventually(lambda: reason_of(db, execution_id))
    assert reason.endswith("delivery_limit: every process that took it went away without a word")
