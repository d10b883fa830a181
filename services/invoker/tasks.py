"""
Tasks: taken in turn, run once, settled once, tried again where their function wants it.

The row is the queue and the truth. A claim gives this invoker a lease that outlives any time limit; only its
holder may settle it. What was cut off is never started again: the keeper settles it. What cannot be run here and
now (no worker, a backend away, this invoker is leaving) goes back to the queue before the event has reached any worker.

The function is the one that bears the task's name when it begins; without one, or disabled, the task fails and is
not tried again: only what the function did can be worth another try (docs/adr/0016).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from services.invoker.executions import SETTLE_S, WAIT_FOR_WORKER_S, refusal
from services.invoker.invoke import Invoker
from shared.database import functions, task_queue, tasks
from shared.database.group_commit import GroupCommit
from shared.database.pool import Database
from shared.database.tasks import Retry, TaskSettlement
from shared.domain.errors import (
    FunctionNotFoundError,
    IllegalStateError,
    InternalError,
    PlatformError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.ids import new_record_id
from shared.domain.outcome import Failure, Report, failure_of
from shared.domain.task import RETRY_PAUSES_S, Task
from shared.domain.task_object import task_event
from shared.messages.messages import LogLinesWritten, Record
from shared.process.settings import LONGEST_TIMEOUT_S
from shared.process.supervise import Supervisor

T = TypeVar("T")

LEASE_S = WAIT_FOR_WORKER_S + LONGEST_TIMEOUT_S + SETTLE_S
"""As long as waiting, the longest run there may be, and settling may take together."""
PUT_OFF_S = 1.0
"""A task there is no place for keeps its turn for so long before it goes back: taking it up again at once is vain."""
GIVE_BACK_S = 2.0
"""Who leaves tries for so long to give back what has not begun; then the keeper of another invoker settles it."""
_PAUSE_S = 0.25
_NOT_RETRIED = frozenset({"refused", "interrupted"})
"""Kinds of failures that tell nothing of what the function does."""

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """How many queued tasks run at once: ``at_once`` of one environment over all invokers, ``held`` here."""

    at_once: int
    held: int


@dataclass(slots=True, kw_only=True)
class _Held:
    """A task in hand; ``waits`` while its run can be called off, since nothing has seen its event."""

    task: Task
    work: asyncio.Task[None] | None = None
    waits: bool = False

    def started(self) -> None:
        self.waits = False


class TaskRunner:
    """
    Runs queued tasks for one invoker, known to the keeper as ``holder``.

    ``on_end`` is called whenever a place becomes free. ``give_back_lost`` and ``take`` are called by one loop, never
    two at a time; after ``stop`` nothing more is begun.
    """

    def __init__(
        self,
        db: Database,
        invoker: Invoker,
        record: Callable[[Record], None],
        limits: TaskLimits,
        *,
        holder: str,
        on_end: Callable[[], None],
    ) -> None:
        self._db = db
        self._invoker = invoker
        self._record = record
        self._limits = limits
        self._holder = holder
        self._on_end = on_end
        # By run, not by task: one that goes back to the queue may be claimed again before its first claim is done with.
        self._held: dict[str, _Held] = {}
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._claim_lost = False
        self._runs = Supervisor()
        self._settlements: GroupCommit[TaskSettlement, Task | None] = GroupCommit(lambda rows: tasks.settle(db, rows))

    async def give_back_lost(self) -> None:
        """Release what a claim took whose answer was lost: it is ours in the database, and nothing here runs it."""
        if self._claim_lost:
            lost = await task_queue.release_all_but(self._db, self._holder, sorted(self._held))
            self._claim_lost = False
            if lost:
                logger.warning("tasks_released", task_ids=lost)

    async def take(self) -> int:
        """Claim the tasks whose turn it is and begin them; return how many."""
        room = self._limits.held - len(self._held)
        if room <= 0:
            return 0
        self._claim_lost = True
        claimed = await task_queue.claim(
            self._db, holder=self._holder, lease_s=LEASE_S, at_once=self._limits.at_once, limit=room
        )
        self._claim_lost = False
        give_up_at = time.monotonic() + LEASE_S
        for task in claimed:
            held = self._held[_run_id(task)] = _Held(task=task)
            self._idle.clear()
            held.work = self._runs.spawn(f"task-{task.id}", self._run_held(held, give_up_at), critical=False)
        return len(claimed)

    def stop(self) -> None:
        """Begin nothing more: what waits for a worker goes back to the queue, and so does what is being claimed."""
        self._stopping = True
        for held in self._held.values():
            if held.waits and held.work is not None:
                held.work.cancel()

    async def drained(self) -> None:
        """Wait until nothing is running, and nothing is claimed and not run; the caller bounds it."""
        await _written(self.give_back_lost, time.monotonic() + LEASE_S)
        await self._idle.wait()

    async def close(self) -> None:
        """Leave what still runs to the keeper of another invoker."""
        self._stopping = True
        await self._runs.close()
        await self._settlements.close()

    async def _run_held(self, held: _Held, give_up_at: float) -> None:
        task = held.task
        try:
            settlement = None
            if not self._stopping:
                held.waits = True
                settlement = await self._run(held)
            if settlement is not None:
                held.waits = False
                self._tell(await _written(lambda: self._settlements.submit(settlement), give_up_at), task)
                return
            if not self._stopping:
                logger.info("task_put_off", task_id=task.id, function_name=task.function_name)
                await asyncio.sleep(PUT_OFF_S)
            held.waits = False
            await self._release(task, give_up_at)
        except asyncio.CancelledError:
            if held.waits:
                with suppress(UnavailableError):
                    await self._release(task, time.monotonic() + GIVE_BACK_S)
            raise
        finally:
            del self._held[_run_id(task)]
            if not self._held:
                self._idle.set()
            self._on_end()

    async def _release(self, task: Task, give_up_at: float) -> None:
        await _written(lambda: task_queue.release(self._db, self._holder, [_run_id(task)]), give_up_at)

    async def _run(self, held: _Held) -> TaskSettlement | None:
        """Run; None when nothing was started and another time may be better."""
        task = held.task
        try:
            function = await self._runnable(task)
            report = await self._invoker.run(
                function,
                ExecutionKind.TASK,
                _run_id(task),
                task_event(task),
                deadline_s=function.version.spec.timeout_s,
                wait_s=WAIT_FOR_WORKER_S,
                on_start=held.started,
            )
        except (ThrottledError, UnavailableError):
            held.waits = True
            return None
        except PlatformError as error:
            return TaskSettlement(id=task.id, holder=self._holder, failure=refusal(error))
        except Exception:
            logger.exception("run_of_task_failed_unexpectedly", task_id=task.id)
            bug = InternalError("the invoker failed unexpectedly", incident=task.id)
            return TaskSettlement(id=task.id, holder=self._holder, failure=refusal(bug))
        if report.logs:
            self._record(LogLinesWritten(record_id=_run_id(task), first_number=0, lines=report.logs))
        return self._settlement(task, function, report)

    async def _runnable(self, task: Task) -> Function:
        # Read, not remembered: a task may begin right after its function was enabled or replaced.
        function = await functions.find_by_name(self._db, task.environment_id, task.function_name)
        if function is None:
            raise FunctionNotFoundError("no such function")
        if not function.enabled:
            raise IllegalStateError("the function is disabled")
        return function

    def _settlement(self, task: Task, function: Function, report: Report) -> TaskSettlement:
        failure = failure_of(report.outcome)
        return TaskSettlement(
            id=task.id,
            holder=self._holder,
            failure=failure,
            retry=None if failure is None else retry_of(task, function, failure),
            duration_ms=report.timings.init_ms + report.timings.handler_ms,
            timings=report.timings,
            log_lines=len(report.logs),
            dropped_log_lines=report.dropped_log_lines,
        )

    def _tell(self, settled: Task | None, task: Task) -> None:
        if settled is None:
            logger.warning("task_lease_lost", task_id=task.id)
        elif settled.failure is not None:
            logger.info(
                "run_of_task_failed",
                task_id=task.id,
                function_name=task.function_name,
                error=settled.failure.name,
                retried_by=settled.retried_by,
            )


def retry_of(task: Task, function: Function, failure: Failure) -> Retry | None:
    """Return the task that takes the place of a failed one; None when that was the last try."""
    policy, tries = function.retry_policy, len(task.retry_for)
    if not policy.enabled or failure.kind in _NOT_RETRIED or tries >= len(RETRY_PAUSES_S):
        return None
    if policy.errors_to_retry and failure.name not in policy.errors_to_retry:
        return None
    return Retry(id=new_record_id(), pause_s=RETRY_PAUSES_S[tries])


def _run_id(task: Task) -> str:
    assert task.run_id is not None  # the claim made it
    return task.run_id


async def _written(write: Callable[[], Awaitable[T]], give_up_at: float) -> T:
    """Write, for as long as the lease lasts while the database is away; past it the keeper settles the row."""
    while True:
        try:
            return await write()
        except UnavailableError:
            if time.monotonic() >= give_up_at:
                raise
        await asyncio.sleep(_PAUSE_S)
