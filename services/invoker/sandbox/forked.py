"""
What a child forked by the spawner does until it is another program: descriptors, limits, identity, ``exec``.

None of these functions returns: a forked child must never go on as a second spawner.
"""

import fcntl
import os
import resource
import signal
import time
from typing import Any

from services.invoker.sandbox import kernel, landlock

CONTROL, FILTER, INFO, BLOCK, ARGUMENTS = 3, 4, 5, 6, 7
"""Descriptor numbers in a sandbox's first program; only CONTROL stays open for the worker."""
_HIGH = 20
_MAX_DESCRIPTORS = 65536
_LOOPBACK_S = 5.0
_LOOPBACK_POLL_S = 0.0005


def write(path: str, text: str) -> None:
    """Write to a file of the kernel's in one go."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def place(places: dict[int, int]) -> None:
    """Move descriptors to their numbers and close all others."""
    high = {number: fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH) for number, descriptor in places.items()}
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, descriptor in high.items():
        os.dup2(descriptor, number)
    last = max(high)
    for number in range(3, last + 1):
        if number not in high:
            try:
                os.close(number)
            except OSError:
                continue
    os.closerange(last + 1, _MAX_DESCRIPTORS)


def become(request: dict[str, Any], places: dict[int, int], parent: int) -> None:
    """In the forked child: take on the limits and the identity asked for, and execute. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        place(places)
        _step_back(request["nice"], request["oom_score"])
        confine = request.get("confine")
        if confine is not None:
            os.setsid()
            for path in request["cgroups"]:
                write(path, str(os.getpid()))
        for which, limit in request["limits"]:
            resource.setrlimit(which, (limit, limit))
        uid = request["uid"]
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        kernel.die_with_parent(parent)
        if confine is not None:
            landlock.confine(confine)
            os.chdir(request["directory"])
        os.umask(0o022)
        os.execve(request["program"], request["argv"], request["environment"])  # noqa: S606 - that is the task
    except BaseException as error:  # noqa: BLE001 - a forked child must not go on as a second spawner
        os.write(2, f"cannot start the sandbox: {error}\n".encode())
    finally:
        os._exit(127)


def _step_back(nice: int, oom_score: int) -> None:
    """Let others go first, and die before them; what is further back already may not come forward, and need not."""
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:  # noqa: PTH123 - as elsewhere here
        oom_score = max(oom_score, int(file.read()))
        file.seek(0)
        file.write(str(oom_score))


def become_network_helper(arguments: list[str], leave: int, tell: int, parent: int, sandbox: int) -> None:
    """Become the user-mode network of the sandbox whose first process is ``sandbox``; does not return."""
    try:
        signal.set_wakeup_fd(-1)
        quiet = os.open("/dev/null", os.O_RDWR)
        place({1: quiet, 2: quiet, 4: leave, 5: tell})
        kernel.die_with_parent(parent)
        _await_loopback(sandbox)
        os.execve(arguments[0], arguments, {})  # noqa: S606 - as above
    finally:
        os._exit(127)


def _await_loopback(sandbox: int) -> None:
    """
    Wait until bubblewrap has given the sandbox its loopback address.

    The helper brings the loopback interface up, and the kernel then adds the address by itself: bubblewrap, coming
    second, would take the address that is there for a failure of its own and give up.
    """
    give_up_at = time.monotonic() + _LOOPBACK_S
    while time.monotonic() < give_up_at:
        try:
            with open(f"/proc/{sandbox}/net/fib_trie", encoding="ascii") as table:  # noqa: PTH123 - as elsewhere here
                if "127.0.0.1" in table.read():
                    return
        except OSError:
            return  # it is gone: the helper will find out
        time.sleep(_LOOPBACK_POLL_S)
