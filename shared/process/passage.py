"""
A way for an unprivileged child to directories that only root can enter.

Root's own files often lie below a closed directory: ``/root`` is one on every Debian. Opening it to everybody
would be wrong, and a child that gave up its rights cannot pass. So the child, while it is still root, takes a
mount namespace of its own, covers the closed directory with an empty one that is open, and binds what it needs
at the very same paths. Nobody else sees any of it, and it is gone with the child.
"""

import ctypes
import os
import stat
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWNS = 0x0002_0000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x4_0000
_libc = ctypes.CDLL(None, use_errno=True)


def closed_directory(path: Path) -> Path | None:
    """Return the first directory on the way to ``path`` that other users may not pass through, if there is one."""
    for directory in [*reversed(path.parents), path]:
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


class Passage:
    """
    Opens the way to some directories, all of which exist.

    ``enter`` is for the child, between fork and exec, as root.
    """

    def __init__(self, targets: Sequence[Path]) -> None:
        closed = {target: closed_directory(target.parent) for target in targets}
        self._covered = sorted({str(each) for each in closed.values() if each is not None})
        self._targets = [str(target) for target, cover in closed.items() if cover is not None]

    def enter(self) -> None:
        """
        Take the namespace and lay the directories out in it, if any is closed.

        Raises:
            OSError: the kernel does not let us: a container without CAP_SYS_ADMIN, for one.
        """
        if not self._targets:
            return
        if _libc.unshare(_CLONE_NEWNS) != 0:
            raise _failed("unshare")
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        # Opened here: what another namespace opened cannot be bound in this one. They close at exec.
        opened = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) for path in self._targets]
        for directory in self._covered:
            _mount("tmpfs", directory, "mode=0755,size=64k")
        for path, descriptor in opened:
            Path(path).mkdir(0o755, parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", path, "", _MS_BIND | _MS_REC)


def _mount(source: str, place: str, options: str, flags: int = 0) -> None:
    kind = b"tmpfs" if source == "tmpfs" else None
    data = options.encode() if options else None
    if _libc.mount(os.fsencode(source), os.fsencode(place), kind, ctypes.c_ulong(flags), data) != 0:
        raise _failed(f"mount {place}")


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
