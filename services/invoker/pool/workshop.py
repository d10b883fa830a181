"""
Where workers are made: slots, root file systems, the driver, the spawner, the stem cells.

``specialised`` returns a worker that holds a function, made of a stem cell where one fits and of a new sandbox
where none does. Stem cells that are used up are replaced in the background, a few at a time and a moment
later, so that making them does not slow the call that used them. When the spawner process dies all workers
die with it, and another is started.
"""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from services.invoker.pool.assignment import FailedStart
from services.invoker.pool.function import FunctionCode, base_environment, load_request
from services.invoker.pool.settings import EngineSettings
from services.invoker.sandbox.cgroup import Cgroups, detect
from services.invoker.sandbox.driver import RootFilesystem, SandboxSpec
from services.invoker.sandbox.ladder import Ground, View, climb, make_view
from services.invoker.sandbox.limits import HEADROOM_MB, MEGABYTE
from services.invoker.sandbox.rootfs import build_roots
from services.invoker.sandbox.slots import Slots, place_package
from services.invoker.sandbox.spawner import RequestTooLargeError, Spawner
from services.invoker.sandbox.states import KillReason, WorkerState
from services.invoker.sandbox.worker import NotHandedOverError, Worker, WorkerLimits
from shared.domain.errors import PlatformError, StartFailedError, UnavailableError
from shared.domain.outcome import Outcome, Timings
from shared.process.supervise import Supervisor

