"""
The driver without namespaces: Landlock, or nothing but limits and the system call filter.

The program is started through the root's own dynamic loader, so it uses the same files as elsewhere, at their
place on the host. A program of the author's own (``program.py``) is started as what it is, and may use the root's
tools; so that it can reach its Runtime API it may connect to one TCP port, whose hosts Landlock cannot tell apart.
What is missing against bubblewrap: a pid namespace (what a worker leaves behind is hunted by
the spawner), a size limit on the temporary directory, a loopback of its own, a shell to start programs
with. Without ``network`` the filter allows no internet sockets at all, because Landlock does not stop UDP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.invoker.pool.settings import SandboxLevel
from services.invoker.sandbox.driver import SandboxSpec, Slot
from services.invoker.sandbox.limits import NICE, OOM_SCORE, process_limits
from services.invoker.sandbox.program import PROGRAM, launch_line

_NAME_SERVICE = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Describes sandboxes of level ``landlock`` or ``none``."""

    level: SandboxLevel
    filter_file: Path
    api_filter_file: Path
    """The filter for programs that reach a Runtime API."""
    network: bool
    max_processes: int
    visible: Callable[[Path], str]

    @property
    def own_loopback(self) -> bool:
        return False

    def request(self, spec: SandboxSpec) -> dict[str, Any]:
        root = self.visible(spec.root.path)
        # The host's own /etc cannot be read, and OpenSSL takes that for a fault.
        environment = {
            "OPENSSL_CONF": f"{root}/etc/ssl/openssl.cnf",
            "SSL_CERT_FILE": f"{root}/etc/ssl/cert.pem",
            **spec.environment,
        }
        confine = self._confine(spec)
        if spec.api_port:
            task = spec.slot.directory / "task"
            argv = launch_line(task / PROGRAM, self.task_root(spec.slot), root, spec.root)
            own = {"PATH": f"{root}/usr/bin", "LD_LIBRARY_PATH": f"{root}{spec.root.library_directory}"}
            environment |= {name: f"{path}:{environment.get(name, '')}" for name, path in own.items()}
            # The root's tools are started by the kernel, which goes by the loader they name.
            confine.get("readable", []).append(spec.root.loader)
        else:
            argv = self._through_loader(spec)
        return {
            "op": "spawn",
            "program": argv[0],
            "argv": argv,
            "environment": environment,
            "confine": confine,
            "directory": self.task_root(spec.slot) if spec.api_port else "/",
            "cgroups": list(spec.slot.cgroup_files),
            "uid": spec.slot.uid,
            "limits": process_limits(max_processes=self.max_processes, own_uid=spec.slot.uid is not None),
            "nice": NICE,
            "oom_score": OOM_SCORE,
        }

    def _through_loader(self, spec: SandboxSpec) -> list[str]:
        root = self.visible(spec.root.path)
        program, *arguments = spec.command or spec.root.command
        # What is a path inside is a path below the root here.
        arguments = [f"{root}{each}" if each.startswith("/") else each for each in arguments]
        return [
            *(f"{root}{spec.root.loader}", "--library-path", f"{root}{spec.root.library_directory}"),
            *("--argv0", f"{root}{program}", f"{root}{program}", *arguments),
        ]

    def _confine(self, spec: SandboxSpec) -> dict[str, Any]:
        confine: dict[str, Any] = {"filter": self.visible(self.api_filter_file if spec.api_port else self.filter_file)}
        if self.level is SandboxLevel.LANDLOCK:
            confine["readable"] = [self.visible(spec.root.path), self.visible(spec.slot.directory)]
            if self.network:
                confine["readable"] += [each for each in _NAME_SERVICE if Path(each).exists()]
            confine["writable"] = [self.temporary(spec.slot), *_DEVICES]
            confine["network"] = self.network
            confine["connect"] = spec.api_port
        return confine

    def task_root(self, slot: Slot) -> str:
        return self.visible(slot.directory / "task")

    def temporary(self, slot: Slot) -> str:
        return self.visible(slot.directory.parent / "tmp")
