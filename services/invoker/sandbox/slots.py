"""
Slots: the places workers run in, each with a directory, a uid and a cgroup, used again and again.

::

    <engine>/run-<random>/slots/<n>/var     bound at /var in the sandbox; ``task`` appears in it
                                   /stage   where a function's files are gathered before the rename
                                   /tmp     the temporary directory where the level gives no file system for it

A slot is handed out again only when everything of its last sandbox is gone and its directories are empty. A
slot's directory is closed to all other slots. What a killed invoker left is removed at the next start.
"""

import errno
import fcntl
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from services.invoker.sandbox.cgroup import Cgroups, Group
from services.invoker.sandbox.driver import Slot
from services.invoker.sandbox.limits import FIRST_SLOT_UID, SLOTS_OF_AN_INVOKER

_LOCKS = Path("/run")
_BLOCKS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSlot:
    """A slot in use, with its control group (None where there are none)."""

    slot: Slot
    group: Group | None

    @property
    def home(self) -> Path:
        return self.slot.directory.parent


class Slots:
    """All slots of one invoker. ``acquire`` and ``recycle`` touch the disk: call them in a thread."""

    def __init__(self, engine: Path, cgroups: Cgroups) -> None:
        self._cgroups = cgroups
        engine.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(engine)
        self.directory = engine / f"run-{token_hex(4)}"
        self.directory.mkdir(mode=0o755)
        self.directory.chmod(0o755)
        self._lock = _locked(self.directory / "lock")
        assert self._lock is not None
        self._first_uid: int | None = None
        self._uid_lock: int | None = None
        if os.geteuid() == 0:
            self._first_uid, self._uid_lock = _claim_uids()
        self._made: list[OpenSlot] = []
        self._free: list[OpenSlot] = []
        self._making = threading.Lock()

    def acquire(self) -> OpenSlot:
        """Return a clean slot; a new one when none is free."""
        with self._making:
            return self._free.pop() if self._free else self._make()

    def _make(self) -> OpenSlot:
        number = len(self._made)
        home = self.directory / "slots" / str(number)
        uid = None if self._first_uid is None else self._first_uid + number
        home.mkdir(parents=True)
        for name in ("var", "stage", "tmp"):
            (home / name).mkdir()
            (home / name).chmod(0o755)
        if uid is not None:
            os.chown(home, 0, uid)
            os.chown(home / "tmp", uid, uid)
            home.chmod(0o750)
            home.parent.chmod(0o755)
        group = self._cgroups.group(number)
        slot = Slot(
            number=number,
            directory=home / "var",
            uid=uid,
            cgroup_files=() if group is None else group.process_files,
        )
        made = OpenSlot(slot=slot, group=group)
        self._made.append(made)
        return made

    def recycle(self, slot: OpenSlot) -> None:
        """Empty a slot whose sandbox is gone, and hand it out again."""
        for name in ("var", "stage", "tmp"):
            _empty(slot.home / name)
        if slot.group is not None:
            slot.group.limit(None)
        self._free.append(slot)

    def close(self) -> None:
        """Remove everything; all sandboxes are gone."""
        for slot in self._made:
            if slot.group is not None:
                slot.group.remove()
        self._cgroups.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._uid_lock is not None:
            os.close(self._uid_lock)
            self._uid_lock = None


def _claim_uids() -> tuple[int, int | None]:
    """
    Return the first uid of a block that no other invoker of this machine uses, and the lock that says so.

    Where no lock can be kept (a read-only root), the first block is used: uids are then shared with an
    invoker in another container at worst, and processes with the same uid are counted together.
    """
    if not os.access(_LOCKS, os.W_OK):
        return FIRST_SLOT_UID, None
    for block in range(_BLOCKS):
        lock = _locked(_LOCKS / f"tidemill-uids-{block}.lock")
        if lock is not None:
            return FIRST_SLOT_UID + block * SLOTS_OF_AN_INVOKER, lock
    return FIRST_SLOT_UID, None


def place_package(package: Path, slot: OpenSlot) -> None:
    """
    Make the files of ``package`` appear at ``/var/task``, whole and at once.

    Hard links where the file system allows, copies elsewhere; files and directories become readable by all.
    """
    stage = slot.home / "stage" / "task"
    _copy_tree(str(package), str(stage))
    stage.rename(slot.slot.directory / "task")


def _copy_tree(source: str, target: str) -> None:
    os.mkdir(target, 0o755)  # noqa: PTH102 - thousands of files: os is five times quicker than pathlib
    os.chmod(target, 0o755)  # noqa: PTH101, S103 - as above; the slot around it is closed, and mkdir heeds the umask
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)  # noqa: PTH115, PTH211 - as above
            elif entry.is_dir():
                _copy_tree(entry.path, place)
            else:
                _link_or_copy(entry.path, place)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EMLINK, errno.EPERM}:
            raise
        shutil.copyfile(source, target)
        executable = os.stat(source).st_mode & 0o111  # noqa: PTH116 - as in _copy_tree
        os.chmod(target, 0o555 if executable else 0o444)  # noqa: PTH101 - as in _copy_tree


def _empty(directory: Path) -> None:
    for each in directory.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _remove_abandoned(engine: Path) -> None:
    """Remove the directories of invokers that died: nobody holds their lock."""
    for directory in engine.glob("run-*"):
        lock = _locked(directory / "lock")
        if lock is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Return a handle that holds the lock at ``path``, None when somebody else has it."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        return handle
    return None