_log = structlog.get_logger(__name__)
_REFILL_AT_ONCE = 2
_REFILL_AFTER_S = 0.03
_RETRY_S = (0.1, 0.5, 2.0, 5.0)
_GONE_S = 5.0
_TRIES = 3

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
        self._wanted = {"node": settings.stem_cells_node, "python": settings.stem_cells_python}
        self._cells: dict[str, deque[Worker]] = {family: deque() for family in self._wanted}
        self._making: Counter[str] = Counter()
        self._failures = 0
        self._refill_timer: asyncio.TimerHandle | None = None
        self._alive: set[Worker] = set()
        self._closing = False
        self._slots: Slots | None = None
        self._view: View | None = None
        self._spawner = Spawner(self._spawner_lost)
        self.roots: dict[str, RootFilesystem] = {}
        self.cgroups: Cgroups | None = None
        self.ground: Ground | None = None
        self.alive_empty = asyncio.Event()

    async def start(self) -> None:
        """
        Find out what the machine can give, start the spawner, fill the stem cells.

        Raises:
            NoSandboxError: nothing that is allowed works.
            RootFilesystemError: there is no runtime.
        """
        settings = self._settings
        settings.directory.mkdir(parents=True, exist_ok=True)
        self.roots = await asyncio.to_thread(build_roots, settings)
        self.cgroups = detect(settings.max_processes, settings.cpus)
        self._slots = await asyncio.to_thread(Slots, settings.directory, self.cgroups)
        self._view = make_view(settings.directory)
        self._start_spawner()
        slot = self._slots.acquire()
        self.ground = await climb(settings, self._spawner, slot, next(iter(self.roots.values())), self._view)
        await asyncio.to_thread(self._slots.recycle, slot)
        for family in self.roots:
            for _ in range(min(1, self._wanted[family])):
                self._cells[family].append(await self._blank(family))
        self._refill()

    async def close(self) -> None:
        """End every worker and wait until nothing of them is left; remove the directories."""
        self._closing = True
        if self._refill_timer is not None:
            self._refill_timer.cancel()
        for worker in list(self._alive):
            worker.end(KillReason.CLOSED)
        deadline = time.monotonic() + _GONE_S
        while self._alive and time.monotonic() < deadline:
            self.alive_empty.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self.alive_empty.wait()
            except TimeoutError:
                _log.error("workers_would_not_end", workers=len(self._alive))
        await self._spawner.close()
        if self._view is not None:
            self._view.close()
        slots, self._slots = self._slots, None
        if slots is not None:
            await asyncio.to_thread(slots.close)

    def ready_cells(self) -> dict[str, int]:
        """Return how many stem cells wait, by family."""
        return {family: len(cells) for family, cells in self._cells.items()}

    def in_state(self) -> Counter[str]:
        """Return how many workers there are in each state."""
        return Counter(str(worker.state) for worker in self._alive)

    async def specialised(self, code: FunctionCode, request_id: str) -> Made | FailedStart:
        """
        Return a worker that holds ``code``, or how loading it ended when that is the function's doing.

        Raises:
            PlatformError: the sandbox or the package refused.
        """
        if code.family not in self.roots:
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
        cell = None if early or code.tmp_mb != self._settings.stem_tmp_mb else self._cell(code.family)
        try:
            package = await self._fetch(code)
        except BaseException:
            if cell is not None:
                self._cells[code.family].append(cell)
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

    def _cell(self, family: str) -> Worker | None:
        """Take a stem cell that is still alive, and see to its replacement."""
        cells = self._cells[family]
        while cells:
            cell = cells.popleft()
            if cell.state is WorkerState.BLANK:
                self._refill_soon()
                return cell
        self._refill_soon()
        return None

    async def _on_demand(self, code: FunctionCode, early: dict[str, str], package: Path) -> Worker | FailedStart:
        """Start a sandbox for one function, its files and early variables in place from the start."""
        assert self._slots is not None
        worker = await self._new_worker(code.family)
        await self._place(package, worker)
        outcome = await self._begin(worker, code.family, code.tmp_mb, early)
        if outcome is None:
            return worker
        lines, dropped = worker.logs.take(time.time_ns() // 1_000_000)
        if early and worker.pid:  # the runtime was there, and ended because of a variable of the author's
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
        spec = SandboxSpec(root=self.roots[family], slot=worker.slot.slot, tmp_mb=tmp_mb, environment=environment)
        try:
            return await worker.start(driver.request(spec))
        except ConnectionError as error:
            self._worker_gone(worker)
            raise UnavailableError("the process that starts sandboxes is being restarted") from error
        except RequestTooLargeError as error:
            self._worker_gone(worker)
            raise StartFailedError(f"the environment variables are too large: {error}") from error

    async def _place(self, package: Path, worker: Worker) -> None:
        try:
            await asyncio.to_thread(place_package, package, worker.slot)
        except OSError as error:
            worker.end(KillReason.NOT_STARTED)
            raise StartFailedError(f"the package cannot be placed in the sandbox: {error}") from error

    async def _load(self, worker: Worker, code: FunctionCode, request_id: str, timings: Timings) -> Made | FailedStart:
        assert self.ground is not None
        settings = self._settings
        if worker.slot.group is not None:
            worker.slot.group.limit((code.memory_mb + code.tmp_mb + HEADROOM_MB) * MEGABYTE)
        root = self.ground.driver.task_root(worker.slot.slot)
        request = load_request(code, settings, root, request_id)
        outcome, spent_ms = await worker.load(request, code.memory_mb, code.timeout_s)
        done = Timings(worker_ms=timings.worker_ms, load_ms=timings.load_ms, init_ms=spent_ms, cold_start=True)
        if outcome is None:
            return Made(worker=worker, timings=done)
        lines, dropped = worker.logs.take(time.time_ns() // 1_000_000)
        return FailedStart(outcome=outcome, timings=done, logs=lines, dropped=dropped)

    # Stem cells.

    def _refill_soon(self) -> None:
        if self._refill_timer is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._refill_timer = loop.call_later(_REFILL_AFTER_S, self._refill)

    def _refill(self) -> None:
        """Start making the cells that are missing, a few at once."""
        self._refill_timer = None
        for family in self.roots:
            missing = self._wanted[family] - len(self._cells[family]) - self._making[family]
            for _ in range(min(missing, _REFILL_AT_ONCE - self._making.total())):
                self._making[family] += 1
                self._supervisor.spawn(f"stem-cell-{family}", self._make_cell(family), critical=False)

    async def _make_cell(self, family: str) -> None:
        try:
            cell = await self._blank(family)
        except PlatformError as error:
            if self._closing:
                return
            delay = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
            self._failures += 1
            _log.warning("stem_cell_failed", family=family, reason=str(error), retry_s=delay)
            await asyncio.sleep(delay)
        else:
            self._failures = 0
            self._cells[family].append(cell)
        finally:
            self._making[family] -= 1
        if not self._closing:
            self._refill()

    # Ends.

    def _worker_gone(self, worker: Worker) -> None:
        """Nothing of a worker is left: its slot is emptied and used again."""
        self._alive.discard(worker)
        if not self._alive:
            self.alive_empty.set()
        cells = self._cells[worker.runtime]
        if worker in cells:
            cells.remove(worker)
            self._refill_soon()
        self._on_gone(worker)
        if not self._closing:
            self._supervisor.spawn("recycle-slot", self._recycle(worker), critical=False)

    async def _recycle(self, worker: Worker) -> None:
        assert self._slots is not None
        await asyncio.to_thread(self._slots.recycle, worker.slot)

    def _start_spawner(self) -> None:
        assert self._view is not None
        show = None if self._view.place is None else (self._view.engine, self._view.place)
        self._spawner.start(show=show)

    def _spawner_lost(self) -> None:
        """The spawner died, and every sandbox with it: start another."""
        if self._closing:
            return
        _log.error("spawner_died", pid=self._spawner.pid)
        lost, self._spawner = self._spawner, Spawner(self._spawner_lost)
        self._supervisor.spawn("close-spawner", lost.close(), critical=False)
        self._start_spawner()
        self._refill_soon()


def machine_uid_mode() -> str:
    """Return ``slot`` when every slot has a uid of its own, ``shared`` when all run as the invoker's user."""
    return "slot" if os.geteuid() == 0 else "shared"
