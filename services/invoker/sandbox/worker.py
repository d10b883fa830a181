"""
One worker process as its supervisor sees it.

It owns the control socket, the log pipe, the pidfd and the slot of one sandbox, and turns what happens there
into values: a run ends in exactly one ``Outcome``. Nothing in here waits without a limit: starting, loading and
running each have one timer. A worker whose socket closes, that writes what is not a frame, or whose limit
passes is killed; ``on_gone`` is called once, when nothing of it is left.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.invoker.host_services.services import HostServices
from services.invoker.sandbox import memory
from services.invoker.sandbox.calls import RunCalls
from services.invoker.sandbox.channel import Channel, LogPipe
from services.invoker.sandbox.ends import HEAP_TEXT, how_it_ended, raised, told
from services.invoker.sandbox.frames import Frame, ProtocolError, encode
from services.invoker.sandbox.limits import WorkerLimits
from services.invoker.sandbox.logs import LogCollector
from services.invoker.sandbox.process import SandboxProcess
from services.invoker.sandbox.runtime_api import RuntimeApi
from services.invoker.sandbox.slots import OpenSlot
from services.invoker.sandbox.spawner import Spawner
from services.invoker.sandbox.states import KillReason, WorkerEvent, WorkerState, advance
from shared.domain.outcome import Crashed, Outcome, TimedOut

_REST_S = 0.5
"""How long a worker may be busy with what is left of a run that has been answered."""
_LINGER_S = 0.25
"""How long a worker that closed its socket may take to end by itself, so that its exit code is seen."""


class NotHandedOverError(Exception):
    """The worker was already dead: the event did not reach it, and may be given to another."""


@dataclass(slots=True)
class _Wait:
    """What the supervisor is waiting for, and how the end of the process is to be told."""

    future: "asyncio.Future[tuple[Outcome | None, float]]"
    request_id: str
    limit_s: float


class Worker:
    """One sandboxed process. Made by the pool, which also decides what becomes of it."""

    __slots__ = (
        "_calls", "_channel", "_kills_before", "_late", "_limits", "_log", "_loop", "_on_gone", "_rest", "_timer",
        "_wait", "checked_at", "group", "logs", "memory_mb", "on_ready", "process", "ran", "reason", "run_began",
        "runtime", "slot", "state", "used_at",
    )  # fmt: skip

    def __init__(
        self, spawner: Spawner, slot: OpenSlot, runtime: str, limits: WorkerLimits, on_gone: Callable[["Worker"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._on_gone = on_gone
        self.slot = slot
        self.runtime = runtime
        self.state = WorkerState.STARTING
        self.reason: KillReason | None = None
        self._late = ""
        self.group: Any = None
        """The pool's own note: the group of workers this one belongs to."""
        self.on_ready: Callable[[], None] | None = None
        """Called when a worker that was resting is ready for the next run."""
        self.memory_mb = 0
        self.ran = 0
        self.used_at = self.checked_at = self.run_began = 0.0
        self.logs = LogCollector(max_bytes=limits.log_bytes, max_line_bytes=limits.line_bytes)
        self._wait: _Wait | None = None
        self._calls: RunCalls | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._channel: Channel | RuntimeApi | None = None
        self._log: LogPipe | None = None
        self.process = SandboxProcess(spawner, on_listener=self._listens, on_started=self._started, on_gone=self._gone)
        self._kills_before = 0

    # Starting and loading.

    @property
    def pid(self) -> int:
        """The id of the sandbox's first process, 0 before there is one."""
        return self.process.pid

    @property
    def failure(self) -> str:
        """What the sandbox itself complained of when it did not start, if it did."""
        return self._late or self.process.failure

    async def start(self, request: Mapping[str, Any]) -> Outcome | None:
        """
        Start the sandbox and wait for its hello. Return None, or how it ended before.

        ``failure`` then holds what the sandbox itself complained of, if it did.
        """
        ours, theirs = socket.socketpair()
        self._channel = Channel(
            ours,
            self._limits.result_bytes,
            on_frame=self._take,
            on_nonsense=self._misbehaved,
            on_closed=self._hung_up,
        )
        with theirs:
            self._spawn(request, theirs.fileno())
        return (await self._until("", self._limits.start_s))[0]

    async def start_program(self, request: Mapping[str, Any], listener: socket.socket | None) -> Outcome | None:
        """
        Start a sandbox whose program speaks to the Runtime API; return None, or how it ended before it could.

        ``listener`` is where the API is served when the sandbox has no network of its own to serve it in.
        """
        api = RuntimeApi(self._limits.result_bytes, on_frame=self._take, on_nonsense=self._misbehaved)
        self._channel = api
        if listener is not None:
            uid = self.slot.slot.uid
            api.listen(listener, os.geteuid() if uid is None else uid)
        self.note_kills()
        self._spawn(request, None)
        outcome = (await self._until("", self._limits.start_s))[0]
        if outcome is None:
            await api.open()
        return outcome

    def _spawn(self, request: Mapping[str, Any], control: int | None) -> None:
        log, log_end = os.pipe2(os.O_CLOEXEC)
        self._log = LogPipe(log, self.logs)
        try:
            self.process.spawn(request, log_end, control)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(log_end)

    async def load(self, function: Mapping[str, Any], memory_mb: int, limit_s: float) -> tuple[Outcome | None, float]:
        """
        Give a stem cell its function; return None and the milliseconds it took, or how it failed.

        Raises:
            NotHandedOverError: the worker died before the function reached it.
        """
        program = isinstance(self._channel, RuntimeApi)  # it runs since it was started, and may have ended
        if program and self.state is WorkerState.GONE:
            return self._how_it_ended(), 0.0
        if self.state is not WorkerState.BLANK:
            raise NotHandedOverError
        self._move(WorkerEvent.LOAD)
        self.memory_mb = memory_mb
        if not program:
            self.note_kills()
        self.run_began = time.monotonic()
        self._hand_over(encode({"t": "load"}, orjson.dumps(function)))
        outcome, spent = await self._until("", limit_s)
        self._check_handed_over(outcome)
        return outcome, spent

    # Running.

    async def run(
        self,
        request_id: str,
        event: bytes,
        limit_s: float,
        extra: Mapping[str, Mapping[str, str]],
        services: HostServices | None = None,
    ) -> tuple[Outcome, float]:
        """
        Run one event; return its outcome and the milliseconds spent in the handler.

        Without ``services`` the run may not call its host.

        Raises:
            NotHandedOverError: the worker had died before the event reached it.
        """
        if self.state is not WorkerState.IDLE:  # it died between being chosen and being called
            raise NotHandedOverError
        self._move(WorkerEvent.RUN)
        self.process.thaw()
        self.run_began = time.monotonic()
        milliseconds = int(limit_s * 1000)
        if extra:
            frame = encode({"t": "run", "id": request_id, "ms": milliseconds, **extra}, event)
        else:
            head = f'{{"t":"run","id":"{request_id}","ms":{milliseconds},"n":{len(event)}}}\n'
            frame = head.encode() + event
        self._hand_over(frame)
        if services is not None and isinstance(self._channel, Channel):
            self._calls = RunCalls(services, self._channel, request_id)
        outcome, spent = await self._until(request_id, limit_s)
        assert outcome is not None
        self._check_handed_over(outcome)
        self.ran += 1
        return outcome, spent

    def _hand_over(self, frame: bytes) -> None:
        assert self._channel is not None
        try:
            self._channel.write(frame)
        except OSError as error:
            self.end(KillReason.EXITED)
            raise NotHandedOverError from error

    def _check_handed_over(self, outcome: Outcome | None) -> None:
        if self._channel is not None and self._channel.unread and isinstance(outcome, Crashed):
            raise NotHandedOverError

    async def _until(self, request_id: str, limit_s: float) -> tuple[Outcome | None, float]:
        """Wait for the answer to what was just sent; a caller that gives up takes the worker with it."""
        if self.state is WorkerState.GONE:
            return self._how_it_ended(), 0.0
        wait = self._wait = _Wait(self._loop.create_future(), request_id, limit_s)
        self._timer = self._loop.call_later(limit_s, self._expired)
        try:
            return await wait.future
        except asyncio.CancelledError:
            self._wait = None
            self.end(KillReason.ABANDONED)
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._calls is not None:
                self._calls.close()
                self._calls = None

    def _drain(self) -> None:
        if self._log is not None:
            self._log.drain()

    def _answer(self, outcome: Outcome | None, spent_ms: float) -> None:
        wait, self._wait = self._wait, None
        if wait is not None and not wait.future.done():
            wait.future.set_result((outcome, spent_ms))

    def _expired(self) -> None:
        self._timer = None
        wait = self._wait
        if wait is None:
            return
        starting = self.state is WorkerState.STARTING
        self._drain()
        if starting:
            self._late = f"no hello within {wait.limit_s:g} s"
        self._answer(TimedOut(limit_s=wait.limit_s), (time.monotonic() - self.run_began) * 1000)
        self.end(KillReason.NOT_STARTED if starting else KillReason.TIMED_OUT)

    # What the worker says.

    def _take(self, frame: Frame) -> None:
        kind, state = frame.type, self.state
        if state is WorkerState.BUSY and kind in {"done", "raised", "large"}:
            self._ended_run(frame)
        elif state is WorkerState.BUSY and kind == "call" and self._calls is not None:
            self._calls.take(frame)
        elif state is WorkerState.RESTING and kind == "ready":
            self._ready()
        elif state is WorkerState.STARTING and kind == "hello":
            self._move(WorkerEvent.HELLO)
            self._answer(None, 0.0)
        elif state is WorkerState.LOADING and kind == "loaded":
            self._move(WorkerEvent.LOADED)
            self._answer(None, float(frame.header["ms"]))
        elif state is WorkerState.LOADING and kind == "raised":
            self._drain()
            self._answer(raised(frame.body), float(frame.header["ms"]))
            self.end(KillReason.EXITED)
        elif state not in {WorkerState.ENDING, WorkerState.GONE}:
            raise ProtocolError(f"{kind} in state {state}")

    def _ended_run(self, frame: Frame) -> None:
        wait, header = self._wait, frame.header
        if wait is None or header["id"] != wait.request_id:
            raise ProtocolError("an answer to another request")
        outcome, spent = told(frame, self._limits.result_bytes), float(header["ms"])
        self._drain()
        if "r" in header:
            self._move(WorkerEvent.ANSWERED)
            self._rest = self._loop.call_later(_REST_S, self.end, KillReason.RESTLESS)
        else:
            self._move(WorkerEvent.ENDED_RUN)
        self._answer(outcome, spent)
        if "end" in header:
            self.end(KillReason.EXITED)

    def _ready(self) -> None:
        """Nothing of the last run goes on, and the next may come."""
        assert self._rest is not None
        self._rest.cancel()
        self._move(WorkerEvent.ENDED_RUN)
        if self.on_ready is not None:
            self.on_ready()

    def _misbehaved(self) -> None:
        """User code can write to the socket; whatever is not ours to expect costs it its process."""
        self._drain()
        self._answer(Crashed(signal=signal.SIGKILL), (time.monotonic() - self.run_began) * 1000)
        self.end(KillReason.PROTOCOL)

    def _hung_up(self) -> None:
        """The process closed its end: it is about to be gone, or tries to live on without us."""
        if self.state in {WorkerState.BLANK, WorkerState.IDLE, WorkerState.RESTING}:
            self.end(KillReason.EXITED)
        elif self.state not in {WorkerState.ENDING, WorkerState.GONE}:
            self._loop.call_later(_LINGER_S, self.end, KillReason.EXITED)

    # How it ends.

    def end(self, reason: KillReason) -> None:
        """Kill everything in the sandbox. Its slot comes back through ``on_gone``."""
        if self.state in {WorkerState.ENDING, WorkerState.GONE}:
            return
        self.reason = reason
        self._move(WorkerEvent.END)
        self.process.kill()

    def _listens(self, listener: socket.socket) -> None:
        """The sandbox's network has a place for the Runtime API."""
        assert isinstance(self._channel, RuntimeApi)
        self._channel.listen(listener)

    def _started(self) -> None:
        if isinstance(self._channel, RuntimeApi):
            self._take(Frame("hello", {}, b""))  # what more it has to say, it says by asking

    def _gone(self) -> None:
        if self._log is not None:
            self._log.drain(self._limits.log_bytes)
        if self.reason is None:
            self.reason = KillReason.EXITED
        self._move(WorkerEvent.EXITED)
        self._close()
        self._answer(self._how_it_ended(), (time.monotonic() - self.run_began) * 1000)
        self._on_gone(self)

    def _how_it_ended(self) -> Outcome:
        killed = self.slot.group is not None and self.slot.group.oom_kills() > self._kills_before
        heap_full = self.logs.mentions(HEAP_TEXT)
        return how_it_ended(self.process.exit_code, out_of_memory=killed, heap_full=heap_full, memory_mb=self.memory_mb)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._log is not None:
            self._log.close()
        self.process.close()

    # Memory.

    def memory_bytes(self) -> int:
        """Return the anonymous memory of everything in the sandbox."""
        if self.slot.group is not None:
            return self.slot.group.anonymous_bytes()
        return memory.anonymous_of_tree(self.pid)

    def cut_off(self, outcome: Outcome, reason: KillReason) -> None:
        """Kill it; the run in progress, if there is one, ends with this outcome."""
        self._drain()
        self._answer(outcome, (time.monotonic() - self.run_began) * 1000)
        self.end(reason)

    def freeze(self) -> bool:
        """Stop everything in the sandbox until the next run; tell whether there was anything to do."""
        return self.state is WorkerState.IDLE and self.process.freeze()

    def note_kills(self) -> None:
        """Take note of the kernel's count of kills, so that only later ones explain an end."""
        if self.slot.group is not None:
            self._kills_before = self.slot.group.oom_kills()

    def _move(self, event: WorkerEvent) -> None:
        self.state = advance(self.state, event)
