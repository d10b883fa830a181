"""The outbox of accepted executions: what it cannot send is left to the relay."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from services.api.dispatch import Dispatcher
from services.ports import Ports
from shared.bus.bus import Delivery
from shared.database import executions, partitions
from shared.database.executions import Dispatch, NewExecution
from shared.domain.execution import ExecutionKind
from shared.domain.ids import new_record_id
from shared.messages.messages import RunExecution, Work
from shared.messages.topology import ASYNC_QUEUE
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor
from tests.integration.api.harness import open_ports


@pytest.fixture
async def ports(database_url: str) -> AsyncIterator[Ports]:
    async with AsyncExitStack() as stack:
        opened = await open_ports(database_url, load_settings({}), stack)
        await partitions.ensure_partitions(opened.db, datetime.now(UTC).date())
        yield opened


async def accepted(ports: Ports, count: int) -> list[str]:
    rows = [
        NewExecution(
            id=new_record_id(),
            function_id="func_0123456789",
            environment_id="e",
            version_id="v",
            kind=ExecutionKind.NEO,
            params=b"{}",
        )
        for _ in range(count)
    ]
    return [row.id for row in await executions.accept(ports.db, rows)]


async def stamped(ports: Ports, ids: Sequence[str]) -> int:
    count: int = await ports.db.fetchval(
        "SELECT count(*) FROM executions WHERE id = ANY($1::text[]) AND dispatched_at IS NOT NULL", list(ids)
    )
    return count


def command(execution_id: str) -> Dispatch:
    return Dispatch(execution_id=execution_id, function_id="func_0123456789", revision=1)


async def test_everything_handed_over_is_sent_and_stamped(ports: Ports) -> None:
    seen: list[str] = []

    async def take(work: Work, _delivery: Delivery) -> None:
        assert isinstance(work, RunExecution)
        seen.append(work.execution_id)

    await ports.bus.consume_work(ASYNC_QUEUE, take, max_in_flight=10)
    dispatcher = Dispatcher(ports.db, ports.bus, max_batch=3)
    ids = await accepted(ports, 10)
    async with Supervisor() as supervisor:
        supervisor.spawn("dispatch", dispatcher.run())
        for execution_id in ids:
            dispatcher.dispatch(command(execution_id))
        async with asyncio.timeout(5):
            await dispatcher.drain()

    assert await stamped(ports, ids) == 10
    assert sorted(seen) == sorted(ids)


async def test_what_cannot_be_sent_is_not_stamped_and_later_ones_still_go(ports: Ports) -> None:
    dispatcher = Dispatcher(ports.db, ports.bus)
    ids = await accepted(ports, 2)
    await ports.bus.close()
    async with Supervisor() as supervisor:
        task = supervisor.spawn("dispatch", dispatcher.run())
        dispatcher.dispatch(command(ids[0]))
        async with asyncio.timeout(5):
            await dispatcher.drain()
        await ports.bus.start()
        dispatcher.dispatch(command(ids[1]))
        async with asyncio.timeout(5):
            await dispatcher.drain()
        assert not task.done()

    assert (await stamped(ports, ids[:1]), await stamped(ports, ids[1:])) == (0, 1)


async def test_an_outage_of_the_database_does_not_end_the_outbox(ports: Ports) -> None:
    dispatcher = Dispatcher(ports.db, ports.bus)
    await ports.db.close()
    async with Supervisor() as supervisor:
        task = supervisor.spawn("dispatch", dispatcher.run())
        dispatcher.dispatch(command(new_record_id()))
        async with asyncio.timeout(15):
            await dispatcher.drain()
        assert not task.done()


async def test_the_outbox_is_bounded(ports: Ports) -> None:
    dispatcher = Dispatcher(ports.db, ports.bus, max_waiting=2)
    ids = await accepted(ports, 3)
    for execution_id in ids:
        dispatcher.dispatch(command(execution_id))
    async with Supervisor() as supervisor:
        supervisor.spawn("dispatch", dispatcher.run())
        async with asyncio.timeout(5):
            await dispatcher.drain()

    assert await stamped(ports, ids) == 2
