"""
The invoker's side of the spawner process.

``Spawner`` starts the process, sends it requests and hands each sandbox's news (started, exited, failed) to
whoever asked for that sandbox. When the spawner dies every sandbox dies with it; each gets an ``exited`` then,
and ``on_lost`` is called once: nothing is left of them by then. How the spawner works is told in
``spawner_process.py``, how nothing is left in ``guard.py``.
"""

import asyncio
import collections
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

_REPOSITORY = Path(__file__).resolve().parents[3]
_MAX_MESSAGE = 192 * 1024
_STOP_S = 5.0
_TRY_S = 10.0
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop()); from services.invoker.sandbox.spawner_process import main; main()"
)


_SHOW = """
import sys
sys.path.insert(0, sys.argv.pop())
from services.invoker.sandbox import kernel
try:
    kernel.show_directory_at(*sys.argv[1:])
except OSError as error:
    sys.exit(error.strerror)
"""


class RequestTooLargeError(Exception):
    """The variables a sandbox needs at its start do not fit one message."""


class Watcher(Protocol):
    """Hears of one sandbox."""

    def sandbox_listens(self, listener: int) -> None:
        """Own ``listener`` from now on: a socket on its own loopback interface; heard before it has started."""

    def sandbox_started(self, pidfd: int, pid: int) -> None:
        """Own ``pidfd`` from now on: the first process of the sandbox (host id ``pid``)."""

    def sandbox_failed(self, reason: str) -> None:
        """It could not be set up; it is being killed, and ``sandbox_exited`` follows."""

    def sandbox_exited(self, code: int) -> None:
        """It is gone; negative ``code`` is a signal's number."""


class Spawner:
    """One spawner process; start it once, close it once."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._watchers: dict[int, Watcher] = {}
        self._unsent: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self._last_id = 0
        self.lost = False
        """Whether it died by itself."""

    @property
    def pid(self) -> int:
        """The id of its guard, the process we started; 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    def start(self, *, show: tuple[Path, Path] | None = None) -> None:
        """Start the process; ``show`` names a directory and the reachable place to bind it at."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _MAX_MESSAGE)
        command = [sys.executable, "-I", "-S", "-c", _BOOT, str(theirs.fileno())]
        if show is not None:
            command += [str(show[0]), str(show[1])]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(_REPOSITORY)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={},
                cwd="/",
            )
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive)

    def spawn(self, request: dict[str, Any], log: int, control: int | None, watcher: Watcher) -> int:
        """
        Ask for a sandbox; the descriptors stay the caller's to close. Return its id.

        Raises:
            RequestTooLargeError: the request does not fit a message.
            ConnectionError: there is no spawner.
        """
        self._last_id += 1
        message = json.dumps({**request, "id": self._last_id}).encode()
        if len(message) > _MAX_MESSAGE:
            raise RequestTooLargeError(f"{len(message)} bytes, at most {_MAX_MESSAGE}")
        self._send(message, [log] if control is None else [log, control])
        self._watchers[self._last_id] = watcher
        return self._last_id

    def kill(self, sandbox: int) -> None:
        """Kill a sandbox that has not said who it is yet."""
        if self._socket is not None and sandbox in self._watchers:
            self._send(json.dumps({"op": "kill", "id": sandbox}).encode(), [])

    async def close(self) -> None:
        """Close the socket and wait for the process, which kills what is left; kill it if it does not leave."""
        self._disconnect()
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_wait, process)

    def _send(self, message: bytes, descriptors: list[int]) -> None:
        if self._socket is None:
            raise ConnectionError("the spawner process is gone")
        if not self._unsent:
            try:
                socket.send_fds(self._socket, [message], descriptors)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._socket.fileno(), self._send_rest)
            else:
                return
        self._unsent.append((message, [os.dup(each) for each in descriptors]))

    def _send_rest(self) -> None:
        assert self._socket is not None
        while self._unsent:
            message, descriptors = self._unsent[0]
            try:
                socket.send_fds(self._socket, [message], descriptors)
            except BlockingIOError:
                return
            self._unsent.popleft()
            for each in descriptors:
                os.close(each)
        asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 4)
        except BlockingIOError:
            return
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            self._lost()
            return
        news = json.loads(data)
        watcher = self._watchers.get(news["id"])
        if watcher is None:
            for each in descriptors:
                os.close(each)
        elif news["op"] == "listening":
            watcher.sandbox_listens(descriptors[0])
        elif news["op"] == "started":
            watcher.sandbox_started(descriptors[0], news["pid"])
        elif news["op"] == "failed":
            watcher.sandbox_failed(news["error"])
            if not news["ran"]:
                del self._watchers[news["id"]]
                watcher.sandbox_exited(-signal.SIGKILL)
        else:
            del self._watchers[news["id"]]
            watcher.sandbox_exited(news["status"])

    def _lost(self) -> None:
        self.lost = True
        self._disconnect()
        watchers, self._watchers = list(self._watchers.values()), {}
        for watcher in watchers:
            watcher.sandbox_exited(-signal.SIGKILL)
        self._on_lost()

    def _disconnect(self) -> None:
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._socket = None
        while self._unsent:
            for each in self._unsent.popleft()[1]:
                os.close(each)


def why_not_shown(directory: Path, place: Path) -> str:
    """Try what ``Spawner.start`` does with its ``show``; return why it would fail, empty when it would not."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SHOW, str(directory), str(place), str(_REPOSITORY)],
        capture_output=True,
        text=True,
        timeout=_TRY_S,
        check=False,
        env={},
    )
    return done.stderr.strip()


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_S)
