"""
The bubblewrap driver: namespaces, a read-only root, no capabilities, seccomp.

The slot is bound at ``/var``, not ``/var/task``: a function's files are prepared beside and renamed into place,
so that ``/var/task`` appears whole, at once, in a sandbox that already runs. ``/dev`` is made by hand: with
bubblewrap's own, a second user namespace would keep the network helper out. Bubblewrap itself is never run as
uid 0; where the invoker is root each slot has a uid of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.invoker.pool.settings import NetworkPolicy, SandboxLevel
from services.invoker.sandbox.driver import SandboxSpec, Slot
from services.invoker.sandbox.forked import ARGUMENTS, BLOCK, FILTER, INFO
from services.invoker.sandbox.limits import MEGABYTE, NICE, OOM_SCORE, counts_by_namespace, process_limits

_DEVICES = ("null", "zero", "full", "random", "urandom")
_SHARED_MEMORY_MB = 64

REJECTED_NETWORKS = (
    ("10.0.0.0", "255.0.0.0"),
    ("100.64.0.0", "255.192.0.0"),
    ("169.254.0.0", "255.255.0.0"),
    ("172.16.0.0", "255.240.0.0"),
    ("192.0.0.0", "255.255.255.0"),
    ("192.168.0.0", "255.255.0.0"),
    ("224.0.0.0", "240.0.0.0"),
    ("240.0.0.0", "240.0.0.0"),
)
"""
Out of reach under policy ``internet``: private, shared, link-local (metadata), multicast and reserved ranges.

The helper's own network, 10.0.2.0/24, is more specific than 10/8 and stays: its name server is there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """Describes sandboxes made by bubblewrap; ``visible`` gives a path as the spawner's children see it."""

    level: SandboxLevel
    program: Path
    libraries: Path | None
    filter_file: Path
    network: NetworkPolicy
    slirp4netns: Path | None
    max_processes: int
    visible: Callable[[Path], str]

    @property
    def own_loopback(self) -> bool:
        return self.network is not NetworkPolicy.HOST

    def request(self, spec: SandboxSpec) -> dict[str, Any]:
        made: dict[str, Any] = {
            "op": "spawn",
            "program": self.visible(self.program),
            "argv": ["bwrap", "--args", str(ARGUMENTS), "--", *(spec.command or spec.root.command)],
            "arguments": [*self._arguments(spec), ""],
            "environment": {} if self.libraries is None else {"LD_LIBRARY_PATH": self.visible(self.libraries)},
            "filter": self.visible(self.filter_file),
            "cgroups": list(spec.slot.cgroup_files),
            "uid": spec.slot.uid,
            "limits": process_limits(max_processes=self.max_processes, own_uid=spec.slot.uid is not None),
            "nice": NICE,
            "oom_score": OOM_SCORE,
        }
        if spec.api_port and self.own_loopback:
            made["listen"] = spec.api_port
        if spec.slot.uid is None and counts_by_namespace():
            made["processes"] = self.max_processes
        if self.network is NetworkPolicy.INTERNET:
            made["slirp"] = [str(self.slirp4netns), "-c", "-m", "65520", "--disable-host-loopback"]
            if spec.slot.uid is not None:  # as root the helper gives up its own rights once it is set up
                made["slirp"] += ["--enable-sandbox", "--enable-seccomp"]
            made["reject"] = [list(each) for each in REJECTED_NETWORKS]
        return made

    def task_root(self, slot: Slot) -> str:  # noqa: ARG002 - the same in every slot
        return "/var/task"

    def temporary(self, slot: Slot) -> str:  # noqa: ARG002 - the same in every slot
        return "/tmp"  # noqa: S108 - a file system of its own, inside

    def _arguments(self, spec: SandboxSpec) -> Iterator[str]:
        """Yield what bubblewrap reads from a descriptor: no secret is ever on a command line."""
        yield from ("--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-ipc")
        yield from ("--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox")
        if self.network is not NetworkPolicy.HOST:
            yield "--unshare-net"
        yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv")
        yield from ("--ro-bind", self.visible(spec.root.path), "/")
        yield from ("--proc", "/proc") if self.level is SandboxLevel.FULL else _tmpfs("/proc", 4096, "0555")
        if self.level is not SandboxLevel.FULL:
            yield from ("--remount-ro", "/proc")
        yield from _tmpfs("/dev", MEGABYTE, "0755")
        for device in _DEVICES:
            yield from ("--dev-bind", f"/dev/{device}", f"/dev/{device}")
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            yield from ("--symlink", f"/proc/self/fd{target}", f"/dev/{name}")
        yield from _tmpfs("/dev/shm", _SHARED_MEMORY_MB * MEGABYTE, "1777")  # noqa: S108 - inside
        yield from ("--remount-ro", "/dev")
        yield from _tmpfs("/tmp", spec.tmp_mb * MEGABYTE, "1777")  # noqa: S108 - inside
        yield from ("--ro-bind", self.visible(spec.slot.directory), "/var")
        yield from ("--seccomp", str(FILTER), "--info-fd", str(INFO), "--block-fd", str(BLOCK))
        if spec.api_port:  # a program of the package's own is started where it lies
            yield from ("--chdir", self.task_root(spec.slot))
        for name, value in spec.environment.items():
            yield from ("--setenv", name, value)


def _tmpfs(place: str, size: int, mode: str) -> tuple[str, ...]:
    return ("--size", str(size), "--perms", mode, "--tmpfs", place)
