import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.errors import StartFailedError, ThrottledError, UnavailableError
from shared.domain.outcome import Returned
from tests.integration.engine.engine import Engine, make_directory, processes_in, running_engine
from tests.support.eventually import eventually

SLEEP = "exports.handler = async (e) => { await new Promise((r) => setTimeout(r, e.ms)); return process.pid; };"
NOTHING = "exports.handler = async () => 'ok';"


def holding(engine: Engine) -> int:
    workers = engine.pool.stats().workers
    return workers.get("idle", 0) + workers.get("busy", 0)


async def test_quick_calls_share_a_worker(engine: Engine) -> None:
    code = engine.deploy(NOTHING)
    await engine.invoke(code)
    for _ in range(5):
        await asyncio.gather(*(engine.invoke(code) for _ in range(2)))

    assert holding(engine) <= 2


async def test_slow_calls_get_workers_of_their_own(engine: Engine) -> None:
    code = engine.deploy(SLEEP)
    await engine.invoke(code, {"ms": 0})
    reports = await asyncio.gather(*(engine.invoke(code, {"ms": 400}) for _ in range(4)))

    assert all(isinstance(report.outcome, Returned) for report in reports)
    assert holding(engine) == 4


async def test_a_cold_start_is_told_and_timed(engine: Engine) -> None:
    code = engine.deploy(NOTHING)
    first, second = await engine.invoke(code), await engine.invoke(code)

    assert first.timings.cold_start
    assert first.timings.init_ms > 0
    assert not second.timings.cold_start
    assert second.timings.init_ms == 0


async def test_caps_hold_and_the_rest_wait(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers_per_function=2) as engine:
        code = engine.deploy(SLEEP)
        began = time.monotonic()
        await asyncio.gather(*(engine.invoke(code, {"ms": 150}) for _ in range(6)))

        assert time.monotonic() - began >= 0.45
        assert holding(engine) == 2


async def test_a_call_that_finds_no_worker_in_time_is_throttled(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers_per_function=1) as engine:
        code = engine.deploy(SLEEP)
        busy = asyncio.gather(engine.invoke(code, {"ms": 800}))
        await eventually(lambda: engine.pool.stats().workers.get("busy") == 1)

        with pytest.raises(ThrottledError):
            await engine.invoke(code, {"ms": 0}, deadline_s=0.2)
        await busy


async def test_a_call_whose_deadline_has_passed_is_not_run(engine: Engine) -> None:
    code = engine.deploy(NOTHING)
    await engine.invoke(code)

    with pytest.raises(ThrottledError):
        await engine.invoke(code, deadline_s=0)
    assert holding(engine) == 1


async def test_too_many_calls_of_one_function_are_throttled_at_once(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_in_flight_per_function=2) as engine:
        code, other = engine.deploy(SLEEP), engine.deploy(NOTHING)
        busy = asyncio.gather(*(engine.invoke(code, {"ms": 500}) for _ in range(2)))
        await asyncio.sleep(0)

        with pytest.raises(ThrottledError) as caught:
            await engine.invoke(code, {"ms": 0})
        assert caught.value.fields["limit"] == 2
        assert await engine.result(other) == "ok"
        await busy
        assert isinstance((await engine.invoke(code, {"ms": 0})).outcome, Returned)


async def test_too_many_waiting_calls_are_refused(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers=1, max_workers_per_function=1, max_waiting=1) as engine:
        code = engine.deploy(SLEEP)
        await engine.invoke(code, {"ms": 0})
        calls = [asyncio.ensure_future(engine.invoke(code, {"ms": 300})) for _ in range(2)]  # noqa: TID251
        await eventually(lambda: engine.pool.stats().waiting == 1)

        with pytest.raises(UnavailableError):
            await engine.invoke(code, {"ms": 0})
        await asyncio.gather(*calls)


async def test_the_least_recently_used_worker_makes_room(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers=2, max_workers_per_function=2) as engine:
        first, second, third = (engine.deploy(NOTHING) for _ in range(3))
        for code in (first, second, first, third):
            await engine.invoke(code)

        assert not (await engine.invoke(first)).timings.cold_start
        assert (await engine.invoke(second)).timings.cold_start
        assert engine.pool.stats().ended["evicted"] >= 1


