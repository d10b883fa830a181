"""Deployers that are killed while a cloud is at it: the next one ends it, nothing is made twice or stays stuck."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from shared.bus.rabbitmq import RabbitBus
from shared.database import deployments, functions, placements
from shared.database.deployments import NewDeployment
from shared.database.pool import Database
from shared.domain.function import FunctionStatus
from shared.domain.placement import CloudState
from shared.messages.messages import DeployFunction
from shared.packages.postgres import PostgresPackageStore
from tests.integration.database.world import World
from tests.integration.deployer.clouds import a_create, connect
from tests.support.cloud import SPEC
from tests.support.envelopes import MASTER_KEY
from tests.support.eventually import eventually
from tests.support.fake_aws import FakeAws, fake_aws
from tests.support.platform import Process, free_port, spawn, wait_ready

Start = Callable[[], Process]


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with fake_aws() as fake:
        yield fake
        for held in fake.held.values():
            held.set()


@pytest.fixture
def start(database_url: str, amqp_url: str, tmp_path: Path, aws: FakeAws) -> Iterator[Start]:
    """Start deployers; each that still runs is stopped in the end."""
    with ExitStack() as stack:

        def started() -> Process:
            port = free_port()
            environ = {
                "TIDEMILL_DATABASE_URL": database_url,
                "TIDEMILL_AMQP_URL": amqp_url,
                "TIDEMILL_PORT": str(port),
                "TIDEMILL_DATA_DIR": str(tmp_path),
                "TIDEMILL_MASTER_KEY": MASTER_KEY.hex(),
                "TIDEMILL_AWS_ENDPOINT_URL": aws.url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
            process = spawn("deployer", ["services.deployer"], environ, tmp_path)
            stack.callback(process.stop)
            wait_ready(process, f"http://127.0.0.1:{port}")
            return process

        yield started


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[RabbitBus]:
    bus = RabbitBus(amqp_url, replica_id="test")
    await bus.start()
    yield bus
    await bus.close()


async def ask(db: Database, bus: RabbitBus, new: NewDeployment) -> None:
    await deployments.open_deployment(db, new)
    await bus.send(DeployFunction(deployment_id=new.id, function_id=new.function_id))


async def is_settled(db: Database, new: NewDeployment) -> bool:
    found, placed = (
        await functions.find_function(db, new.function_id),
        await placements.find_placed(db, new.function_id),
    )
    return (
        found is not None
        and found.status is FunctionStatus.ACTIVE
        and placed is not None
        and placed.state is CloudState.ACTIVE
    )


async def killed_at(steps: Sequence[str], start: Start, aws: FakeAws, ask: Callable[[], Awaitable[None]]) -> Process:
    """
    Ask for something, and kill a deployer at each of these steps; AWS does what it was asked all the same.

    Return the deployer that is to end it.
    """
    for number, step in enumerate(steps):
        before = aws.count(step)
        aws.held[step] = threading.Event()
        deployer = start()
        if number == 0:
            await ask()
        await eventually(partial(has_come_to, aws, step, before), within_s=30)
        deployer.kill()
        aws.held.pop(step).set()
    return start()


def has_come_to(aws: FakeAws, step: str, before: int) -> bool:
    return aws.count(step) > before


async def test_a_create_a_change_and_a_removal_outlive_the_deployers_that_are_killed_at_their_steps(
    start: Start, db: Database, bus: RabbitBus, world: World, aws: FakeAws
) -> None:
    new = await a_create(world, PostgresPackageStore(db), await connect(world))

    last = await killed_at(("CreateFunction", "CreateFunctionUrlConfig"), start, aws, lambda: ask(db, bus, new))
    await eventually(lambda: is_settled(db, new), within_s=60)
    last.stop()

    assert aws.count("CreateFunction") == 1
    placed = await placements.find_placed(db, new.function_id)
    assert placed is not None
    assert placed.url == aws.functions["thumbs"].url
    assert len(aws.functions["thumbs"].statements) == 2
    change = NewDeployment(function_id=new.function_id, spec=replace(SPEC, memory_mb=256, architecture="x86_64"))

    last = await killed_at(
        ("UpdateFunctionConfiguration", "UpdateFunctionCode"), start, aws, lambda: ask(db, bus, change)
    )
    await eventually(lambda: is_settled(db, new), within_s=60)
    last.stop()

    function = await functions.find_function(db, new.function_id)
    assert function is not None
    assert (function.version.spec.memory_mb, function.version.number) == (256, 2)
    assert aws.functions["thumbs"].configuration["Architectures"] == ["x86_64"]
    removal = NewDeployment(function_id=new.function_id, spec=SPEC, action="remove")

    await killed_at(("DeleteFunction",), start, aws, lambda: ask(db, bus, removal))

    async def is_gone() -> bool:
        return await functions.find_function(db, new.function_id) is None

    await eventually(is_gone, within_s=60)
    assert aws.functions == {}
    assert await db.fetchval("SELECT count(*) FROM leftovers") == 0
