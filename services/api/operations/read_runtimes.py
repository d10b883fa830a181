"""What really runs the functions of each runtime: the invokers say so with every beat."""

from dataclasses import dataclass

from services.api.platform import Platform
from shared.database import replicas
from shared.domain.errors import UnavailableError
from shared.domain.function import Convention
from shared.domain.runtime import RUNTIMES, Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRuntime:
    """
    A runtime on an invoker that is alive.

    ``version`` is None when no invoker has it or none could be asked; ``real`` is false for a stand-in too.
    """

    name: str
    version: str | None
    real: bool


async def running_runtimes(platform: Platform, convention: Convention) -> list[RunningRuntime]:
    """Return each runtime that is offered for a convention, once for each version that runs it on some invoker."""
    try:
        told = await replicas.details_of(platform.db, "invoker")
    except UnavailableError:
        told = []  # the caller asks how we are, and is told about the database beside this
    found: list[RunningRuntime] = []
    for runtime in RUNTIMES.values():
        if runtime.convention is convention:
            versions = [details.get("runtimes", {}).get(runtime.family, {}).get("version") for details in told]
            known = list(dict.fromkeys(version for version in versions if version)) or [None]
            found += [_running(runtime, version) for version in known]
    return found


def _running(runtime: Runtime, version: str | None) -> RunningRuntime:
    return RunningRuntime(name=runtime.name, version=version, real=version is not None and runtime.is_real(version))