async def test_a_busy_version_does_not_starve_another(engine_directory: Path) -> None:
    async with running_engine(engine_directory, max_workers=2, max_workers_per_function=2) as engine:
        greedy, modest = engine.deploy(SLEEP), engine.deploy(NOTHING)
        calls = asyncio.gather(*(engine.invoke(greedy, {"ms": 60}) for _ in range(60)))
        await eventually(lambda: engine.pool.stats().workers.get("busy") == 2)

        assert isinstance((await engine.invoke(modest)).outcome, Returned)
        assert not calls.done()
        await calls


async def test_idle_workers_go_after_their_time(engine_directory: Path) -> None:
    async with running_engine(engine_directory, idle_s=0.2) as engine:
        await engine.invoke(engine.deploy(NOTHING))
        assert holding(engine) == 1

        await eventually(lambda: engine.pool.stats().ended.get("idle") == 1)
        assert holding(engine) == 0


async def test_workers_of_a_forgotten_function_go_and_those_still_called_stay(engine: Engine) -> None:
    old = engine.deploy(NOTHING, function_id="func_a")
    new = engine.deploy(NOTHING, function_id="func_a")
    await engine.invoke(old)
    await engine.invoke(new)
    engine.pool.forget("func_a")
    await engine.invoke(new)

    await eventually(lambda: holding(engine) == 1)
    assert not (await engine.invoke(new)).timings.cold_start


async def test_a_worker_killed_between_calls_costs_nobody_a_call(engine: Engine) -> None:
    code = engine.deploy("exports.handler = async () => process.pid;")
    for _ in range(10):
        await engine.invoke(code)
        for worker in engine.pool._assignment.workers():
            os.kill(worker.pid, signal.SIGKILL)
            select.select([worker.process.pidfd], [], [])  # gone, but the event loop has not heard of it
        assert isinstance((await engine.invoke(code)).outcome, Returned)


async def test_a_worker_that_ends_itself_between_calls_costs_nobody_a_call(engine: Engine) -> None:
    code = engine.deploy("exports.handler = async () => { setTimeout(() => process.exit(1), 10); return 1; };")
    for _ in range(5):
        assert isinstance((await engine.invoke(code)).outcome, Returned)
        await eventually(lambda: holding(engine) == 0)


