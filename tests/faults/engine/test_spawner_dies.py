"""The process that starts sandboxes, or its guard, is killed in the middle of many starts: nothing of it is left."""

import asyncio
import os
import random
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.invoker.pool.settings import NetworkPolicy
from services.invoker.sandbox.driver import SandboxSpec
from services.invoker.sandbox.spawner import Spawner
from tests.integration.engine.engine import Engine, make_directory, processes_in, running_engine, spawner_below
from tests.support.eventually import eventually

ROUNDS, STARTS = 25, 5


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    made = make_directory("tidemill-spawner-")
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def engine(directory: Path) -> AsyncIterator[Engine]:
    async with running_engine(directory, stem_cells_node=0, network=NetworkPolicy.INTERNET) as running:
        yield running


class Sandbox:
    """Hears of one sandbox, and does nothing about it."""

    def __init__(self) -> None:
        self.exited = False

    def sandbox_listens(self, listener: int) -> None:
        os.close(listener)

    def sandbox_started(self, pidfd: int, pid: int) -> None:
        os.close(pidfd)

    def sandbox_failed(self, reason: str) -> None:
        pass

    def sandbox_exited(self, code: int) -> None:
        self.exited = True


@asynccontextmanager
async def starting(requests: list[dict[str, Any]]) -> AsyncIterator[tuple[Spawner, list[Sandbox], asyncio.Event]]:
    """Give a spawner of its own many sandboxes to start."""
    lost = asyncio.Event()
    spawner = Spawner(lost.set)
    spawner.start()
    sandboxes = [Sandbox() for _ in requests]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await eventually(lambda: spawner_below(spawner.pid))
        for request, sandbox in zip(requests, sandboxes, strict=True):
            spawner.spawn(request, theirs.fileno(), theirs.fileno(), sandbox)
        try:
            yield spawner, sandboxes, lost
        finally:
            await spawner.close()


@pytest.mark.parametrize("who", ["spawner", "guard"])
async def test_a_spawner_killed_during_many_starts_leaves_no_process(engine: Engine, directory: Path, who: str) -> None:
    workshop = engine.pool._workshop
    assert workshop.ground is not None
    assert workshop._slots is not None
    driver, root = workshop.ground.driver, workshop._roots["node"]
    slots = [workshop._slots.acquire().slot for _ in range(STARTS)]
    chance = random.Random(who)
    requests = [driver.request(SandboxSpec(root=root, slot=slot, tmp_mb=1)) for slot in slots]
    for _ in range(ROUNDS):
        async with starting(requests) as (spawner, sandboxes, lost):
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            os.kill(spawner.pid if who == "guard" else spawner_below(spawner.pid), signal.SIGKILL)

            async with asyncio.timeout(5):
                await lost.wait()
            assert all(sandbox.exited for sandbox in sandboxes)
            # Their slots may be used again from here on: nothing is granted more time.
            assert processes_in(directory / "rootfs") + processes_in(directory / "tools") == []
