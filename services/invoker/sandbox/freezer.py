"""
Stopping an idle sandbox, so that nothing in it runs between two calls, as on AWS Lambda.

By signals and not by control groups: a group that is frozen by version 1 cannot be killed, and not every machine
lets us make one. A stopped process is killed like any other. Whoever starts processes while they are being stopped
is caught by looking again; a process that its author had stopped before stays so.
"""

import os
import signal
from contextlib import suppress

from services.invoker.sandbox.memory import children

_ROUNDS = 4
_STOPPED = (b"T", b"t", b"Z", b"X")


class FrozenTree:
    """The processes of one sandbox that were stopped. ``thaw`` lets them go on, once; ``drop`` when they are gone."""

    __slots__ = ("_handles",)

    def __init__(self, first: int) -> None:
        """Stop ``first`` and all it started, so far as we may."""
        self._handles: list[int] = []
        for _ in range(_ROUNDS):
            running = [pid for pid in _tree(first) if _runs(pid)]
            if not running:
                break
            for pid in running:
                self._stop(pid)

    def _stop(self, pid: int) -> None:
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        self._handles.append(handle)
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(handle, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every process go on, those that were started last first."""
        for handle in reversed(self._handles):
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(handle, signal.SIGCONT)
        self.drop()

    def drop(self) -> None:
        """Give the handles back."""
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()


def _tree(first: int) -> list[int]:
    found = [first]
    for pid in found:
        found += children(pid)
    return found


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - for every idle worker; pathlib doubles the cost
            state = file.read().rpartition(b") ")[2][:1]
    except OSError:
        return False
    return state not in _STOPPED