async def test_a_cancelled_call_takes_its_worker_with_it(engine: Engine) -> None:
    code = engine.deploy(SLEEP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await engine.invoke(code, {"ms": 5000})

    await eventually(lambda: engine.pool.stats().ended.get("abandoned") == 1)
    assert engine.pool.stats().in_flight == 0
    assert isinstance((await engine.invoke(code, {"ms": 0})).outcome, Returned)


async def test_used_stem_cells_are_replaced(engine: Engine) -> None:
    await engine.invoke(engine.deploy(NOTHING))

    await eventually(lambda: engine.pool.stats().stem_cells["node"] == 1)


async def test_a_stem_cell_that_dies_is_replaced_and_never_used(engine: Engine) -> None:
    (cell,) = engine.pool._workshop.cells._ready["node"]
    os.kill(cell.pid, signal.SIGKILL)
    select.select([cell.process.pidfd], [], [])  # gone, but the event loop has not heard of it

    assert await engine.result(engine.deploy(NOTHING)) == "ok"
    await eventually(lambda: engine.pool.stats().stem_cells["node"] == 1)


async def test_without_stem_cells_workers_start_on_demand(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node=0) as engine:
        assert await engine.result(engine.deploy(NOTHING)) == "ok"


async def test_when_the_spawner_dies_another_takes_over(engine: Engine) -> None:
    code = engine.deploy(NOTHING)
    await engine.invoke(code)
    killed = engine.pool._workshop._spawner.pid
    os.kill(killed, signal.SIGKILL)

    await eventually(lambda: engine.pool._workshop._spawner.pid not in {0, killed})
    assert holding(engine) == 0
    assert await engine.result(code) == "ok"


async def test_a_package_that_cannot_be_fetched_fails_the_start(engine: Engine) -> None:
    with pytest.raises(StartFailedError):
        await engine.invoke(replace(engine.deploy(NOTHING), package_sha256="absent"))
    assert engine.pool.stats().in_flight == 0


async def test_a_package_that_cannot_be_placed_leaks_neither_worker_nor_slot(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node=0, stem_cells_python=0) as engine:
        good, gone = engine.deploy(NOTHING), engine.deploy(NOTHING)
        shutil.rmtree(engine._packages / gone.version_id)

        for _ in range(5):
            with pytest.raises(StartFailedError):
                await engine.invoke(gone)
        assert await engine.result(good) == "ok"

        slots = engine.pool._workshop._slots
        assert slots is not None
        assert len(engine.pool._workshop._alive) == 1
        await eventually(lambda: len(slots._free) == len(slots._made) - 1)


async def test_a_sandbox_that_dies_while_files_are_placed_leaves_none_to_the_next(engine_directory: Path) -> None:
    async with running_engine(engine_directory, stem_cells_node=1, stem_cells_python=0) as engine:
        many = engine.deploy({"index.js": NOTHING, **{f"secret/{n}.txt": "mine" for n in range(2000)}})
        look = engine.deploy("exports.handler = async () => require('fs').readdirSync('/var/task');")
        (cell,) = engine.pool._workshop.cells._ready["node"]

        async with asyncio.TaskGroup() as group:
            group.create_task(engine.invoke(many))
            await eventually((cell.slot.home / "stage" / "task").exists)
            os.kill(cell.pid, signal.SIGKILL)

        for number in range(3):
            assert await engine.result(replace(look, version_id=f"version-{number}")) == ["index.js"]
        await eventually(lambda: not (cell.slot.home / "stage" / "task").exists())


async def test_a_package_of_many_files_is_placed_whole(engine: Engine) -> None:
    files = {f"node_modules/m{n}/index.js": f"module.exports = {n};" for n in range(1500)}
    files["index.js"] = (
        "exports.handler = async () => { let s = 0; for (let n = 0; n < 1500; n++) s += require(`m${n}`); return s; };"
    )

    assert await engine.result(engine.deploy(files)) == 1124250


async def test_closing_ends_calls_in_flight_and_leaves_nothing(engine_directory: Path) -> None:
    async with running_engine(engine_directory) as engine:
        code = engine.deploy(SLEEP)
        call = asyncio.ensure_future(engine.invoke(code, {"ms": 60000}, deadline_s=60))  # noqa: TID251
        await eventually(lambda: engine.pool.stats().workers.get("busy") == 1)
        run = engine.pool._workshop._slots.directory  # type: ignore[union-attr]
        await engine.pool.close()

        assert "Crashed" in str((await call).outcome)
        assert processes_in(run) == []
        with pytest.raises(UnavailableError):
            await engine.invoke(code, {"ms": 0})


OWNER = """
import asyncio, sys
from pathlib import Path
from services.invoker.pool.pool import EngineSettings, FunctionCode, Invocation, WorkerPool
async def fetch(code): return Path(sys.argv[2])
async def main():
    pool = WorkerPool(EngineSettings(directory=Path(sys.argv[1]), stem_cells_node=1, stem_cells_python=1), fetch)
    await pool.start()
    code = FunctionCode(version_id='v', function_id='f', name='n', runtime='nodejs20.x', convention='lambda',
                        handler='index.handler', memory_mb=128, timeout_s=60)
    asyncio.get_running_loop().call_later(0.5, print, 'running')
    await pool.invoke(code, Invocation(request_id='0' * 36, event=b'{"ms": 60000}', deadline_s=60))
asyncio.run(main())
"""


async def test_an_invoker_killed_outright_leaves_no_process(engine_directory: Path) -> None:
    package = make_directory("tidemill-package-")
    (package / "index.js").write_text(SLEEP, "utf-8")
    before = set(processes_in(engine_directory))
    runs = set(engine_directory.glob("run-*"))
    owner = subprocess.Popen(
        [sys.executable, "-u", "-c", OWNER, str(engine_directory), str(package)], stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert await asyncio.to_thread(owner.stdout.readline)
        assert set(processes_in(engine_directory)) - before
        owner.kill()
        await asyncio.to_thread(owner.wait)

    await eventually(lambda: not set(processes_in(engine_directory)) - before)
    abandoned = set(engine_directory.glob("run-*")) - runs
    assert len(abandoned) == 1
    async with running_engine(engine_directory):
        assert not abandoned & set(engine_directory.glob("run-*"))
    shutil.rmtree(package)
