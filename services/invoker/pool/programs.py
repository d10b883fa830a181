"""
Workers whose program comes with the package: runtimes ``provided.*``.

Such a program reads its environment when it starts, asks the Runtime API for its events, and is the function's
from its first moment on: there is no stem cell to make it of.
"""

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from services.invoker.pool.function import FunctionCode, base_environment, load_request
from services.invoker.pool.settings import EngineSettings, NetworkPolicy, SandboxLevel
from services.invoker.sandbox import landlock
from services.invoker.sandbox.driver import RootFilesystem, SandboxDriver, SandboxSpec, Slot
from services.invoker.sandbox.ladder import Ground
from services.invoker.sandbox.program import PROGRAM, why_not_executable
from services.invoker.sandbox.runtime_api import PORT
from shared.domain.outcome import Crashed, LogLine, Outcome, Raised

_HOST = "127.0.0.1"
_LIBRARIES = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{root}:{root}/lib:/opt/lib"
_COMPLAINT = re.compile(r"(?:bwrap: execvp [^:]*: |cannot start the sandbox: \[Errno \d+\] )([^:]*)")


def why_impossible(ground: Ground) -> str:
    """Return why programs cannot be run here, empty when they can."""
    lacking = ground.driver.level is SandboxLevel.LANDLOCK and landlock.version() < landlock.NETWORK_SINCE
    if lacking and ground.network is NetworkPolicy.NONE:
        return "without network namespaces they need the Landlock of Linux 6.7, or network policy host"
    return ""


def place_for_api(driver: SandboxDriver) -> tuple[int, socket.socket | None]:
    """Return the port of a program's Runtime API, and a socket of ours if sandboxes have no loopback of their own."""
    if driver.own_loopback:
        return PORT, None
    listener = socket.create_server((_HOST, 0))
    return listener.getsockname()[1], listener


def program_spec(
    code: FunctionCode, settings: EngineSettings, driver: SandboxDriver, root: RootFilesystem, slot: Slot, port: int
) -> SandboxSpec:
    """Describe the sandbox of a program, with all that its function is to find in its environment."""
    task = driver.task_root(slot)
    told: Mapping[str, str] = load_request(code, settings, task, "")["environment"]
    environment = {
        **base_environment(driver.temporary(slot)),
        "LD_LIBRARY_PATH": _LIBRARIES.format(root=task),
        **told,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_RUNTIME_API": f"{_HOST}:{port}",
    }
    del environment["AWS_EXECUTION_ENV"]  # as on AWS, where only runtimes with an interpreter have it
    return SandboxSpec(root=root, slot=slot, tmp_mb=code.tmp_mb, environment=environment, api_port=port)


def unfit_program(slot: Slot) -> Raised | None:
    """Return how the start fails if the package has no program that this machine runs, None if it has one."""
    reason = why_not_executable(slot.directory / "task" / PROGRAM)
    return _invalid(reason) if reason else None


def why_not_started(outcome: Outcome, lines: Iterable[LogLine]) -> Outcome:
    """Return a program's end as an invalid entry point where the sandbox could not execute it at all."""
    first = next(iter(lines), None)
    if first is None or not isinstance(outcome, Crashed):
        return outcome
    complaint = _COMPLAINT.match(first.message)
    return outcome if complaint is None else _invalid(complaint[1].strip().lower())


def _invalid(reason: str) -> Raised:
    path = Path("/var/task") / PROGRAM
    return Raised(name="Runtime.InvalidEntrypoint", message=f"Error: fork/exec {path}: {reason}")
