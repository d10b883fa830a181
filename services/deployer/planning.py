"""
What leads from what is there to what is asked for: a list of steps, made without touching anything.

Packages and sources are judged here and in the same way wherever they go; how they are brought there the provider
plans.
"""

from services.deployer.providers.provider import (
    ActivateVersion,
    CheckSyntax,
    Desired,
    FindProgram,
    Observed,
    Plan,
    Provider,
    Seen,
    Step,
    ValidatePackage,
)
from shared.domain.function import Convention, Function
from shared.domain.runtime import RUNTIMES, Family


def observed_of(active: Function | None, seen: Seen) -> Observed:
    """Return what is there of a function: the version that runs, and what its provider has."""
    return Observed(
        active_sha256=None if active is None else active.version.package_sha256,
        stored=seen.stored,
        active_runtime=None if active is None else active.version.spec.runtime,
        cloud=seen.cloud,
    )


def plan(desired: Desired, observed: Observed, provider: Provider) -> Plan:
    """
    Return what leads from what is observed to what is desired; touches nothing.

    What is active already has been judged before.
    """
    judged = desired.package_sha256 == observed.active_sha256
    # What one version of Node.js compiles another may not, and only some runtimes need a program.
    suits = judged and desired.spec.runtime == observed.active_runtime
    steps: list[Step] = []
    if desired.uploaded and not judged:
        steps.append(ValidatePackage(sha256=desired.package_sha256))
    if desired.source is not None and desired.spec.convention is Convention.NEO and not suits:
        steps.append(CheckSyntax(runtime=desired.spec.runtime, size_bytes=len(desired.source.encode())))
    # What has a place begins with a starter and gets its program later: until then it fails when it is called.
    if desired.placement is None and _needs_program(desired.spec.runtime) and not suits:
        steps.append(FindProgram(sha256=desired.package_sha256, runtime=desired.spec.runtime))
    steps.extend(provider.plan(desired, observed))
    return Plan(steps=tuple(steps), activation=ActivateVersion(package_sha256=desired.package_sha256))


def _needs_program(runtime: str) -> bool:
    known = RUNTIMES.get(runtime)
    return known is not None and known.family is Family.PROVIDED
