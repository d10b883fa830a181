"""
The guard of a spawner: outlives it just long enough that nothing of it is left.

A sandbox dies with its spawner because it asked the kernel for that, but bubblewrap's first process inside asks
late: until it has set the sandbox up it would survive the two above it, and go on alone without its limits. What
a program without namespaces started would survive too. So the spawner is the child of a process that only waits.
What a dead spawner leaves is adopted by the guard and killed, and as the guard keeps the invoker's socket open
until then, the invoker hears of the loss when its slots are free again.

    invoker ──▶ guard ──▶ spawner ──▶ bwrap ──▶ bwrap ──▶ worker

A guard that is killed itself is missed by the spawner, which then does the same. Only who kills both at one moment
gets past them.
"""

import os
import signal
import time

from services.invoker.sandbox import kernel

_END_S = 2.0
_END_POLL_S = 0.001


def be_guarded() -> int:
    """
    Go on in a child of this process, which becomes its guard.

    Returns:
        A descriptor that becomes readable when the guard is gone: end then, and everything with you.
    """
    gone, held = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    kernel.adopt_orphans()
    if child == 0:
        os.close(held)
        return gone
    os.close(gone)
    _, status = os.waitpid(child, 0)
    end_children()
    os._exit(0 if status == 0 else 1)


def end_children() -> None:
    """Kill the children of this process, and what is adopted when they die, until there are none."""
    give_up_at = time.monotonic() + _END_S
    while time.monotonic() < give_up_at:
        for pid in children():
            kill(pid)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(_END_POLL_S)


def children() -> list[int]:
    """Return the ids of this process's children, adopted ones included."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as listing:  # noqa: PTH123 - keeps this process small
            return [int(word) for word in listing.read().split()]
    except OSError:
        return []


def kill(pid: int) -> None:
    """Kill a process; nothing if there is none (0) or it is gone."""
    if pid > 0:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
