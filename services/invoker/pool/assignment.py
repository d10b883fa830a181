"""
Which worker serves which call: the rules, and nothing that touches a process.

A call takes an idle worker of its version. If its version has none at all one is started at once. If all are
busy the call waits; every call that has waited longer than the patience lets one more worker be started, up to
the caps. At the cap calls wait in order of arrival.

When the cap of all workers is reached, a version that has no worker gets the place of the idle worker used
longest ago, or of the next one to be free. A version that has some gets more only from workers that have been
idle for a while or from a version that has more: versions must not take turns in starting anew.

Starting and ending workers is left to the callbacks; ``offer``, ``start_failed`` and ``lost`` bring the news.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from services.invoker.pool.function import FunctionCode
from services.invoker.sandbox.states import KillReason, WorkerState
from shared.domain.errors import PlatformError, ThrottledError
from shared.domain.outcome import LogLine, Outcome, Timings

_GRACE_S = 0.05
"""A worker whose own version has calls waiting is only taken for another's that waited longer by this."""
_SETTLED_S = 2.0
"""For one more worker of a version that has some, only a worker that has been idle for so long makes room."""
_REBALANCE_S = 1.0
"""... or, where a version has more, one for a call that has waited longer than that version's by this."""
_FORGET_S = 1.0


class Seat(Protocol):
    """A worker, as far as assignment is concerned."""

    state: WorkerState
    used_at: float

    def end(self, reason: KillReason) -> None:
        """Kill it."""


S = TypeVar("S", bound=Seat)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStart:
    """A worker that was started for a call could not load the function: that is the call's outcome."""

    outcome: Outcome
    timings: Timings
    logs: tuple[LogLine, ...] = ()
    dropped: int = 0


@dataclass(slots=True)
class Lease(Generic[S]):
    """One worker for one call; given back once, in one place."""

    worker: S
    group: "Group[S]"
    start: Timings | None = None
    """How long it took to start, for the call it was started for."""


@dataclass(slots=True, eq=False)
class _Waiter(Generic[S]):
    since: float
    request_id: str
    future: "asyncio.Future[Lease[S] | FailedStart]"


@dataclass(slots=True, eq=False)
class Group(Generic[S]):
    """The workers of one version."""

    code: FunctionCode
    cap: int
    idle: list[S] = field(default_factory=list)
    workers: set[S] = field(default_factory=set)
    starting: int = 0
    waiters: "deque[_Waiter[S]]" = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None
    forgotten_at: float | None = None

    @property
    def size(self) -> int:
        return len(self.workers) + self.starting

    def waits_since(self) -> float:
        """Return since when its oldest call has been waiting."""
        return self.waiters[0].since if self.waiters else float("inf")


