"""What machine a figure was measured on, and what a process tree weighs."""

import os
import platform
from pathlib import Path

_KIB = 1024


def describe() -> str:
    """Return one line: processor, cores, memory, kernel, Python."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory_kb = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")))
    return (
        f"{model}, {os.cpu_count()} cores, {memory_kb / _KIB / _KIB:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def tree(root_pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root_pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, []))
    return found


def pss_mb(root_pid: int) -> float:
    """Return the proportional memory of a whole process tree, in MB."""
    return sum(_pss_kb(pid) for pid in tree(root_pid)) / _KIB


def _parent(entry: Path) -> int | None:
    try:
        return int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _pss_kb(pid: int) -> int:
    try:
        return next(int(line.split()[1]) for line in _lines(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", "replace").splitlines()
