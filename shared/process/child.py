"""
A child process with an owner: it is reaped when it ends and told to end when its owner dies.

The kernel sends ``death_signal`` to the child when the thread that started it ends, however that came about
(``PR_SET_PDEATHSIG``), so start it from the thread of the event loop. Waiting is by pidfd: no signal handler,
no polling, and no other process can be mistaken for it.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.process.passage import Passage

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One started process. ``exited`` is set once it is gone and reaped."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        output: int,
        uid: int | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        reach: Sequence[Path] = (),
    ) -> None:
        """
        Start it in a session of its own, with nothing on standard input and both outputs on ``output``.

        ``uid`` (for root only) is the unprivileged user and group it becomes before it runs; ``reach`` are
        directories it must then be able to enter, however closed the way to them is.

        Raises:
            OSError: it could not be started.
        """
        owner = os.getpid()
        passage = Passage(reach if uid is not None else ())

        def become() -> None:
            # Runs between fork and exec: system calls only. The change of uid would clear the death signal.
            passage.enter()
            if uid is not None:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != owner:
                os._exit(1)

        try:
            self._popen = subprocess.Popen(
                arguments,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=become,  # noqa: PLW1509 - it makes system calls and takes no lock
            )
        except subprocess.SubprocessError as error:
            raise OSError(f"{arguments[0]} could not be confined: {error}") from error
        self.exited = asyncio.Event()
        self._pidfd = os.pidfd_open(self._popen.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; ``None`` while it runs."""
        return self._popen.returncode

    def send(self, which: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if not self.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, which)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; tell whether it did in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            return False
        return True

    async def end(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send each signal in turn, waiting its seconds for the end, and at last SIGKILL."""
        for which, patience_s in steps:
            self.send(which)
            if await self.wait(patience_s):
                return
        self.send(signal.SIGKILL)
        await self.exited.wait()

    def _reap(self) -> None:
        if self._popen.poll() is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self.exited.set()
