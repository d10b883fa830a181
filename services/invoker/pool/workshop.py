"""
Where workers are made: slots, root file systems, the driver, the spawner, the stem cells.

``specialised`` returns a worker that holds a function, made of a stem cell where one fits and of a new sandbox
where none does. When the spawner process dies all workers die with it, and another is started.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from services.invoker.pool.assignment import FailedStart
from services.invoker.pool.cells import StemCells
from services.invoker.pool.function import FunctionCode, base_environment, load_request
from services.invoker.pool.programs import (
    place_for_api,
    program_spec,
    unfit_program,
    why_impossible,
    why_not_started,
)
from services.invoker.pool.settings import EngineSettings
from services.invoker.sandbox.cgroup import Cgroups, detect
from services.invoker.sandbox.driver import Interpreter, RootFilesystem, SandboxSpec
from services.invoker.sandbox.ladder import Ground, View, climb, make_view
from services.invoker.sandbox.limits import HEADROOM_MB, MEGABYTE, WorkerLimits
from services.invoker.sandbox.rootfs import RootFilesystemError, build_roots
from services.invoker.sandbox.slots import Slots, place_package
from services.invoker.sandbox.spawner import RequestTooLargeError, Spawner
from services.invoker.sandbox.states import KillReason
from services.invoker.sandbox.worker import NotHandedOverError, Worker
from shared.domain.errors import PlatformError, StartFailedError, UnavailableError
from shared.domain.outcome import Outcome, Raised, Timings
from shared.domain.runtime import Family
from shared.process.supervise import Supervisor

_log = structlog.get_logger(__name__)
_START_AT_ONCE = 4
"""More sandboxes starting at the same time are not ready any sooner."""
_SPAWNER_PAUSE_S = 1.0
"""A spawner that dies again so soon is started again only after a pause."""
_RESTARTED = "the process that starts sandboxes is being restarted"
_GONE_S = 5.0
_TRIES = 3
_STOOD_IN_FOR = frozenset((Family.NODE16, Family.NODE18))

FetchPackage = Callable[[FunctionCode], Awaitable[Path]]
NewsOfEnd = Callable[[Worker], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A worker that holds its function, and how long that took."""

    worker: Worker
    timings: Timings


