"""
The worker pool: runs functions on this machine, one call at a time in each worker.

``invoke`` takes a call from the front door to its ``Report``: it is admitted or refused, gets a worker (its
own, a stem cell that becomes its own, or a new one), runs under its time limit, and its log is taken. What
the function did wrong is an ``Outcome`` in the report; exceptions are for calls that could not be started.

Who serves whom is decided in ``assignment``, workers are made in ``workshop``, memory is watched in
``watchdog``. The event and the result are bytes that nobody here parses.
"""

import asyncio
import time
from collections import Counter
from functools import partial

from services.invoker.pool.assignment import Assignment, FailedStart, Group, Lease
from services.invoker.pool.description import EngineDescription, describe
from services.invoker.pool.function import FunctionCode, Invocation
from services.invoker.pool.settings import EngineSettings, SandboxLevel
from services.invoker.pool.stats import PoolStats
from services.invoker.pool.watchdog import Watchdog
from services.invoker.pool.workshop import FetchPackage, Workshop
from services.invoker.sandbox.driver import Interpreter
from services.invoker.sandbox.states import KillReason, WorkerState
from services.invoker.sandbox.worker import NotHandedOverError, Worker
from shared.domain.errors import (
    FunctionNotFoundError,
    InternalError,
    PlatformError,
    StartFailedError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.function import Convention
from shared.domain.outcome import Interrupted, Report, Timings
from shared.process.supervise import Supervisor

__all__ = ["EngineSettings", "FunctionCode", "Invocation", "WorkerPool"]

_TRIES = 3
_SWEEP_S = 0.5
_FREEZE_AFTER_S = 0.5
_FREEZE_AT_ONCE = 8
"""Looking for all processes of a worker takes a fraction of a millisecond, in which nothing else is done."""


class WorkerPool:
    """All workers of one invoker. ``start`` it once, ``close`` it once; nothing is left behind."""

    def __init__(self, settings: EngineSettings, fetch_package: FetchPackage) -> None:
        self._settings = settings
        self._supervisor = Supervisor()
        self._workshop = Workshop(settings, fetch_package, self._supervisor, self._worker_gone)
        self._assignment: Assignment[Worker] = Assignment(
            max_workers=settings.max_workers,
            max_per_function=settings.max_workers_per_function,
            patience_s=settings.patience_s,
            start=self._start_worker,
            retire=Worker.end,
        )
        self._watchdog = Watchdog()
        self._in_flight: Counter[str] = Counter()
        self._cold_starts = 0
        self._invocations = 0
        self._ends: Counter[str] = Counter()
        self._open = False

    async def start(self) -> None:
        """
        Find out what this machine can give, and be ready for calls.

        Raises:
            NoSandboxError: no sandbox as strong as the configured minimum works here.
            RootFilesystemError: there is no runtime.
        """
        try:
            await self._workshop.start()
        except BaseException:
            await self._workshop.close()
            raise
        self._open = True
        self._supervisor.spawn("sweep-idle-workers", self._sweep())

    async def close(self) -> None:
        """End everything: calls in flight are reported as crashed, waiting ones as unavailable."""
        self._open = False
        self._assignment.abort(UnavailableError("this invoker is shutting down"))
        self._watchdog.stop()
        await self._workshop.close()
        await self._supervisor.close()

    async def invoke(self, code: FunctionCode, invocation: Invocation) -> Report:
        """
        Run a function once.

        Raises:
            ThrottledError: too many calls of this function, or no worker became free before the deadline.
            UnavailableError: too many calls wait on this invoker, or it is closing.
            FunctionNotFoundError: the function was deleted while the call waited for a worker.
            StartFailedError: the event is too large, or the sandbox or the package refused.
        """
        self._admit(code, invocation)
        self._in_flight[code.function_id] += 1
        try:
            return await self._serve(code, invocation)
        finally:
            self._in_flight[code.function_id] -= 1
            if not self._in_flight[code.function_id]:
                del self._in_flight[code.function_id]

    def forget(self, function_id: str) -> None:
        """A function changed or is gone: its idle workers end soon, unless their version is called again."""
        self._assignment.forget(function_id)

    def stop(self, function_id: str) -> None:
        """A function was deleted: its workers end now, with what they run, and no call waits for one any more."""
        reason = "the function was deleted"
        self._assignment.abort(FunctionNotFoundError(reason), function_id)
        self._assignment.forget(function_id)
        for worker in self._assignment.workers():
            if worker.group.code.function_id == function_id:
                worker.cut_off(Interrupted(reason=reason), KillReason.STALE)

    def level(self) -> SandboxLevel:
        """Return how strongly functions are confined here."""
        assert self._workshop.ground is not None
        return self._workshop.ground.driver.level

    def describe(self) -> EngineDescription:
        """Return what this machine gives and what it lacks, in words."""
        workshop = self._workshop
        assert workshop.ground is not None
        assert workshop.cgroups is not None
        return describe(
            self._settings, workshop.ground, workshop.cgroups.mode, workshop.runtimes, workshop.interpreters()
        )

    def interpreters(self) -> dict[str, Interpreter]:
        """Return what really runs the functions of each runtime family that can be used."""
        return self._workshop.interpreters()

    def stats(self) -> PoolStats:
        """Return the figures for metrics; cheap."""
        return PoolStats(
            workers=dict(self._workshop.in_state()),
            stem_cells=self._workshop.cells.ready(),
            in_flight=self._in_flight.total(),
            waiting=self._assignment.waiting,
            invocations=self._invocations,
            cold_starts=self._cold_starts,
            ended=dict(self._ends),
        )

    def _admit(self, code: FunctionCode, invocation: Invocation) -> None:
        settings = self._settings
        if not self._open:
            raise UnavailableError("this invoker is not running")
        if invocation.deadline_s <= 0:
            raise ThrottledError("the caller's deadline has passed")
        if len(invocation.event) > settings.event_limit_bytes:
            raise StartFailedError(
                f"the event has {len(invocation.event)} bytes, at most {settings.event_limit_bytes} are allowed",
                limit=settings.event_limit_bytes,
            )
        if self._in_flight[code.function_id] >= settings.max_in_flight_per_function:
            raise ThrottledError("too many calls of this function at once", limit=settings.max_in_flight_per_function)
        if self._assignment.waiting >= settings.max_waiting:
            raise UnavailableError("too many calls are waiting on this invoker")

    async def _serve(self, code: FunctionCode, invocation: Invocation) -> Report:
        arrived = time.monotonic()
        waits_until = arrived + (invocation.deadline_s if invocation.wait_s is None else invocation.wait_s)
        for _ in range(_TRIES):
            lease: Lease[Worker] | FailedStart | None = self._assignment.take(code)
            if lease is None:
                lease = await self._assignment.wait(code, invocation.request_id, waits_until - time.monotonic())
            if isinstance(lease, FailedStart):
                return Report(
                    outcome=lease.outcome, timings=lease.timings, logs=lease.logs, dropped_log_lines=lease.dropped
                )
            try:
                return await self._run(lease, code, invocation, arrived)
            except NotHandedOverError:
                continue
            finally:
                self._release(lease)
        raise StartFailedError("workers of this function keep dying before they are called")

    async def _run(self, lease: Lease[Worker], code: FunctionCode, invocation: Invocation, arrived: float) -> Report:
        worker, began = lease.worker, time.monotonic()
        waited = began - arrived if invocation.wait_s is None else 0.0
        if waited >= invocation.deadline_s:
            raise ThrottledError("no worker became free before the deadline")
        limit_s = min(code.timeout_s, invocation.deadline_s - waited)
        self._watchdog.watch(worker)
        if invocation.on_start is not None:
            invocation.on_start()
        outcome, handler_ms = await worker.run(
            invocation.request_id, invocation.event, limit_s, invocation.extra(), invocation.services
        )
        self._invocations += 1
        start = lease.start
        if start is None:
            timings = Timings(queued_ms=(began - arrived) * 1000, handler_ms=handler_ms)
        else:
            spent = start.worker_ms + start.load_ms + start.init_ms
            timings = Timings(
                queued_ms=max(0.0, (began - arrived) * 1000 - spent),
                worker_ms=start.worker_ms,
                load_ms=start.load_ms,
                init_ms=start.init_ms,
                handler_ms=handler_ms,
                cold_start=True,
            )
        logs, dropped = worker.logs.take(time.time_ns() // 1_000_000)
        return Report(outcome=outcome, timings=timings, logs=logs, dropped_log_lines=dropped)

    def _release(self, lease: Lease[Worker]) -> None:
        """Give a worker back: the one place where leases end."""
        if lease.worker.state is WorkerState.RESTING:
            lease.worker.on_ready = partial(self._take_back, lease)
        else:
            self._take_back(lease)

    def _take_back(self, lease: Lease[Worker]) -> None:
        worker = lease.worker
        worker.on_ready = None
        self._watchdog.leave(worker)
        if worker.state is WorkerState.IDLE and self._watchdog.is_nearly_full(worker):
            worker.end(KillReason.RETIRED)
        if worker.state is WorkerState.IDLE:
            self._assignment.offer(lease.group, worker)
        else:
            self._assignment.lost(lease.group, worker)

    def _start_worker(self, group: Group[Worker], request_id: str) -> None:
        self._supervisor.spawn(f"start-{group.code.name}", self._start_one(group, request_id), critical=False)

    async def _start_one(self, group: Group[Worker], request_id: str) -> None:
        """Make a worker for a version; whatever happens, assignment hears of it."""
        try:
            made = await self._workshop.specialised(group.code, request_id)
        except PlatformError as error:
            self._assignment.start_failed(group, error)
        except BaseException:
            self._assignment.start_failed(group, InternalError("starting a worker failed unexpectedly"))
            raise
        else:
            if isinstance(made, FailedStart):
                self._assignment.start_failed(group, made)
                return
            self._cold_starts += 1
            made.worker.group = group
            self._assignment.offer(group, made.worker, made.timings)

    def _worker_gone(self, worker: Worker) -> None:
        self._ends[str(worker.reason)] += 1
        self._watchdog.leave(worker)
        if worker.group is not None:
            self._assignment.lost(worker.group, worker)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._assignment.sweep(self._settings.idle_s)
            self._freeze_idle()
            self._watchdog.check_idle(self._assignment.workers())

    def _freeze_idle(self) -> None:
        """
        Stop workers that nobody has called for a moment: what a function leaves running runs in its calls only.

        A call that follows at once finds its worker running, so a busy function pays nothing. The runtime of the Neo
        convention prepares the next run between two of them, and nothing an author wrote outlives a run there.
        """
        if not self._settings.freeze_idle:
            return
        before = time.monotonic() - _FREEZE_AFTER_S
        stopped = 0
        for worker in self._assignment.workers():
            if worker.used_at <= before and worker.group.code.convention == Convention.LAMBDA:
                stopped += worker.freeze()
                if stopped == _FREEZE_AT_ONCE:
                    return