class Assignment(Generic[S]):
    """The workers and the waiting calls of one invoker."""

    def __init__(
        self,
        *,
        max_workers: int,
        max_per_function: int,
        patience_s: float,
        start: Callable[[Group[S], str], None],
        retire: Callable[[S, KillReason], None],
    ) -> None:
        self._max_workers = max_workers
        self._max_per_function = max_per_function
        self._patience_s = patience_s
        self._start = start
        self._retire = retire
        self._groups: dict[str, Group[S]] = {}
        self._starved: dict[Group[S], None] = {}
        self.size = 0
        """Workers that hold a function or are being given one."""
        self.waiting = 0

    def take(self, code: FunctionCode) -> Lease[S] | None:
        """Return an idle worker of this version, None when there is none."""
        group = self._groups.get(code.version_id)
        if group is None:
            return None
        group.forgotten_at = None
        while group.idle:
            worker = group.idle.pop()
            if worker.state is WorkerState.IDLE:
                return Lease(worker, group)
            self.lost(group, worker)
        return None

    async def wait(self, code: FunctionCode, request_id: str, deadline_s: float) -> Lease[S] | FailedStart:
        """
        Wait for a worker, at most ``deadline_s``.

        Raises:
            ThrottledError: none became free in time.
            PlatformError: the one started for this call could not be.
        """
        group = self._groups.get(code.version_id)
        if group is None:
            cap = min(code.max_workers or self._max_per_function, self._max_workers)
            group = self._groups[code.version_id] = Group(code=code, cap=cap)
        waiter: _Waiter[S] = _Waiter(time.monotonic(), request_id, asyncio.get_running_loop().create_future())
        group.waiters.append(waiter)
        self.waiting += 1
        timer = asyncio.get_running_loop().call_later(deadline_s, _expire, waiter, group.cap)
        given: Lease[S] | FailedStart | None = None
        try:
            self._call_for_more(group)
            given = await waiter.future
        finally:
            timer.cancel()
            self.waiting -= 1
            self._leave(group, waiter, given)
        return given

    def offer(self, group: Group[S], worker: S, start: Timings | None = None) -> None:
        """Take a worker that is idle now: to the call that waits longest, else to the idle ones."""
        if start is not None:
            group.starting -= 1
            group.workers.add(worker)
        if any(other.waiters for other in self._starved) and self._makes_room(group):
            self.lost(group, worker)
            self._retire(worker, KillReason.EVICTED)
            return
        while group.waiters:
            waiter = group.waiters.popleft()
            if not waiter.future.done():
                waiter.future.set_result(Lease(worker, group, start))
                return
        worker.used_at = time.monotonic()
        group.idle.append(worker)

    def start_failed(self, group: Group[S], failure: FailedStart | PlatformError) -> None:
        """Take note that a start came to nothing; the call that waits longest is told."""
        group.starting -= 1
        self.size -= 1
        while group.waiters:
            waiter = group.waiters.popleft()
            if not waiter.future.done():
                if isinstance(failure, PlatformError):
                    waiter.future.set_exception(failure)
                else:
                    waiter.future.set_result(failure)
                break
        self._after_loss(group)

    def lost(self, group: Group[S], worker: S) -> None:
        """Take note that a worker serves no more; safe to say twice."""
        if worker not in group.workers:
            return
        group.workers.discard(worker)
        if worker in group.idle:
            group.idle.remove(worker)
        self.size -= 1
        self._after_loss(group)

    def forget(self, function_id: str) -> None:
        """Let the idle workers of a function go soon, unless their version is called again before."""
        now = time.monotonic()
        for group in self._groups.values():
            if group.code.function_id == function_id:
                group.forgotten_at = now

    def sweep(self, idle_s: float) -> None:
        """End workers that have been idle too long or whose version was forgotten."""
        now = time.monotonic()
        for group in list(self._groups.values()):
            stale = group.forgotten_at is not None and now - group.forgotten_at >= _FORGET_S
            for worker in list(group.idle):
                if stale or now - worker.used_at >= idle_s:
                    self.lost(group, worker)
                    self._retire(worker, KillReason.STALE if stale else KillReason.IDLE)

    def workers(self) -> list[S]:
        """Return all workers that hold a function."""
        return [worker for group in self._groups.values() for worker in group.workers]

    def abort(self, error: PlatformError, function_id: str | None = None) -> None:
        """Tell every waiting call, or those of one function, that there will be no worker."""
        for group in self._groups.values():
            if function_id is not None and group.code.function_id != function_id:
                continue
            for waiter in group.waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(error)

    def _leave(self, group: Group[S], waiter: _Waiter[S], given: Lease[S] | FailedStart | None) -> None:
        """A call stops waiting. If a worker was given to it in the very moment it left, it is given on."""
        if waiter in group.waiters:
            group.waiters.remove(waiter)
        future = waiter.future
        if given is None and future.done() and not future.cancelled() and future.exception() is None:
            left = future.result()
            if isinstance(left, Lease):
                self.offer(group, left.worker)
        self._tidy(group)

    def _call_for_more(self, group: Group[S]) -> None:
        """Start a worker at once for a version that has none; else look again when patience is over."""
        if group.size == 0:
            self._grow(group)
        elif group.timer is None and group.size < group.cap:
            group.timer = asyncio.get_running_loop().call_later(self._patience_s, self._patience_over, group)

    def _patience_over(self, group: Group[S]) -> None:
        group.timer = None
        overdue = time.monotonic() - self._patience_s
        impatient = sum(1 for waiter in group.waiters if waiter.since <= overdue)
        for _ in range(impatient - group.starting):
            if not self._grow(group):
                break
        if group.waiters:
            self._call_for_more(group)

    def _grow(self, group: Group[S]) -> bool:
        """Start one more worker of a version if the caps allow; make room if need be."""
        if group.size >= group.cap:
            return False
        if self.size >= self._max_workers and not self._evict(0.0 if group.size == 0 else _SETTLED_S):
            self._starved[group] = None
            return False
        self._starved.pop(group, None)
        group.starting += 1
        self.size += 1
        self._start(group, group.waiters[0].request_id if group.waiters else "")
        return True

    def _evict(self, idle_s: float) -> bool:
        """End the idle worker used longest ago; False when none has been idle for so long."""
        before = time.monotonic() - idle_s
        idle = [
            (worker.used_at, group, worker)
            for group in self._groups.values()
            for worker in group.idle
            if worker.used_at <= before
        ]
        if not idle:
            return False
        _, group, worker = min(idle, key=lambda each: each[0])
        group.idle.remove(worker)
        group.workers.discard(worker)
        self.size -= 1
        self._retire(worker, KillReason.EVICTED)
        self._tidy(group)
        return True

    def _makes_room(self, group: Group[S]) -> bool:
        """Tell whether a worker of ``group`` that is free now must go for another version."""
        now = time.monotonic()
        own = group.waits_since()
        for other in self._starved:
            since = other.waits_since()
            if other.size == 0:
                # One of several is given to a version that has none; a last one only to a call that waits longer.
                due = now if not group.waiters or len(group.workers) > 1 else own
                if since + (_GRACE_S if group.waiters else 0.0) < due:
                    return True
            elif len(group.workers) > other.size + 1 and since + _REBALANCE_S < min(own, now):
                return True
        return False

    def _after_loss(self, group: Group[S]) -> None:
        """There is room for one more: the version that waits longest gets it."""
        for starved in sorted(self._starved, key=lambda each: (each.size > 0, each.waits_since())):
            if self.size >= self._max_workers:
                break
            if starved.waiters:
                self._grow(starved)
            else:
                self._starved.pop(starved)
        if group.waiters:
            self._call_for_more(group)
        self._tidy(group)

    def _tidy(self, group: Group[S]) -> None:
        if group.waiters:
            return
        self._starved.pop(group, None)
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        if group.size == 0 and self._groups.get(group.code.version_id) is group:
            del self._groups[group.code.version_id]


def _expire(waiter: _Waiter[S], limit: int) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(ThrottledError("no worker became free before the deadline", limit=limit))
