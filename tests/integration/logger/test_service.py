import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.logger.app import LoggerService, build
from services.ports import Ports
from shared.bus.memory import MemoryBus
from shared.database import api_requests, executions, logs, partitions
from shared.database.pool import Database
from shared.packages.postgres import PostgresPackageStore
from shared.process.health import Health
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor
from tests.integration.database.world import World, line
from tests.support.envelopes import an_envelope
from tests.support.eventually import eventually


@pytest.fixture
async def service(db: Database) -> AsyncIterator[LoggerService]:
    """A logger on the memory bus, closed in the order a process closes it."""
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor())
        bus = MemoryBus()
        await bus.start()
        stack.push_async_callback(bus.close)
        ports = Ports(
            replica_id="logger-test",
            db=db,
            bus=bus,
            packages=PostgresPackageStore(db),
            envelope=an_envelope(),
            health=Health("logger"),
        )
        yield await build(load_settings({}), ports, stack, supervisor)


async def test_a_logger_has_partitions_and_is_healthy_when_it_has_started(db: Database, service: LoggerService) -> None:
    assert len(await partitions.partitions(db)) == 3 * len(partitions.TABLES)
    health = await service.ports.health.health()
    assert health.body["status"] == "ok"
    assert (await service.ports.health.ready()).ok


async def test_a_record_can_be_read_within_250_ms_of_being_handed_over(
    db: Database, world: World, service: LoggerService
) -> None:
    function = await world.function()
    waits = []
    for _ in range(5):
        run = world.finished(function, lines=(line("hi"),))
        began = time.monotonic()
        service.ports.bus.record(run)
        await eventually(lambda: executions.find_execution(db, run.execution_id))  # noqa: B023 - awaited at once
        waits.append(time.monotonic() - began)
        assert await logs.lines_of(db, run.execution_id) == [line("hi")]

    assert sorted(waits)[2] < 0.25


async def test_what_the_bus_holds_when_a_logger_leaves_is_written(
    db: Database, world: World, service: LoggerService
) -> None:
    calls = [world.api_request() for _ in range(2500)]
    for call in calls:
        service.ports.bus.record(call)

    await service.drain()
    await service.ports.bus.close()

    assert await db.fetchval("SELECT count(*) FROM api_requests") == len(calls)
    assert not (await service.ports.health.ready()).ok


async def test_a_logger_that_finds_the_database_gone_for_a_moment_loses_nothing(
    db: Database, world: World, service: LoggerService
) -> None:
    await db.execute("ALTER TABLE api_requests RENAME TO hidden")
    call = world.api_request()
    service.ports.bus.record(call)
    await db.execute("SELECT pg_sleep(0.2)")
    await db.execute("ALTER TABLE hidden RENAME TO api_requests")

    kept = await eventually(
        lambda: api_requests.find_api_request(db, world.environment_id, call.request_id), within_s=10
    )

    assert kept is not None
