"""``python -m services.deployer`` as an operator runs it: a process on a real broker and a real database."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.bus.rabbitmq import RabbitBus
from shared.database import deployments, functions
from shared.database.deployments import NewDeployment
from shared.database.function_locks import function_lock
from shared.database.pool import Database
from shared.messages.messages import DeployFunction, DeploymentFinished, Notice
from tests.integration.database.world import World
from tests.support.eventually import eventually
from tests.support.platform import Process, free_port, spawn, wait_ready

Start = Callable[[], Process]


@pytest.fixture
def start(database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start deployers; each that still runs is stopped in the end."""
    with ExitStack() as stack:

        def started() -> Process:
            port = free_port()
            environ = {
                "TIDEMILL_DATABASE_URL": database_url,
                "TIDEMILL_AMQP_URL": amqp_url,
                "TIDEMILL_PORT": str(port),
                "TIDEMILL_DATA_DIR": str(tmp_path),
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


def children(pid: int) -> list[str]:
    """Return the processes that any thread of a process has started."""
    return [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


async def ask(db: Database, bus: RabbitBus, new: NewDeployment) -> None:
    await deployments.open_deployment(db, new)
    await bus.send(DeployFunction(deployment_id=new.id, function_id=new.function_id))


async def test_it_deploys_and_says_so_and_leaves_nothing_running(
    start: Start, db: Database, bus: RabbitBus, world: World
) -> None:
    heard: list[Notice] = []
    await bus.subscribe(heard.append, on_gap=heard.clear)
    process = start()
    new = world.new_deployment("greeter")

    await ask(db, bus, new)
    await eventually(
        lambda: DeploymentFinished(deployment_id=new.id, function_id=new.function_id) in heard, within_s=20
    )
    (child,) = children(process.popen.pid)

    assert Path(f"/proc/{child}/exe").readlink().name == "node"
    assert process.stop() == 0
    assert not Path(f"/proc/{child}").exists()


async def test_a_killed_deployer_leaves_no_process_behind(
    start: Start, db: Database, bus: RabbitBus, world: World
) -> None:
    process = start()
    new = world.new_deployment("greeter")
    await ask(db, bus, new)
    await eventually(lambda: functions.find_function(db, new.function_id), within_s=20)
    (child,) = children(process.popen.pid)

    process.kill()

    await eventually(lambda: not Path(f"/proc/{child}/exe").exists())


async def test_what_a_deployer_held_when_it_was_killed_is_done_by_the_next(
    start: Start, db: Database, bus: RabbitBus, world: World
) -> None:
    new = world.new_deployment("greeter")
    first = start()
    async with function_lock(db, new.function_id):
        await ask(db, bus, new)
        await eventually(lambda: waits_for_lock(db), within_s=20)
        first.kill()
        start()

    await eventually(lambda: functions.find_function(db, new.function_id), within_s=30)
    (versions,) = await db.fetch("SELECT count(*) FROM function_versions WHERE function_id = $1", new.function_id)
    assert versions[0] == 1


async def waits_for_lock(db: Database) -> bool:
    waits: bool = await db.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
    return waits


def test_settings_it_cannot_use_are_named_at_once(tmp_path: Path) -> None:
    process = spawn("deployer", ["services.deployer"], {"TIDEMILL_PORT": "many"}, tmp_path)

    assert process.popen.wait(20) == 2
    assert "TIDEMILL_PORT" in process.log_text()


def test_without_a_broker_it_says_what_is_missing(tmp_path: Path) -> None:
    process = spawn("deployer", ["services.deployer"], {}, tmp_path)

    assert process.popen.wait(20) not in {0, -signal.SIGKILL}
    assert "TIDEMILL_AMQP_URL" in process.log_text()
