"""
What the engine is told once, at its start: pure data.

Whoever composes the invoker fills this in; nothing here reads the environment. Sizes are in bytes unless the
name says megabytes, times in seconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SandboxLevel(StrEnum):
    """How strongly a worker is confined, best first."""

    FULL = "full"
    """Own namespaces, read-only root of the runtime's files only, seccomp, no capabilities."""
    NO_PROC = "no-proc"
    """As full, with an empty ``/proc``: what a container with masked ``/proc`` paths can give."""
    LANDLOCK = "landlock"
    """No namespaces: Landlock, seccomp, and an unprivileged uid of its own when the invoker is root."""
    NONE = "none"
    """No confinement but resource limits: for code the operator would run by hand."""

    def at_least(self, other: "SandboxLevel") -> bool:
        """Tell whether this level is as strong as another."""
        order = list(SandboxLevel)
        return order.index(self) <= order.index(other)


class NetworkPolicy(StrEnum):
    """What functions may reach."""

    NONE = "none"
    INTERNET = "internet"
    """Outbound only; never loopback, this host's addresses, private ranges or the metadata address."""
    HOST = "host"
    """This machine's own network: development only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How one invoker runs functions on this machine."""

    directory: Path
    """Where root file systems, slots and the filter are kept; made if absent."""
    stem_cells_node: int = 2
    stem_cells_node16: int = 0
    stem_cells_node18: int = 0
    stem_cells_python: int = 2
    max_workers: int = 32
    """Most workers that hold a function, over all functions; stem cells come on top."""
    max_workers_per_function: int = 8
    max_in_flight_per_function: int = 100
    """Calls of one function held at once, running and waiting; one more is refused as throttled."""
    max_waiting: int = 1000
    """Calls of all functions that wait for a worker; one more is refused as unavailable."""
    patience_s: float = 0.01
    """How long a call waits for a busy worker of its function before another worker is added."""
    idle_s: float = 300.0
    freeze_idle: bool = False
    """Stop the processes of a worker between calls, as AWS Lambda does."""
    start_timeout_s: float = 15.0
    """How long a sandbox may take to say hello."""
    network: NetworkPolicy = NetworkPolicy.NONE
    minimum_level: SandboxLevel = SandboxLevel.LANDLOCK
    levels: tuple[SandboxLevel, ...] = tuple(SandboxLevel)
    """Rungs of the ladder that are tried at all, best first."""
    max_log_bytes: int = 6 * 1024 * 1024
    """Log text kept of one invocation; further lines are counted only."""
    max_line_bytes: int = 256 * 1024
    event_limit_bytes: int = 6_291_456
    result_limit_bytes: int = 6_291_456
    max_processes: int = 128
    """Processes and threads of one worker."""
    cpus: float | None = None
    """Processors one worker may use; None shares all fairly."""
    stem_tmp_mb: int = 512
    """Size of ``/tmp`` in a stem cell; a function that asks for another size is started on demand."""
    region: str = "us-east-1"
    """What functions read in ``AWS_REGION``."""
    node: Path | None = None
    """The newest Node.js to use; None finds the wheel's, else the PATH's."""
    node16: Path | None = None
    """The Node.js for functions of version 16; None finds the one beside the environment, else ``node`` stands in."""
    node18: Path | None = None
    """The same for version 18."""
    python: Path | None = None
    """The Python to use; None is the interpreter of this process."""
    bwrap: Path | None = None
    """The bubblewrap to use; None finds the wheel's, else the PATH's."""
    slirp4netns: Path | None = None
    """The slirp4netns to use; None finds the PATH's."""
