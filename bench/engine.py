"""
The execution engine alone: no HTTP, no broker, no database.

``python -m bench.engine`` prints one JSON object: microseconds of a warm no-op call (one caller), calls a
second over two workers, milliseconds of the first call of a new function, how late a deadline is answered and
the process tree gone, and the memory of idle stem cells. Everything is on: sandbox, limits, logs.
"""

import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import uvloop

from services.invoker.pool.pool import EngineSettings, FunctionCode, Invocation, WorkerPool
from shared.domain.outcome import Returned, TimedOut

WARM_CALLS = 5000
NEO_CALLS = 2000
NEO_PAUSE_S = 0.003
"""A Neo worker makes its next realm after the answer: a call that follows at once waits for it."""
WANTED = {"node": 4, "node18": 1, "python": 4}
"""Stem cells."""
CALLERS = 16
THROUGHPUT_S = 3.0
FIRST_CALLS = 15
DEADLINES = 10
LIMIT_S = 0.3
SOURCES = {
    "node": ("nodejs20.x", "index.js", "index.handler", "exports.handler = async () => ({ statusCode: 200 });"),
    "python": ("python3.11", "main.py", "main.handler", "def handler(event, context): return {'statusCode': 200}\n"),
    "neo": ("node18", "index.js", "", "module.exports = async () => ({ ok: true })"),
    "loop": ("nodejs20.x", "index.js", "index.handler", "exports.handler = () => { for (;;); };"),
}


class Bench:
    """One pool and the packages it runs."""

    def __init__(self, directory: Path) -> None:
        self._packages = directory / "packages"
        self._packages.mkdir()
        self._packages.chmod(0o755)
        for name, (_, file, _, source) in SOURCES.items():
            package = self._packages / name
            package.mkdir()
            package.chmod(0o755)
            (package / file).write_text(source, "utf-8")
            (package / file).chmod(0o444)
        settings = EngineSettings(
            directory=directory / "engine",
            stem_cells_node=WANTED["node"],
            stem_cells_node18=WANTED["node18"],
            stem_cells_python=WANTED["python"],
            max_workers_per_function=2,
            patience_s=0.0,
        )
        self.pool = WorkerPool(settings, self._fetch)

    async def _fetch(self, code: FunctionCode) -> Path:
        return self._packages / code.package_sha256

    def function(self, name: str, timeout_s: float = 5.0) -> FunctionCode:
        """Return a function that has never been called."""
        runtime, _, handler, _ = SOURCES[name]
        version = uuid.uuid4().hex
        return FunctionCode(
            version_id=version, function_id=version, name=name, runtime=runtime,
            convention="lambda" if handler else "neo", handler=handler,
            memory_mb=128, timeout_s=timeout_s, package_sha256=name,
        )  # fmt: skip

    async def call(self, code: FunctionCode) -> float:
        """Call it, which must succeed; return the seconds it took."""
        invocation = Invocation(request_id=str(uuid.uuid4()), event=b"{}", deadline_s=10.0)
        began = time.perf_counter()
        report = await self.pool.invoke(code, invocation)
        took = time.perf_counter() - began
        assert isinstance(report.outcome, Returned), report.outcome
        return took

    async def warm(self, name: str, calls: int, pause_s: float = 0.0) -> tuple[float, float]:
        """Measure one caller on one worker, who waits between calls; microseconds, p50 and p99."""
        code, times = self.function(name), []
        for number in range(300 + calls):
            took = await self.call(code)
            times += [took] if number >= 300 else []
            if pause_s:
                await asyncio.sleep(pause_s)
        times.sort()
        return times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6

    async def throughput(self, name: str) -> float:
        """Measure many callers on two workers."""
        code, ends, done = self.function(name), time.perf_counter() + THROUGHPUT_S, 0

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() < ends:
                await self.call(code)
                done += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                tasks.create_task(caller())
        return done / THROUGHPUT_S

    async def first_call(self, name: str) -> float:
        """Measure the first call of a new function when a stem cell is ready; milliseconds, median."""
        times = []
        for _ in range(FIRST_CALLS):
            await self._cells_ready()
            times.append(await self.call(self.function(name)) * 1000)
        return statistics.median(times)

    async def deadline(self) -> tuple[float, float]:
        """Measure how late a busy loop is answered and gone; milliseconds, medians."""
        replies, ends = [], []
        for _ in range(DEADLINES):
            code = self.function("loop", timeout_s=LIMIT_S)
            before = self.pool.stats().ended.get("timed_out", 0)
            invocation = Invocation(request_id=str(uuid.uuid4()), event=b"{}", deadline_s=10.0)
            began = time.perf_counter()
            report = await self.pool.invoke(code, invocation)
            answered = time.perf_counter()
            assert isinstance(report.outcome, TimedOut), report.outcome
            prepared = report.timings.worker_ms + report.timings.load_ms + report.timings.init_ms
            replies.append((answered - began - LIMIT_S) * 1000 - prepared - report.timings.queued_ms)
            while self.pool.stats().ended.get("timed_out", 0) == before:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.0005)
            ends.append((time.perf_counter() - answered) * 1000 + replies[-1])
        return statistics.median(replies), statistics.median(ends)

    async def _cells_ready(self) -> None:
        async with asyncio.timeout(10):
            while any(self.pool.stats().stem_cells[family] < count for family, count in WANTED.items()):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)

    async def idle_memory(self) -> dict[str, float]:
        """Measure stem cells that wait: megabytes of proportional set size a cell, and everything together."""
        await self._cells_ready()
        programs: dict[str, list[float]] = {"node": [], "python3": []}
        total = 0.0
        for pid in descendants(os.getpid()):
            size = proportional_mb(pid)
            total += size
            name = Path(f"/proc/{pid}/exe").readlink().name
            if name in programs and (Path(f"/proc/{pid}/root") / "runtime").exists():
                programs[name].append(size)
        return {
            "idle_pss_node_mb": statistics.mean(programs["node"]),
            "idle_pss_python_mb": statistics.mean(programs["python3"]),
            "idle_pss_total_mb": total,
        }


def descendants(pid: int) -> list[int]:
    """Return every process below ``pid``."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text("ascii").split():
            found += [int(child), *descendants(int(child))]
    return found


def proportional_mb(pid: int) -> float:
    """Return the proportional set size of a process in megabytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure() -> dict[str, Any]:
    """Run everything once."""
    directory = Path(tempfile.mkdtemp(prefix="tidemill-bench-", dir="/var/tmp"))
    directory.chmod(0o755)
    bench = Bench(directory)
    try:
        await bench.pool.start()
        try:
            figures: dict[str, Any] = await bench.idle_memory()
            figures["p50_us"], figures["p99_us"] = await bench.warm("node", WARM_CALLS)
            figures["neo_p50_us"], figures["neo_p99_us"] = await bench.warm("neo", NEO_CALLS, NEO_PAUSE_S)
            figures["per_second_2_workers"] = await bench.throughput("node")
            figures["neo_per_second_2_workers"] = await bench.throughput("neo")
            figures["first_call_node_ms"] = await bench.first_call("node")
            figures["first_call_neo_ms"] = await bench.first_call("neo")
            figures["first_call_python_ms"] = await bench.first_call("python")
            figures["deadline_reply_ms"], figures["deadline_gone_ms"] = await bench.deadline()
            figures["sandbox"] = str(bench.pool.level())
        finally:
            await bench.pool.close()
    finally:
        shutil.rmtree(directory)
    return figures


def main() -> None:
    """Print the figures as JSON."""
    figures = uvloop.run(measure())
    print(json.dumps({name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}))


if __name__ == "__main__":
    main()
