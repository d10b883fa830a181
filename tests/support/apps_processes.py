"""
The processes of this machine, as tests need them: a platform's whole tree, and what is left of it later.

A process is its pid and its start time, so a number used again is another process. Zombies count as gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One process at the time it was looked at. ``uid`` is the one it runs under, seen from the host."""

    pid: int
    parent: int
    started: int
    uid: int
    command: str


def tree_of(pid: int) -> list[Running]:
    """Return a process with all its descendants."""
    everything = list(_running())
    found = [each for each in everything if each.pid == pid]
    for each in found:
        found.extend(child for child in everything if child.parent == each.pid)
    return found


def left_of(processes: list[Running]) -> list[Running]:
    """Return those of ``processes`` that still run."""
    alive = {(each.pid, each.started) for each in _running()}
    return [each for each in processes if (each.pid, each.started) in alive]


def with_in_command(marker: str) -> list[Running]:
    """Return every process with ``marker`` in its command line, sandboxed ones included."""
    return [each for each in _running() if marker in each.command]


def _running() -> Iterator[Running]:
    for directory in _PROC.glob("[0-9]*"):
        try:
            # The name, in brackets, may hold anything; what follows it may not.
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            uid = int((directory / "status").read_text().partition("\nUid:")[2].split()[0])
        except (OSError, IndexError):
            continue
        if fields[0] != "Z":
            yield Running(
                pid=int(directory.name), parent=int(fields[1]), started=int(fields[19]), uid=uid, command=command
            )
