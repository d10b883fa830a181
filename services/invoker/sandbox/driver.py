"""
The port of sandbox drivers: how one worker is confined, said as a request to the spawner.

Drivers ship for bubblewrap (with and without ``/proc``) and for Landlock (and, for trusted code, for nothing
at all). A driver only describes: the spawner does, and the ladder in ``ladder.py`` finds out which of them
works on this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from services.invoker.pool.settings import SandboxLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """
    A place a worker runs in: a number, a directory bound at ``/var``, an unprivileged uid, a cgroup.

    ``uid`` is None when the invoker is not root and everything runs as the invoker's own user.
    """

    number: int
    directory: Path
    uid: int | None
    cgroup_files: tuple[str, ...] = ()
    """Files into which the id of the first process is written to limit the sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What runs the functions of a runtime: the version it really has, and SHA-256 digests in hex."""

    version: str
    sha256: str
    worker_sha256: str
    """Of our own files that run beside the function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFilesystem:
    """The read-only files of one runtime, and how its worker is started in them."""

    runtime: str
    path: Path
    loader: str
    """The dynamic loader, as a path inside; it starts programs from outside as well."""
    library_directory: str
    command: tuple[str, ...]
    """The worker's command line, all paths as inside."""
    trial: tuple[str, ...]
    """A command line that does nothing, to try a sandbox with."""
    interpreter: Interpreter | None = None
    """None when functions bring a program of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """One sandbox to start."""

    root: RootFilesystem
    slot: Slot
    tmp_mb: int
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables the program needs at its start; the rest come with the function."""
    command: tuple[str, ...] | None = None
    """Runs instead of the worker: for probes."""
    api_port: int = 0
    """Where on the loopback interface the program finds the Runtime API; 0 when it needs none."""


class SandboxDriver(Protocol):
    """Describes sandboxes of one level."""

    @property
    def level(self) -> SandboxLevel: ...

    @property
    def own_loopback(self) -> bool:
        """Tell whether each sandbox has a loopback interface of its own."""
        ...

    def request(self, spec: SandboxSpec) -> dict[str, Any]:
        """Return the spawner's request for this sandbox, but for its id."""
        ...

    def task_root(self, slot: Slot) -> str:
        """Return where the worker sees its function's files."""
        ...

    def temporary(self, slot: Slot) -> str:
        """Return where the worker sees its temporary directory."""
        ...
