# ruff: noqa: E501 - sources of functions stand on one line
import time
from pathlib import Path

import pytest

from shared.domain.errors import StartFailedError
from shared.domain.outcome import Crashed, OutOfMemory, Oversized, Raised, Returned, TimedOut
from tests.integration.engine.engine import Engine
from tests.support.eventually import eventually

PY = "python3.11"
MAX_PROCESSES = 128
LOOPS = {
    "node busy": ("nodejs20.x", "exports.handler = () => { for (;;); };"),
    "node async": ("nodejs20.x", "exports.handler = () => new Promise((r) => setTimeout(r, 60000));"),
    "node at load": ("nodejs20.x", "for (;;);"),
    "python busy": (PY, "def handler(e, c):\n    while True: pass\n"),
    "python asleep": (PY, "import time\ndef handler(e, c): time.sleep(60)\n"),
    "python deaf": (PY, "import signal, time\nfor s in range(1, 31):\n    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\ndef handler(e, c): time.sleep(60)\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOOPS)
async def test_the_deadline_answers_and_ends_the_worker(engine: Engine, case: str) -> None:
    runtime, source = LOOPS[case]
    code = engine.deploy(source, runtime=runtime, timeout_s=0.5)
    began = time.monotonic()

    report = await engine.invoke(code)

    assert TimedOut(limit_s=0.5) == report.outcome
    assert time.monotonic() - began < 1.5
    await eventually(lambda: engine.pool.stats().ended.get("timed_out") == 1)


async def test_the_callers_deadline_counts_when_it_is_nearer(engine: Engine) -> None:
    report = await engine.invoke(engine.deploy(LOOPS["node async"][1], timeout_s=30), deadline_s=0.4)

    assert isinstance(report.outcome, TimedOut)
    assert report.outcome.limit_s <= 0.4


async def test_the_whole_tree_goes_with_the_deadline(engine: Engine) -> None:
    source = """const { spawn } = require('child_process');
    exports.handler = () => {
      for (let n = 0; n < 5; n++) spawn('/bin/sh', ['-c', 'while :; do :; done #leftover-marker'], { detached: true, stdio: 'ignore' }).unref();
      return new Promise((r) => setTimeout(r, 60000));
    };"""
    report = await engine.invoke(engine.deploy(source, timeout_s=0.7))

    assert isinstance(report.outcome, TimedOut)
    await eventually(lambda: engine.pool.stats().ended.get("timed_out") == 1)
    assert not running("leftover-marker")


def running(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("runtime", "source", "outcome"),
    [
        ("nodejs20.x", "exports.handler = () => process.exit(7);", Crashed(exit_code=7)),
        ("nodejs20.x", "exports.handler = () => process.exit(0);", Crashed(exit_code=0)),
        ("nodejs20.x", "process.exit(4);", Crashed(exit_code=4)),
        ("nodejs20.x", "exports.handler = () => process.kill(process.pid, 'SIGKILL');", Crashed(signal=9)),
        ("nodejs20.x", "exports.handler = () => process.abort();", Crashed(signal=6)),
        (PY, "import sys\ndef handler(e, c): sys.exit(5)", Crashed(exit_code=5)),
        (PY, "import os\ndef handler(e, c): os._exit(6)", Crashed(exit_code=6)),
        (PY, "import os\ndef handler(e, c): os.kill(os.getpid(), 11)", Crashed(signal=11)),
        (PY, "import os\ndef handler(e, c):\n    os.close(3)\n    import time; time.sleep(30)", Crashed(signal=9)),
    ],
)
async def test_a_process_that_ends_is_reported_as_it_ended(
    engine: Engine, runtime: str, source: str, outcome: Crashed
) -> None:
    code = engine.deploy(source, runtime=runtime)

    assert outcome == (await engine.invoke(code)).outcome


async def test_after_a_crash_the_next_call_runs_in_a_new_process(engine: Engine) -> None:
    code = engine.deploy("exports.handler = (e) => { if (e.die) process.exit(1); return Promise.resolve('alive'); };")

    assert Crashed(exit_code=1) == (await engine.invoke(code, {"die": True})).outcome
    assert await engine.result(code, {}) == "alive"


MEMORY_HOGS = {
    "node heap": ("nodejs20.x", "exports.handler = () => { const a = []; for (;;) a.push(new Array(10000).fill({})); };"),
    "node buffers": ("nodejs20.x", "exports.handler = () => { const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1)); };"),
    "python": (PY, "def handler(e, c):\n    a = []\n    while True: a.append(bytearray(b'x') * (1 << 20))\n"),
    "a child": (PY, "import subprocess, sys\ndef handler(e, c):\n    subprocess.run([sys.executable, '-c', 'a=[]\\nwhile True: a.append(bytearray(b\"x\") * (1 << 20))'])\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", MEMORY_HOGS)
async def test_a_memory_hog_is_told_apart_from_a_crash(engine: Engine, case: str) -> None:
    runtime, source = MEMORY_HOGS[case]
    report = await engine.invoke(engine.deploy(source, runtime=runtime, timeout_s=20))

    assert OutOfMemory(limit_mb=128) == report.outcome
    assert report.timings.handler_ms < 10_000


async def test_a_leaking_function_is_given_a_new_worker_before_a_call_fails(engine: Engine) -> None:
    source = (
        "const kept = []; exports.handler = async () => { kept.push(Buffer.alloc(4 << 20, 1)); return kept.length; };"
    )
    code = engine.deploy(source)

    counts = []
    for _ in range(60):
        outcome = (await engine.invoke(code)).outcome
        assert isinstance(outcome, Returned)
        counts.append(int(outcome.result))

    assert counts.count(1) > 1
    assert engine.pool.stats().ended.get("retired", 0) >= 1


async def test_memory_taken_between_calls_ends_the_worker(engine: Engine) -> None:
    source = """exports.handler = async () => {
      const kept = []; setInterval(() => { if (kept.length < 40) kept.push(Buffer.alloc(8 << 20, 1)); }, 5); return 1; };"""
    await engine.invoke(engine.deploy(source))

    await eventually(lambda: engine.pool.stats().ended.get("out_of_memory") == 1)


async def test_a_fork_bomb_stays_in_its_sandbox(engine: Engine) -> None:
    source = "import os\ndef handler(e, c):\n    n = 0\n    while True:\n        try:\n            os.fork()\n        except OSError: n += 1\n"
    report = await engine.invoke(engine.deploy(source, runtime=PY, timeout_s=1))

    assert isinstance(report.outcome, TimedOut | OutOfMemory | Crashed)
    await eventually(lambda: "busy" not in engine.pool.stats().workers and "ending" not in engine.pool.stats().workers)
    assert await engine.result(engine.deploy("exports.handler = async () => 'others run'")) == "others run"


async def test_a_sandbox_has_a_limit_on_its_processes(engine: Engine) -> None:
    source = """import os, resource, signal
def handler(e, c):
    children = []
    try:
        while True:
            children.append(os.fork() or signal.pause())
    except OSError:
        return [resource.getrlimit(resource.RLIMIT_NPROC), len(children)]
    finally:
        for child in children: os.kill(child, signal.SIGKILL)
"""
    limit, started = await engine.result(engine.deploy(source, runtime=PY))

    assert limit == [MAX_PROCESSES, MAX_PROCESSES]
    assert MAX_PROCESSES // 2 < started < MAX_PROCESSES


async def test_children_can_be_started_and_waited_for(engine: Engine) -> None:
    source = "const { execSync } = require('child_process'); exports.handler = async () => execSync('echo from a shell').toString();"

    assert await engine.result(engine.deploy(source)) == "from a shell\n"


async def test_a_result_too_large_is_declared(engine: Engine) -> None:
    size = 6_291_457
    node = await engine.invoke(engine.deploy(f"exports.handler = async () => 'x'.repeat({size - 2});"))
    python = await engine.invoke(engine.deploy(f"def handler(e, c): return 'x' * {size - 2}", runtime=PY))
    fits = await engine.invoke(engine.deploy(f"exports.handler = async () => 'x'.repeat({size - 3});"))

    assert Oversized(size_bytes=size, limit_bytes=size - 1) == node.outcome == python.outcome
    assert isinstance(fits.outcome, Returned)
    assert len(fits.outcome.result) == size - 1


@pytest.mark.parametrize("runtime", ["nodejs20.x", PY])
async def test_an_event_of_six_megabytes_arrives_whole(engine: Engine, runtime: str) -> None:
    event = "\u00e9" * 1_048_570
    node, python = "exports.handler = async (e) => e.length;", "def handler(e, c): return len(e)"
    code = engine.deploy(python if runtime == PY else node, runtime=runtime)

    assert len(event) == await engine.result(code, event)
    with pytest.raises(StartFailedError):
        await engine.invoke(code, event * 2)


async def test_tmp_is_private_limited_and_clean(engine: Engine) -> None:
    source = """const fs = require('fs');
    exports.handler = async (event) => {
      const found = fs.readdirSync('/tmp');
      fs.writeFileSync('/tmp/mark', 'x');
      if (!event.fill) return { found, read: fs.readFileSync('/tmp/mark', 'utf8') };
      const block = Buffer.alloc(1 << 20);
      let written = 0;
      try { for (;;) { fs.appendFileSync('/tmp/big', block); written++; } } catch (error) { return { code: error.code, written }; }
    };"""
    code = engine.deploy(source, tmp_mb=64)

    assert await engine.result(code, {}) == {"found": [], "read": "x"}
    full = await engine.result(code, {"fill": True})
    assert full["code"] == "ENOSPC"
    assert 60 <= full["written"] <= 64
    assert await engine.result(engine.deploy(source), {}) == {"found": [], "read": "x"}


async def test_the_cause_of_a_failed_start_is_told(engine: Engine) -> None:
    with pytest.raises(StartFailedError, match=r"ruby3\.2"):
        await engine.invoke(engine.deploy("", runtime="ruby3.2", handler="x.y"))


async def test_a_variable_that_kills_the_runtime_is_the_functions_doing(engine: Engine) -> None:
    code = engine.deploy("exports.handler = async () => 1;", environment={"NODE_OPTIONS": "--no-such-flag"})

    report = await engine.invoke(code)

    assert Crashed(exit_code=9) == report.outcome
    assert "no-such-flag" in report.logs[0].text


async def test_an_error_text_of_any_size_and_kind_is_carried(engine: Engine) -> None:
    source = "exports.handler = async () => { const e = new Error('x'.repeat(1e6)); e.name = { toString() { throw 1 } }; throw e; };"
    outcome = (await engine.invoke(engine.deploy(source))).outcome

    assert isinstance(outcome, Raised)
    assert outcome.name == "Error"