class Workshop:
    """Makes workers and takes them apart. One per invoker."""

    def __init__(
        self, settings: EngineSettings, fetch_package: FetchPackage, supervisor: Supervisor, on_gone: NewsOfEnd
    ) -> None:
        self._settings = settings
        self._fetch = fetch_package
        self._supervisor = supervisor
        self._on_gone = on_gone
        self._limits = WorkerLimits(
            result_bytes=settings.result_limit_bytes,
            log_bytes=settings.max_log_bytes,
            line_bytes=settings.max_line_bytes,
            start_s=settings.start_timeout_s,
        )
        self._wanted: dict[str, int] = {
            Family.NODE: settings.stem_cells_node,
            Family.NODE16: settings.stem_cells_node16,
            Family.NODE18: settings.stem_cells_node18,
            Family.PYTHON: settings.stem_cells_python,
            Family.PROVIDED: 0,
        }
        self._starting = asyncio.Semaphore(_START_AT_ONCE)
        self._alive: set[Worker] = set()
        self._placing: set[Worker] = set()
        self._closing = False
        self._slots: Slots | None = None
        self._view: View | None = None
        self._spawner = Spawner(self._spawner_lost)
        self._spawner_died_at = 0.0
        self._roots: dict[str, RootFilesystem] = {}
        self.runtimes: dict[str, str] = {}
        """Each runtime family, and why it cannot be used (empty when it can)."""
        self.cgroups: Cgroups | None = None
        self.ground: Ground | None = None
        self.cells = StemCells(self._wanted, self._blank, supervisor)
        self._all_gone = asyncio.Event()

    async def start(self) -> None:
        """
        Find out what the machine can give, start the spawner, fill the stem cells.

        Raises:
            OutOfReachError: sandboxes cannot be shown the engine's directory.
            NoSandboxError: nothing that is allowed works.
            RootFilesystemError: there is no runtime.
        """
        settings = self._settings
        settings.directory.mkdir(parents=True, exist_ok=True)
        self._view = await asyncio.to_thread(make_view, settings.directory)
        self._roots, self.runtimes = await asyncio.to_thread(build_roots, settings)
        self._wanted.update(dict.fromkeys(self._wanted.keys() - self._roots.keys(), 0))
        self.cgroups = detect(settings.max_processes, settings.cpus)
        self._slots = await asyncio.to_thread(Slots, settings.directory, self.cgroups)
        self._start_spawner()
        slot = self._slots.acquire()
        self.ground = await climb(settings, self._spawner, slot, list(self._roots.values()), self._view)
        await asyncio.to_thread(self._slots.recycle, slot)
        if Family.PROVIDED in self._roots and (problem := why_impossible(self.ground)):
            self.runtimes[Family.PROVIDED] = problem
            del self._roots[Family.PROVIDED]
        await asyncio.gather(*(self._first_cell(family) for family in self._roots if self._wanted[family]))
        if not self._roots:
            raise RootFilesystemError(f"no runtime can be used: {'; '.join(self.runtimes.values())}")
        self.cells.refill_soon()

    async def _first_cell(self, family: str) -> None:
        """Start a stem cell; a runtime that cannot is of no use."""
        try:
            self.cells.put(await self._blank(family))
        except PlatformError as error:
            self.runtimes[family] = str(error)
            del self._roots[family]
            self._wanted[family] = 0

    async def close(self) -> None:
        """End every worker and wait until nothing of them is left; remove the directories."""
        self._closing = True
        self.cells.stop()
        for worker in list(self._alive):
            worker.end(KillReason.CLOSED)
        deadline = time.monotonic() + _GONE_S
        while self._alive and time.monotonic() < deadline:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._all_gone.wait()
            except TimeoutError:
                _log.error("workers_would_not_end", workers=len(self._alive))
        await self._spawner.close()
        if self._view is not None:
            self._view.close()
        slots, self._slots = self._slots, None
        if slots is not None:
            await asyncio.to_thread(slots.close)

    def interpreters(self) -> dict[str, Interpreter]:
        """Return what runs the functions of each runtime family that can be used, a stand-in where one does."""
        roots = {family: self._roots.get(self._usable(family)) for family in self.runtimes}
        return {family: root.interpreter for family, root in roots.items() if root is not None and root.interpreter}

    def _usable(self, family: str) -> str:
        """Return the family itself, or the newest Node.js for another version that is not there."""
        return Family.NODE if family in _STOOD_IN_FOR and family not in self._roots else family

    def in_state(self) -> Counter[str]:
        """Return how many workers there are in each state."""
        return Counter(str(worker.state) for worker in self._alive)

    async def specialised(self, code: FunctionCode, request_id: str) -> Made | FailedStart:
        """
        Return a worker that holds ``code``, or how loading it ended when that is the function's doing.

        Raises:
            PlatformError: the sandbox or the package refused.
        """
        if self._usable(code.family) not in self._roots:
            raise StartFailedError(f"runtime {code.runtime} is not available on this machine", field="runtime")
        for _ in range(_TRIES):
            try:
                return await self._specialise(code, request_id)
            except NotHandedOverError:
                continue
        raise StartFailedError("sandboxes keep dying before they are given their function")

    async def _specialise(self, code: FunctionCode, request_id: str) -> Made | FailedStart:
        began = time.monotonic()
        early = code.early_environment()
        family = self._usable(code.family)
        cell = None if early or code.tmp_mb != self._settings.stem_tmp_mb else self.cells.take(family)
        try:
            package = await self._fetch(code)
        except BaseException:
            if cell is not None:
                self.cells.put(cell)
            raise
        fetched = time.monotonic()
        if cell is None:
            started = await self._on_demand(code, early, package)
            if isinstance(started, FailedStart):
                return started
            cell = started
            placed = spawned = time.monotonic()
        else:
            spawned = fetched
            await self._place(package, cell)
            placed = time.monotonic()
        timings = Timings(
            worker_ms=(spawned - fetched) * 1000, load_ms=(fetched - began + placed - spawned) * 1000, cold_start=True
        )
        return await self._load(cell, code, request_id, timings)

    async def _on_demand(self, code: FunctionCode, early: dict[str, str], package: Path) -> Worker | FailedStart:
        """Start a sandbox for one function, its files and early variables in place from the start."""
        assert self._slots is not None
        family = self._usable(code.family)
        worker = await self._new_worker(family)
        await self._place(package, worker)
        if code.brings_program:
            outcome = await self._begin_program(worker, code)
        else:
            outcome = await self._begin(worker, family, code.tmp_mb, early)
        if outcome is None:
            return worker
        lines, dropped = worker.logs.take(time.time_ns() // 1_000_000)
        if isinstance(outcome, Raised) or (early and worker.pid):
            # The runtime was there, and ended because of a variable of the author's; or there is no program.
            return FailedStart(outcome=outcome, timings=Timings(cold_start=True), logs=lines, dropped=dropped)
        said = " ".join(line.text for line in lines[:3])
        raise StartFailedError(f"the sandbox did not start: {worker.failure or said or outcome}")

    async def _blank(self, family: str) -> Worker:
        """Start a stem cell."""
        worker = await self._new_worker(family)
        outcome = await self._begin(worker, family, self._settings.stem_tmp_mb, {})
        if outcome is not None:
            lines, _ = worker.logs.take(0)
            said = " ".join(line.text for line in lines[:3])
            raise StartFailedError(f"a {family} sandbox did not start: {worker.failure or said or outcome}")
        return worker

    async def _new_worker(self, family: str) -> Worker:
        if self._closing or self._slots is None:
            raise UnavailableError("this invoker is shutting down")
        slot = await asyncio.to_thread(self._slots.acquire)
        worker = Worker(self._spawner, slot, family, self._limits, self._worker_gone)
        self._alive.add(worker)
        return worker

    async def _begin(self, worker: Worker, family: str, tmp_mb: int, early: dict[str, str]) -> Outcome | None:
        assert self.ground is not None
        driver = self.ground.driver
        environment = {**base_environment(driver.temporary(worker.slot.slot)), **early}
        spec = SandboxSpec(root=self._roots[family], slot=worker.slot.slot, tmp_mb=tmp_mb, environment=environment)
        return await self._started(worker, lambda: worker.start(driver.request(spec)))

    async def _begin_program(self, worker: Worker, code: FunctionCode) -> Outcome | None:
        """Start a function's own program: from now on it runs, under the function's limits."""
        assert self.ground is not None
        driver, slot = self.ground.driver, worker.slot.slot
        unfit = await asyncio.to_thread(unfit_program, slot)
        if unfit is not None:
            self._worker_gone(worker)
            return unfit
        self._limit(worker, code)

        async def start() -> Outcome | None:
            port, listener = place_for_api(driver)
            try:
                spec = program_spec(code, self._settings, driver, self._roots[code.family], slot, port)
                request = driver.request(spec)
            except BaseException:
                if listener is not None:
                    listener.close()
                raise
            return await worker.start_program(request, listener)

        return await self._started(worker, start)

    async def _started(self, worker: Worker, start: Callable[[], Awaitable[Outcome | None]]) -> Outcome | None:
        try:
            async with self._starting:
                if self._closing:
                    raise UnavailableError("this invoker is shutting down")
                outcome = await start()
        except ConnectionError as error:
            raise UnavailableError(_RESTARTED) from error
        except RequestTooLargeError as error:
            raise StartFailedError(f"the environment variables are too large: {error}") from error
        finally:
            if not worker.process.spawned:
                self._worker_gone(worker)
        if outcome is not None and worker.process.lost:
            raise UnavailableError(_RESTARTED)
        return outcome

    async def _place(self, package: Path, worker: Worker) -> None:
        self._placing.add(worker)
        try:
            await asyncio.to_thread(place_package, package, worker.slot)
        except OSError as error:
            if worker.process.spawned:
                worker.end(KillReason.NOT_STARTED)
            else:
                self._worker_gone(worker)
            raise StartFailedError(f"the package cannot be placed in the sandbox: {error}") from error
        finally:
            self._placing.discard(worker)
            if worker not in self._alive:
                self._reuse_slot(worker)

    async def _load(self, worker: Worker, code: FunctionCode, request_id: str, timings: Timings) -> Made | FailedStart:
        assert self.ground is not None
        self._limit(worker, code)
        root = self.ground.driver.task_root(worker.slot.slot)
        request = load_request(code, self._settings, root, request_id)
        outcome, spent_ms = await worker.load(request, code.memory_mb, code.timeout_s)
        done = Timings(worker_ms=timings.worker_ms, load_ms=timings.load_ms, init_ms=spent_ms, cold_start=True)
        if outcome is None:
            return Made(worker=worker, timings=done)
        lines, dropped = worker.logs.take(time.time_ns() // 1_000_000)
        if code.brings_program:
            outcome = why_not_started(outcome, lines)
        return FailedStart(outcome=outcome, timings=done, logs=lines, dropped=dropped)

    def _limit(self, worker: Worker, code: FunctionCode) -> None:
        worker.memory_mb = code.memory_mb
        if worker.slot.group is not None:
            worker.slot.group.limit((code.memory_mb + code.tmp_mb + HEADROOM_MB) * MEGABYTE)

    # Ends.

    def _worker_gone(self, worker: Worker) -> None:
        """Nothing of a worker is left: its slot is emptied and used again."""
        if worker not in self._alive:
            return
        self._alive.discard(worker)
        if not self._alive:
            self._all_gone.set()
        self.cells.forget(worker)
        self._on_gone(worker)
        if worker not in self._placing:
            self._reuse_slot(worker)

    def _reuse_slot(self, worker: Worker) -> None:
        """Empty the slot of a worker that is gone; never while files are still being placed in it."""
        if not self._closing:
            self._supervisor.spawn("recycle-slot", self._recycle(worker), critical=False)

    async def _recycle(self, worker: Worker) -> None:
        assert self._slots is not None
        await asyncio.to_thread(self._slots.recycle, worker.slot)

    def _start_spawner(self) -> None:
        if self._closing:
            return
        assert self._view is not None
        show = None if self._view.place is None else (self._view.engine, self._view.place)
        self._spawner.start(show=show)
        if self.ground is not None:
            self.cells.refill_soon()

    def _spawner_lost(self) -> None:
        """The spawner died, and every sandbox with it: start another."""
        if self._closing:
            return
        _log.error("spawner_died", pid=self._spawner.pid)
        lost, self._spawner = self._spawner, Spawner(self._spawner_lost)
        self._supervisor.spawn("close-spawner", lost.close(), critical=False)
        now = time.monotonic()
        quick, self._spawner_died_at = now - self._spawner_died_at < _SPAWNER_PAUSE_S, now
        asyncio.get_running_loop().call_later(_SPAWNER_PAUSE_S if quick else 0.0, self._start_spawner)
