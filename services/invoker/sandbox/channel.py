"""
The two pipes between a worker and its supervisor: the control socket and the log.

``Channel`` carries frames, ``LogPipe`` what the worker wrote to its standard output and error. Neither ever
blocks, and closing twice is fine.
"""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable

from services.invoker.sandbox.frames import Frame, FrameReader, ProtocolError
from services.invoker.sandbox.logs import LogCollector

_READ_BYTES = 256 * 1024
_LOG_READ_BYTES = 64 * 1024
_DRAIN_READS = 2


class Channel:
    """
    The control socket of one worker.

    ``on_frame`` gets every frame, ``on_nonsense`` is called for anything else, ``on_closed`` once the other
    end is closed; ``unread`` then tells whether it left something of ours unread.
    """

    __slots__ = (
        "_loop", "_on_closed", "_on_frame", "_on_nonsense", "_reader", "_socket", "_unsent", "sent_bytes", "unread",
        "written_bytes",
    )  # fmt: skip

    def __init__(
        self,
        end: socket.socket,
        max_body: int,
        *,
        on_frame: Callable[[Frame], None],
        on_nonsense: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frame, self._on_nonsense, self._on_closed = on_frame, on_nonsense, on_closed
        self._reader = FrameReader(max_body + _READ_BYTES)
        self._unsent: deque[memoryview] = deque()
        self.unread = False
        self.written_bytes = self.sent_bytes = 0
        """How much was ever written, and how much of it the kernel has taken."""
        end.setblocking(False)
        self._socket: socket.socket | None = end
        self._loop.add_reader(end.fileno(), self._readable)

    def write(self, data: bytes) -> None:
        """
        Send a frame; what does not fit now is sent later, in order.

        Raises:
            OSError: the other end is closed.
        """
        if self._socket is None:
            raise BrokenPipeError("the worker's socket is closed")
        self.written_bytes += len(data)
        if self._unsent:
            self._unsent.append(memoryview(data))
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        self.sent_bytes += sent
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])
            self._loop.add_writer(self._socket.fileno(), self._write_rest)

    def close(self) -> None:
        """Close our end."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            # The kernel says so when the other end closed with something unread: our last frame, or a part of it.
            self.unread = True
            data = b""
        except OSError:
            data = b""
        if not data:
            self.close()
            self._on_closed()
            return
        try:
            for frame in self._reader.feed(data):
                self._on_frame(frame)
        except (ProtocolError, KeyError, TypeError, ValueError):
            self._on_nonsense()

    def _write_rest(self) -> None:
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._unsent[0])
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_writer(self._socket.fileno())  # reading tells what happened
            return
        self.sent_bytes += sent
        self._unsent[0] = self._unsent[0][sent:]
        if not self._unsent[0]:
            self._unsent.popleft()
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())


class LogPipe:
    """The log of one worker: read as it comes, drained when a run ends."""

    __slots__ = ("_collector", "_handle", "_loop")

    def __init__(self, handle: int, collector: LogCollector) -> None:
        self._loop = asyncio.get_running_loop()
        self._collector = collector
        os.set_blocking(handle, False)
        self._handle = handle
        self._loop.add_reader(handle, self._read)

    def drain(self, max_bytes: int = _DRAIN_READS * _LOG_READ_BYTES) -> None:
        """Read what is in the pipe; bounded, or a process that never stops writing would hold us here."""
        for _ in range(max_bytes // _LOG_READ_BYTES):
            if not self._read():
                return

    def close(self) -> None:
        """Close our end."""
        if self._handle >= 0:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    def _read(self) -> bool:
        if self._handle < 0:
            return False
        try:
            data = os.read(self._handle, _LOG_READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._collector.feed(data, time.time_ns() // 1_000_000)
        return True
