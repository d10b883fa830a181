"""
Control groups: memory, processes and processor of one slot, on cgroup v2 or v1.

``detect`` finds out by really making a group. Where none can be made the invoker runs without: the watchdog
then adds up the memory of a worker's processes itself, and nobody limits the processor. A group's limit
is above its function's own (which the watchdog enforces, on anonymous memory): it is the wall behind.

The kernel's own count of kills is the truth about who died for lack of memory.
"""

import fcntl
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Protocol

_WEIGHT_V1, _WEIGHT_V2 = "512", "50"
_PERIOD_US = 100_000
_TRIES = 5
_PREFIX = "tidemill-"
_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_ANONYMOUS_V1 = re.compile(rb"^total_rss (\d+)$", re.MULTILINE)
_ANONYMOUS_V2 = re.compile(rb"^anon (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupMode:
    """What was found: ``v2``, ``v1`` or ``none``; ``lacks`` names what is not limited, ``reason`` says why."""

    name: str
    controllers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    reason: str = ""


class Group(Protocol):
    """The control group of one slot."""

    @property
    def process_files(self) -> tuple[str, ...]:
        """Files into which a process id is written to put it under these limits."""
        ...

    def limit(self, memory_bytes: int | None) -> None:
        """Set the memory wall, None for none."""
        ...

    def oom_kills(self) -> int:
        """Return how many processes the kernel has killed here for lack of memory, ever."""
        ...

    def anonymous_bytes(self) -> int:
        """Return the memory its processes hold that is not backed by files."""
        ...

    def remove(self) -> None:
        """Close and remove it; its processes are gone."""
        ...


class Cgroups(Protocol):
    """Makes groups, one a slot."""

    @property
    def mode(self) -> CgroupMode: ...

    def group(self, number: int) -> Group | None:
        """Make the group of a slot, None without control groups."""
        ...

    def close(self) -> None:
        """Remove what was made."""
        ...


class NoCgroups:
    """A machine that lets us make no group."""

    def __init__(self, reason: str) -> None:
        self.mode = CgroupMode(name="none", lacks=("memory", "pids", "cpu"), reason=reason)

    def group(self, number: int) -> Group | None:  # noqa: ARG002 - the port's name
        return None

    def close(self) -> None:
        """Nothing was made."""


class _Reading:
    """A statistics file kept open: reading it again is one system call."""

    def __init__(self, path: Path, pattern: "re.Pattern[bytes]") -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._pattern = pattern

    def value(self) -> int:
        found = self._pattern.search(os.pread(self._handle, 8192, 0))
        return 0 if found is None else int(found[1])

    def close(self) -> None:
        os.close(self._handle)


class _GroupV1:
    def __init__(self, directories: Mapping[str, Path], max_processes: int, cpus: float | None) -> None:
        self._directories = directories
        for directory in directories.values():
            directory.mkdir(exist_ok=True)
        self.process_files = tuple(str(each / "cgroup.procs") for each in directories.values())
        if "pids" in directories:
            _put(directories["pids"] / "pids.max", str(max_processes))
        if "cpu" in directories:
            _put(directories["cpu"] / "cpu.shares", _WEIGHT_V1)
            if cpus is not None:
                _put(directories["cpu"] / "cpu.cfs_quota_us", str(round(cpus * _PERIOD_US)))
        memory = directories["memory"]
        self._anonymous = _Reading(memory / "memory.stat", _ANONYMOUS_V1)
        self._kills = _Reading(memory / "memory.oom_control", _KILLS)

    def limit(self, memory_bytes: int | None) -> None:
        """Raise both walls out of the way, then set memory, then memory and swap: the order the kernel takes."""
        memory = self._directories["memory"]
        with suppress(OSError):  # no swap accounting
            _put(memory / "memory.memsw.limit_in_bytes", "-1")
        _put(memory / "memory.limit_in_bytes", "-1" if memory_bytes is None else str(memory_bytes))
        if memory_bytes is not None:
            with suppress(OSError):
                _put(memory / "memory.memsw.limit_in_bytes", str(memory_bytes))

    def oom_kills(self) -> int:
        return self._kills.value()

    def anonymous_bytes(self) -> int:
        return self._anonymous.value()

    def remove(self) -> None:
        self._anonymous.close()
        self._kills.close()
        for directory in self._directories.values():
            with suppress(OSError):
                directory.rmdir()


class _CgroupsV1:
    def __init__(self, parents: Mapping[str, Path], max_processes: int, cpus: float | None) -> None:
        made = {controller: _make_locked(parent) for controller, parent in parents.items()}
        self._parents = {controller: directory for controller, (directory, _) in made.items()}
        self._locks = [handle for _, handle in made.values()]
        self._max_processes, self._cpus = max_processes, cpus
        missing = tuple(each for each in ("memory", "pids", "cpu") if each not in parents)
        self.mode = CgroupMode(name="v1", controllers=tuple(parents), lacks=missing)

    def group(self, number: int) -> Group | None:
        directories = {controller: parent / f"slot-{number}" for controller, parent in self._parents.items()}
        return _GroupV1(directories, self._max_processes, self._cpus)

    def close(self) -> None:
        for parent in self._parents.values():
            _remove_tree(parent)
        for handle in self._locks:
            os.close(handle)


class _GroupV2:
    def __init__(self, directory: Path, max_processes: int, cpus: float | None) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self.process_files = (str(directory / "cgroup.procs"),)
        with suppress(OSError):  # not every controller is delegated; the mode says which
            _put(directory / "pids.max", str(max_processes))
        with suppress(OSError):
            _put(directory / "cpu.weight", _WEIGHT_V2)
            if cpus is not None:
                _put(directory / "cpu.max", f"{round(cpus * _PERIOD_US)} {_PERIOD_US}")
        with suppress(OSError):  # Linux before 4.19
            _put(directory / "memory.oom.group", "1")
        with suppress(OSError):  # no swap
            _put(directory / "memory.swap.max", "0")
        self._anonymous = _Reading(directory / "memory.stat", _ANONYMOUS_V2)
        self._kills = _Reading(directory / "memory.events", _KILLS)

    def limit(self, memory_bytes: int | None) -> None:
        _put(self._directory / "memory.max", "max" if memory_bytes is None else str(memory_bytes))

    def oom_kills(self) -> int:
        return self._kills.value()

    def anonymous_bytes(self) -> int:
        return self._anonymous.value()

    def remove(self) -> None:
        self._anonymous.close()
        self._kills.close()
        with suppress(OSError):
            self._directory.rmdir()


class _CgroupsV2:
    """
    Below the invoker's own group, or below the root of the hierarchy.

    The kernel lets a group have either processes or limited children, so below its own group the invoker first
    moves itself into a leaf, with whatever else a container runs beside it; the root is exempt from that rule.
    """

    def __init__(self, parent: Path, max_processes: int, cpus: float | None, *, evade: Sequence[int]) -> None:
        self._max_processes, self._cpus = max_processes, cpus
        available = (parent / "cgroup.controllers").read_text("ascii").split()
        wanted = [each for each in ("memory", "pids", "cpu") if each in available]
        enable = " ".join(f"+{each}" for each in wanted)
        if evade:
            (parent / "invoker").mkdir(exist_ok=True)
            _move(evade, parent / "invoker")
        try:
            _put(parent / "cgroup.subtree_control", enable)
            _remove_stale(parent)
            self._parent, self._lock = _make_locked(parent)
        except OSError:
            _move(evade, parent)
            raise
        _put(self._parent / "cgroup.subtree_control", enable)
        missing = tuple(each for each in ("memory", "pids", "cpu") if each not in wanted)
        self.mode = CgroupMode(name="v2", controllers=tuple(wanted), lacks=missing)

    def group(self, number: int) -> Group | None:
        return _GroupV2(self._parent / f"slot-{number}", self._max_processes, self._cpus)

    def close(self) -> None:
        _remove_tree(self._parent)
        os.close(self._lock)


def detect(max_processes: int, cpus: float | None) -> Cgroups:
    """Return the strongest mode that really works here; the reasons others do not are kept in ``NoCgroups``."""
    mounted = [line.split() for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    paths = dict(_own_paths(Path("/proc/self/cgroup").read_text("utf-8")))
    reasons: list[str] = []
    for fields in mounted:
        if fields[2] == "cgroup2":
            found = _detect_v2(Path(fields[1]), paths.get("", "/"), max_processes, cpus, reasons)
            if found is not None:
                return found
    return _detect_v1(mounted, paths, max_processes, cpus, reasons) or NoCgroups(
        "; ".join(reasons) or "no control group file system is mounted"
    )


def _detect_v2(mount: Path, own: str, max_processes: int, cpus: float | None, reasons: list[str]) -> Cgroups | None:
    for parent in dict.fromkeys((mount / own.lstrip("/"), mount)):
        try:
            if "memory" not in (parent / "cgroup.controllers").read_text("ascii").split():
                reasons.append(f"v2: the memory controller is not available in {parent}")
                continue
            return _CgroupsV2(parent, max_processes, cpus, evade=in_the_way(parent, own))
        except OSError as error:
            reasons.append(f"v2: {error.strerror} ({error.filename or parent})")
    return None


def in_the_way(group: Path, own: str) -> list[int]:
    """
    Return the processes that must leave a group before it can have limited children.

    Only the true root of the hierarchy has no type, and nobody must leave it. The root that a container sees is an
    ordinary group with nothing but the container's processes; in another group of ours others are not ours to move.
    """
    if not (group / "cgroup.type").exists():
        return []
    if own != "/":
        return [os.getpid()]
    return [int(pid) for pid in (group / "cgroup.procs").read_text("ascii").split()]


def _move(processes: Sequence[int], group: Path) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):  # a health check that has ended
            _put(group / "cgroup.procs", str(pid))


def _detect_v1(
    mounted: list[list[str]], paths: Mapping[str, str], max_processes: int, cpus: float | None, reasons: list[str]
) -> Cgroups | None:
    parents: dict[str, Path] = {}
    for controller in ("memory", "pids", "cpu"):
        root = next((Path(f[1]) for f in mounted if f[2] == "cgroup" and controller in f[3].split(",")), None)
        parent = None if root is None else _writable(root, paths.get(controller, "/"))
        if parent is not None:
            parents[controller] = parent
        elif root is not None:
            reasons.append(f"v1: no group can be made under {root}")
    if "memory" not in parents:
        return None
    try:
        return _CgroupsV1(parents, max_processes, cpus)
    except OSError as error:
        reasons.append(f"v1: {error}")
        return None


def _own_paths(text: str) -> list[tuple[str, str]]:
    """Return (controller, path) pairs of ``/proc/self/cgroup``; version 2 has the empty controller."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found += [(controller, path) for controller in controllers.split(",")]
    return found


def _writable(root: Path, own: str) -> Path | None:
    """Return where groups can be made: under our own group, or at the root; tried, not guessed."""
    for parent in (root / own.lstrip("/"), root):
        trial = parent / f"trial-of-{_PREFIX}{token_hex(4)}"
        try:
            trial.mkdir()
            trial.rmdir()
        except OSError:
            continue
        _remove_stale(parent)
        return parent
    return None


def _remove_stale(parent: Path) -> None:
    """
    Remove what an invoker that was killed left behind: groups whose lock nobody holds.

    A lock and not a process id: invokers in other containers share this file system but not our numbers.
    """
    for each in parent.glob(f"{_PREFIX}*"):
        if (handle := _lock(each)) is not None:
            _remove_tree(each)
            os.close(handle)


def _lock(directory: Path) -> int | None:
    """Return a handle that holds the lock of a group's directory, None when somebody else does."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Make a group of our own and lock it; somebody who tidies up may take it before it is locked: try again."""
    for _ in range(_TRIES):
        directory = parent / f"{_PREFIX}{os.getpid()}-{token_hex(4)}"
        directory.mkdir()
        handle = _lock(directory)
        if handle is not None and directory.exists():
            return directory, handle
    raise OSError(f"no group can be kept under {parent}")


def _remove_tree(directory: Path) -> None:
    with suppress(OSError):
        for each in directory.iterdir():
            if each.is_dir():
                with suppress(OSError):
                    each.rmdir()
        directory.rmdir()


def _put(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
