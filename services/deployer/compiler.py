"""
One Node.js process that judges sources: started, asked, and ended, each within a deadline.

It never runs the source, but its parser reads what strangers wrote, so it is confined (``confine.py``): an empty
environment, bounded memory and processor time, no files, and when we are root a user of its own. It ends when
its input does, that is, when this process dies. All calls here block: make them from a thread.
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from struct import pack

_HERE = Path(__file__).parent
_UID = 19998  # just below PostgreSQL's, which is just below those that sandboxed functions get
_FLAGS = ("--jitless", "--max-old-space-size=128")
_START_S = 15.0
_ANSWER_BYTES = 1 << 16
_COMPLAINT_BYTES = 1 << 14


class CompilerError(Exception):
    """The process has ended, or did not answer in time."""


class Compiler:
    """A running process. ``judged`` counts what it was asked."""

    def __init__(self, node: Path) -> None:
        """
        Start it and wait until it is ready.

        Raises:
            CompilerError: it does not start.
            OSError: there is no such program.
        """
        script = (_HERE / "compile.js").read_text("utf-8")
        self.judged = 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _HERE / "confine.py", str(_UID), node, *_FLAGS, "-e", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        try:
            self._receive(time.monotonic() + _START_S)
        except CompilerError as error:
            raise CompilerError(f"{error}: {self.close()}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def judge(self, source: bytes, deadline_s: float) -> bytes:
        """
        Return the verdict on a source, a line of JSON.

        Raises:
            CompilerError: no verdict; the process is of no use any more.
        """
        give_up_at = time.monotonic() + deadline_s
        self.judged += 1
        self._send(pack(">I", len(source)) + source, give_up_at)
        return self._receive(give_up_at)

    def close(self) -> str:
        """Kill and reap it; return the last line of what it complained about."""
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        complaint = self._process.stderr.read(_COMPLAINT_BYTES) or b""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        return complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]

    def _send(self, content: bytes, give_up_at: float) -> None:
        view = memoryview(content)
        while view:
            self._wait(self._input, select.POLLOUT, give_up_at)
            try:
                view = view[os.write(self._input, view) :]
            except BrokenPipeError as error:
                raise CompilerError("the compiler has ended") from error

    def _receive(self, give_up_at: float) -> bytes:
        """Read one line; there is never more than one on its way."""
        line = b""
        while not line.endswith(b"\n"):
            self._wait(self._output, select.POLLIN, give_up_at)
            chunk = os.read(self._output, _ANSWER_BYTES)
            if not chunk:
                raise CompilerError("the compiler has ended")
            line += chunk
        return line

    def _wait(self, file: int, event: int, give_up_at: float) -> None:
        poll = select.poll()
        poll.register(file, event)
        if not poll.poll(max(0.0, give_up_at - time.monotonic()) * 1000):
            raise CompilerError("the compiler gave no answer in time")
