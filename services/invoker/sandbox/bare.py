"""
The driver without namespaces: Landlock, or nothing but limits and the system call filter.

The program is started through the root's own dynamic loader, so it uses the same files as elsewhere, at their
place on the host. What is missing against bubblewrap: a pid namespace (what a worker leaves behind is hunted by
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

_NAME_SERVICE = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Describes sandboxes of level ``landlock`` or ``none``."""

    level: SandboxLevel
    filter_file: Path
    network: bool
    max_processes: int
    visible: Callable[[Path], str]

    def request(self, spec: SandboxSpec) -> dict[str, Any]:
        root = self.visible(spec.root.path)
        program, *arguments = spec.command or spec.root.command
        # What is a path inside is a path below the root here.
        arguments = [f"{root}{each}" if each.startswith("/") else each for each in arguments]
        loader = f"{root}{spec.root.loader}"
        confine: dict[str, Any] = {"filter": self.visible(self.filter_file)}
        if self.level is SandboxLevel.LANDLOCK:
            confine["readable"] = [root, self.visible(spec.slot.directory)]
            if self.network:
                confine["readable"] += [each for each in _NAME_SERVICE if Path(each).exists()]
            confine["writable"] = [self.temporary(spec.slot), *_DEVICES]
            confine["network"] = self.network
        return {
            "op": "spawn",
            "program": loader,
            "argv": [
                *(loader, "--library-path", f"{root}{spec.root.library_directory}"),
                *("--argv0", f"{root}{program}", f"{root}{program}", *arguments),
            ],
            # The host's own /etc cannot be read, and OpenSSL takes that for a fault.
            "environment": {
                "OPENSSL_CONF": f"{root}/etc/ssl/openssl.cnf",
                "SSL_CERT_FILE": f"{root}/etc/ssl/cert.pem",
                **spec.environment,
            },
            "confine": confine,
            "cgroups": list(spec.slot.cgroup_files),
            "uid": spec.slot.uid,
            "limits": process_limits(max_processes=self.max_processes, own_uid=spec.slot.uid is not None),
            "nice": NICE,
            "oom_score": OOM_SCORE,
        }

    def task_root(self, slot: Slot) -> str:
        return self.visible(slot.directory / "task")

    def temporary(self, slot: Slot) -> str:
        return self.visible(slot.directory.parent / "tmp")
