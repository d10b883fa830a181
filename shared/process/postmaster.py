"""
What is already there when an embedded PostgreSQL starts: the lock of its owner, and a server left behind.

The data directory has one owner, who holds ``owner.lock`` for as long as it lives. Whoever has the lock may
conclude that a server which still runs on the data is an orphan. A process is taken for that server only if its
executable is ``postgres`` and it works in that very directory: the number in ``postmaster.pid`` alone proves
nothing, for numbers are reused.
"""

import asyncio
import fcntl
import os
import signal
from pathlib import Path

from shared.process.supervise import CannotStartError

_FAST, _IMMEDIATE = signal.SIGINT, signal.SIGQUIT
_FAST_S, _IMMEDIATE_S = 10.0, 5.0


class PostgresError(CannotStartError):
    """The embedded PostgreSQL cannot run here; the text says what to do about it."""


class OwnerLock:
    """Says that this process owns a directory; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> None:
        """
        Take the lock.

        Raises:
            PostgresError: another process has it.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 32).decode().strip() or "unknown"
            os.close(fd)
            raise PostgresError(
                f"{self._path.parent} is in use by process {owner}: stop that one, or choose another data directory"
            ) from None
        os.truncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def server_pid(data: Path) -> int | None:
    """Return the pid of the server that runs on ``data``, or ``None``."""
    pid = _written_pid(data)
    return pid if pid is not None and _is_server(pid, data) else None


async def clear_the_way(data: Path) -> None:
    """
    Make sure that no server runs on ``data`` and that none seems to; the caller holds the owner's lock.

    An orphan is stopped. If the number in ``postmaster.pid`` now belongs to somebody else, PostgreSQL would
    refuse to start: our own number is written instead, which it ignores as that of its parent, while it still
    checks the rest of the file for leftover server processes.
    """
    pid = _written_pid(data)
    if pid is None:
        return
    if _is_server(pid, data):
        await _stop(pid, data)
    elif _exists(pid):
        lock_file = data / "postmaster.pid"
        lines = lock_file.read_text().split("\n")
        lock_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))


def _written_pid(data: Path) -> int | None:
    try:
        return abs(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return None


def _is_server(pid: int, data: Path) -> bool:
    try:
        executable = Path(f"/proc/{pid}/exe").readlink()
        directory = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False  # gone, a zombie, or somebody else's
    return executable.name.split(" ")[0] == "postgres" and directory == data.resolve()


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _stop(pid: int, data: Path) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not _is_server(pid, data):
            return  # it went, and its number with it, between the look and the grip
        for which, patience_s in ((_FAST, _FAST_S), (_IMMEDIATE, _IMMEDIATE_S)):
            signal.pidfd_send_signal(pidfd, which)
            if await _gone(pidfd, patience_s):
                return
        raise PostgresError(f"a PostgreSQL left behind on {data} (process {pid}) does not stop; end it by hand")
    finally:
        os.close(pidfd)


async def _gone(pidfd: int, patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(patience_s):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
