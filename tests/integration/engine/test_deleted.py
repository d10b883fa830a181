"""A function is deleted while it runs: its runs end at once, and nothing of it is left."""

import asyncio
import time
from pathlib import Path

import pytest

from shared.domain.errors import FunctionNotFoundError
from shared.domain.outcome import Interrupted, Returned
from tests.integration.engine.engine import Engine, running_engine
from tests.support.eventually import eventually

SLEEP = "exports.handler = async ({ ms }) => { console.log('begun'); await new Promise(r => setTimeout(r, ms)) }"


async def test_runs_of_a_deleted_function_end_at_once_with_what_they_logged(engine: Engine) -> None:
    doomed, spared = engine.deploy(SLEEP), engine.deploy(SLEEP)
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(engine.invoke(doomed, {"ms": 20_000}))
        other = tasks.create_task(engine.invoke(spared, {"ms": 500}))
        await eventually(lambda: engine.pool.stats().workers.get("busy", 0) == 2)
        await asyncio.sleep(0.1)  # for what it logs to be in the pipe

        engine.pool.stop(doomed.function_id)

    assert ended.result().outcome == Interrupted(reason="the function was deleted")
    assert [line.text for line in ended.result().logs] == ["begun"]
    assert isinstance(other.result().outcome, Returned)
    assert time.monotonic() - began < 10
    await eventually(lambda: engine.pool.stats().ended.get("stale") == 1)


async def test_calls_that_wait_for_a_worker_of_it_are_told(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers_per_function=1) as engine:
        code = engine.deploy(SLEEP)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(engine.invoke(code, {"ms": 20_000}))
            await eventually(lambda: engine.pool.stats().workers.get("busy", 0) == 1)
            waiting = asyncio.ensure_future(engine.invoke(code, {"ms": 1}))  # noqa: TID251 - fails by design
            await eventually(lambda: engine.pool.stats().in_flight == 2)

            engine.pool.stop(code.function_id)

            with pytest.raises(FunctionNotFoundError):
                await waiting
        assert isinstance(running.result().outcome, Interrupted)


async def test_its_idle_workers_go_too(engine: Engine) -> None:
    code = engine.deploy(SLEEP)
    await engine.invoke(code, {"ms": 0})

    engine.pool.stop(code.function_id)

    await eventually(lambda: engine.pool.stats().ended.get("stale") == 1)
