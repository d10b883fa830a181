"""Between calls nothing of a function runs, as on AWS Lambda; and a worker that is stopped is a worker all the same."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.invoker.pool.settings import SandboxLevel
from services.invoker.sandbox.memory import children
from services.invoker.sandbox.worker import Worker
from shared.domain.outcome import Returned
from tests.integration.engine.engine import Engine, processes_in, running_engine
from tests.support.compiler import compiled_bootstrap
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BUSY = """
const { spawn } = require('child_process');
let turns = 0, child;
exports.handler = async () => {
  child ??= spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const spin = () => { turns++; setImmediate(spin); };
  if (turns === 0) spin();
  return turns;
};
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(engine_directory: Path) -> AsyncIterator[Engine]:
    async with running_engine(engine_directory, stem_cells_node=1, stem_cells_python=1, freeze_idle=True) as running:
        yield running


def worker_of(engine: Engine, version_id: str) -> Worker:
    [worker] = [each for each in engine.pool._assignment.workers() if each.group.code.version_id == version_id]
    return worker


def states(worker: Worker) -> set[str]:
    """Return the states of all processes in a sandbox: ``T`` is stopped."""
    pids = [worker.pid]
    for pid in pids:
        pids += children(pid)
    return {Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] for pid in pids}


async def frozen(engine: Engine, version_id: str) -> Worker:
    """Return the worker of a version, once it is stopped."""
    await eventually(lambda: states(worker_of(engine, version_id)) == {"T"})
    return worker_of(engine, version_id)


async def test_nothing_of_a_function_runs_between_calls_and_the_next_call_finds_it_as_it_was(engine: Engine) -> None:
    code = engine.deploy(BUSY)
    first = await engine.result(code)

    worker = await frozen(engine, code.version_id)
    report = await engine.invoke(code)

    assert not report.timings.cold_start
    assert isinstance(report.outcome, Returned)
    assert int(report.outcome.result) > first
    assert worker_of(engine, code.version_id) is worker


@pytest.mark.parametrize(
    ("runtime", "files"),
    [
        ("nodejs20.x", {"index.js": "let n = 0; exports.handler = async () => ++n;"}),
        ("python3.11", {"main.py": "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n"}),
        ("provided.al2023", {"bootstrap": compiled_bootstrap()}),
    ],
)
async def test_every_runtime_goes_on_where_it_was_stopped(engine: Engine, runtime: str, files: dict[str, Any]) -> None:
    code = engine.deploy(files, runtime=runtime)
    results = []
    for _ in range(3):
        results.append(await engine.result(code))
        await frozen(engine, code.version_id)

    assert [each["calls"] if isinstance(each, dict) else each for each in results] == [1, 2, 3]


async def test_a_stopped_worker_that_is_killed_costs_nobody_a_call(engine: Engine) -> None:
    code = engine.deploy(BUSY)
    await engine.invoke(code)
    worker = await frozen(engine, code.version_id)

    os.kill(worker.pid, signal.SIGKILL)

    await eventually(lambda: worker.state == "gone")
    assert isinstance((await engine.invoke(code)).outcome, Returned)


async def test_a_stopped_worker_is_ended_with_all_its_processes(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node=0, freeze_idle=True, idle_s=1.5) as engine:
        code = engine.deploy(BUSY)
        await engine.invoke(code)
        await frozen(engine, code.version_id)

        await eventually(lambda: engine.pool.stats().ended.get("idle") == 1)
        await eventually(lambda: not processes_in(engine_directory / "rootfs"))
        assert isinstance((await engine.invoke(code)).outcome, Returned)


async def test_without_namespaces_a_stopped_worker_goes_with_all_its_processes(engine_directory: Path) -> None:
    async with running_engine(
        engine_directory, stem_cells_node=0, freeze_idle=True, levels=(SandboxLevel.LANDLOCK,)
    ) as engine:
        code = engine.deploy(BUSY)
        await engine.invoke(code)
        await frozen(engine, code.version_id)

        assert isinstance((await engine.invoke(code)).outcome, Returned)
        await frozen(engine, code.version_id)
        engine.pool.forget(code.function_id)
        await eventually(lambda: not processes_in(engine_directory / "rootfs"))


async def test_workers_of_neo_functions_prepare_their_next_run_instead(engine: Engine) -> None:
    neo = engine.deploy("module.exports = async () => 1", runtime="node18", convention="neo")
    await engine.result(neo)
    other = engine.deploy(BUSY)
    await engine.invoke(other)
    await frozen(engine, other.version_id)

    assert "T" not in states(worker_of(engine, neo.version_id))


async def test_background_work_may_be_allowed(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node=0, freeze_idle=False, idle_s=1.0) as engine:
        code = engine.deploy(BUSY)
        await engine.invoke(code)
        worker = worker_of(engine, code.version_id)
        seen: set[str] = set()

        def gone() -> bool:
            if worker.state == "gone":
                return True
            try:
                seen.update(states(worker))
            except OSError:  # it ended while it was looked at
                return False
            return False

        await eventually(gone)

    assert "T" not in seen
    assert "R" in seen
