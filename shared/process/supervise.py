"""
How a service lives: its background tasks are owned and watched, signals end it in order.

``Supervisor`` owns tasks by name. A critical task that raises stops the service with its error; any other
failure is logged. Closing cancels what still runs and awaits it, to a deadline. This is the only module that
creates tasks outside an ``asyncio.TaskGroup``.

``serve`` runs one service from nothing to gone::

    build ─▶ run until SIGTERM/SIGINT or a critical task dies ─▶ drain ─▶ close what build opened, last first

The first signal drains; a second one cuts the drain short and closes at once; a third one ends the process.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
import uvloop

_log = structlog.get_logger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CANCEL_S = 5.0


class CannotStartError(Exception):
    """The machine or a backend does not give what a service needs; the text says what and what to do."""


class TaskDiedError(Exception):
    """A critical background task failed; its error is the cause."""


class Supervisor:
    """
    The owner of background tasks; an async context manager.

    Use a ``child`` for a part that closes before the rest: its critical failures are those of its parent too.
    """

    def __init__(self, *, close_timeout_s: float = 10.0, parent: "Supervisor | None" = None) -> None:
        self._close_timeout_s = close_timeout_s
        self._parent = parent
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: TaskDiedError | None = None
        self._ended = asyncio.Event()
        self._closed = False

    def child(self) -> "Supervisor":
        """Return a supervisor that is closed on its own but fails with this one."""
        return Supervisor(close_timeout_s=self._close_timeout_s, parent=self)

    def spawn(self, name: str, work: Coroutine[Any, Any, None], *, critical: bool = True) -> asyncio.Task[None]:
        """
        Run ``work`` in the background.

        If it raises, a ``critical`` one stops the service; another is logged. Returning is always fine.
        """
        if self._closed:
            work.close()
            raise RuntimeError(f"cannot start task {name!r}: its supervisor is closed")
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._critical_done if critical else self._done)
        return task

    def running(self) -> list[str]:
        """Return the names of the tasks that still run, sorted."""
        return sorted(task.get_name() for task in self._tasks)

    def stop(self) -> None:
        """Ask for the end: ``wait`` returns."""
        self._ended.set()

    async def wait(self) -> None:
        """
        Wait until ``stop`` is called.

        Raises:
            TaskDiedError: a critical task failed.
        """
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Cancel what runs and await it, to the deadline. What will not stop by then is logged and left."""
        self._closed = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=self._close_timeout_s)
        for task in pending:
            _log.error("task_would_not_stop", task=task.get_name(), waited_s=self._close_timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _critical_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(task.get_name(), error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", task=task.get_name(), exc_info=error)

    def _fail(self, name: str, error: BaseException) -> None:
        if self._parent is not None:
            self._parent._fail(name, error)  # noqa: SLF001 - the same class
        if self._failure is None:
            self._failure = TaskDiedError(f"background task {name!r} failed: {type(error).__name__}: {error}")
            self._failure.__cause__ = error
        else:
            _log.error("task_failed", task=name, exc_info=error)
        self._ended.set()


class Service(Protocol):
    """What ``build`` returns: a running service."""

    async def drain(self) -> None:
        """
        Take nothing new and finish what is held.

        Readiness off, consumers cancelled, in-flight work awaited, outgoing events flushed. Cancelled at the
        drain deadline. Closing connections and processes is not its job: the exit stack does that next.
        """


Build = Callable[[AsyncExitStack, Supervisor], Awaitable[Service]]


def serve(build: Build, *, drain_s: float = 30.0, close_s: float = 20.0) -> int:
    """
    Run a service under uvloop until it is told to stop or a critical task dies; return the exit code.

    ``build`` opens everything it needs on the stack and returns when the service is ready. A signal during
    ``build`` cancels it, and what it had opened is closed. Start-up errors of ``build`` are raised to the caller.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(build, drain_s=drain_s, close_s=close_s))


async def _live(build: Build, *, drain_s: float, close_s: float) -> int:
    signals = _Signals()
    signals.install()
    stack = AsyncExitStack()
    supervisor = await stack.enter_async_context(Supervisor())
    try:
        return await _run(build, stack, supervisor, signals, drain_s=drain_s)
    finally:
        try:
            async with asyncio.timeout(close_s):
                await stack.aclose()
        except TimeoutError:
            _log.error("close_timed_out", after_s=close_s)
        _log.info("service_stopped")
        signals.remove()


async def _run(
    build: Build, stack: AsyncExitStack, supervisor: Supervisor, signals: "_Signals", *, drain_s: float
) -> int:
    building = asyncio.create_task(_build(build, stack, supervisor), name="build")
    signals.on_first(building.cancel)
    await asyncio.wait({building})
    if building.cancelled():
        return 0
    service = building.result()
    signals.on_first(supervisor.stop)
    _log.info("service_started")
    code = 0
    try:
        await supervisor.wait()
    except TaskDiedError as error:
        _log.error("service_failed", exc_info=error)
        code = 1
    await _drain(service, signals, drain_s=drain_s)
    return code


async def _build(build: Build, stack: AsyncExitStack, supervisor: Supervisor) -> Service:
    return await build(stack, supervisor)


async def _drain(service: Service, signals: "_Signals", *, drain_s: float) -> None:
    _log.info("service_draining", deadline_s=drain_s)
    draining = asyncio.create_task(_drained(service), name="drain")
    signals.on_second(draining.cancel)
    _, pending = await asyncio.wait({draining}, timeout=drain_s)
    if pending:
        _log.warning("drain_cut_short", after_s=drain_s)
        draining.cancel()
        _, pending = await asyncio.wait({draining}, timeout=_CANCEL_S)
    if pending:
        _log.error("drain_would_not_stop", waited_s=_CANCEL_S)
    elif not draining.cancelled() and (error := draining.exception()) is not None:
        _log.error("drain_failed", exc_info=error)


async def _drained(service: Service) -> None:
    await service.drain()


class _Signals:
    """Counts SIGTERM and SIGINT; the third has its usual effect again."""

    def __init__(self) -> None:
        self._count = 0
        self._first: Callable[[], object] = _nothing
        self._second: Callable[[], object] = _nothing

    def install(self) -> None:
        for each in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(each, self._received, each)

    def remove(self) -> None:
        for each in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(each)

    def on_first(self, act: Callable[[], object]) -> None:
        self._first = act
        if self._count:
            act()

    def on_second(self, act: Callable[[], object]) -> None:
        self._second = act
        if self._count > 1:
            act()

    def _received(self, which: signal.Signals) -> None:
        self._count += 1
        _log.info("signal_received", signal=which.name, count=self._count)
        if self._count == 1:
            self._first()
        else:
            self._second()
            self.remove()


def _nothing() -> None:
    """Before there is anything to stop."""
