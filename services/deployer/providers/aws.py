"""
AWS Lambda, in the account of a customer: a package is deployed when Lambda runs it.

A new function is asked for and given a URL; that it can run is seen later (``watch.py``). A change is waited for:
configuration first, code and architecture after it, since Lambda takes one at a time. A refusal of the second undoes
the first. Packages are kept in our package store too: Lambda gives none back, and a change of architecture sends
the same one again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from services.deployer.providers.provider import (
    CreateFunction,
    Desired,
    Observed,
    OpenUrl,
    ProviderStep,
    Seen,
    StorePackage,
    UpdateCode,
    UpdateConfiguration,
)
from shared.cloud.aws.functions import CONFIGURATION, LambdaFunction, Patience
from shared.cloud.aws.sessions import AwsConnection, AwsSessions
from shared.domain.errors import InternalError, NameTakenError, PlatformError
from shared.domain.function import LOCKED_VALUE
from shared.domain.placement import CloudFunction, Placement
from shared.packages.store import PackageStore

OpenConnection = Callable[[str], Awaitable[AwsConnection]]
"""Gives the way into an account by the id of its connection; raises ``NotConnectedError``."""
_SHORTEST_HIDDEN = 4
"""Shorter values would take a text apart, and hide nothing."""


class AwsProvider:
    """The ``Provider`` of functions on AWS Lambda. ``execution_role`` is the one set for all, if any."""

    def __init__(
        self,
        sessions: AwsSessions,
        packages: PackageStore,
        connection: OpenConnection,
        *,
        execution_role: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._sessions = sessions
        self._packages = packages
        self._connection = connection
        self._execution_role = execution_role
        self._patience = patience

    async def observe(self, desired: Desired) -> Seen:
        return Seen(
            stored=await self._packages.renew(desired.package_sha256),
            cloud=await self.look(_placement(desired)),
        )

    def plan(self, desired: Desired, observed: Observed) -> tuple[ProviderStep, ...]:
        placement, cloud, spec = _placement(desired), observed.cloud, desired.spec
        steps: list[ProviderStep] = []
        if not observed.stored:
            if desired.content is None:
                raise InternalError("the uploaded package is not in the package store", sha256=desired.package_sha256)
            steps.append(StorePackage(sha256=desired.package_sha256, size_bytes=len(desired.content)))
        if cloud is None:
            # Never made, or deleted behind our back.
            url = (OpenUrl(name=placement.name),) if placement.is_public else ()
            return (*steps, CreateFunction(region=placement.region, name=placement.name), *url)
        if cloud.owner != desired.function_id:
            raise NameTakenError(
                f"a function named {placement.name} already exists in the account in {placement.region}"
            )
        wanted = {name: desired.description if name == "description" else getattr(spec, name) for name in CONFIGURATION}
        changed = [name for name, value in wanted.items() if getattr(cloud, name) != value]
        if changed:
            steps.append(
                UpdateConfiguration(
                    name=placement.name,
                    after={name: wanted[name] for name in changed},
                    before={name: getattr(cloud, name) for name in changed},
                )
            )
        # A change of the configuration alone leaves the code at the cloud as it is, also what others put there.
        brings_code = desired.uploaded or desired.content is not None
        if (brings_code and cloud.code_sha256 != desired.package_sha256) or cloud.architecture != spec.architecture:
            steps.append(
                UpdateCode(
                    name=placement.name,
                    sha256=desired.package_sha256,
                    architecture=spec.architecture,
                    sha256_before=cloud.code_sha256,
                    architecture_before=cloud.architecture,
                )
            )
        if observed.active_sha256 is None and placement.is_public:
            # Who made it was cut off before, or between the URL and what lets anybody call it.
            steps.append(OpenUrl(name=placement.name))
        return tuple(steps)

    async def execute(self, step: ProviderStep, desired: Desired) -> None:
        function = await self._function(_placement(desired))
        match step:
            case StorePackage():
                assert desired.content is not None, step
                await self._packages.put(desired.content)
            case CreateFunction():
                with _hiding(desired.spec.environment):
                    await function.create(desired.spec, desired.description, await self._package(desired))
            case OpenUrl():
                await function.open_url()
            case UpdateConfiguration():
                with _hiding(desired.spec.environment):
                    await function.configure(step.after)
            case UpdateCode():
                await function.replace_code(await self._package(desired), step.architecture)

    async def revert(self, begun: Sequence[ProviderStep], desired: Desired) -> None:
        function = await self._function(_placement(desired))
        for step in reversed(begun):
            there = await function.describe()
            if there is None:
                return
            match step:
                case UpdateConfiguration() if any(getattr(there, name) != old for name, old in step.before.items()):
                    with _hiding(step.before.get("environment")):
                        await function.configure(step.before)
                case UpdateCode() if there.code_sha256 != step.sha256_before:
                    await function.replace_code(await self._packages.get(step.sha256_before), step.architecture_before)

    async def look(self, placement: Placement) -> CloudFunction | None:
        return await (await self._function(placement)).describe()

    async def remove(self, placement: Placement) -> None:
        await (await self._function(placement)).remove()

    async def _function(self, placement: Placement) -> LambdaFunction:
        return LambdaFunction(
            self._sessions,
            await self._connection(placement.connection_id),
            placement,
            execution_role=self._execution_role,
            patience=self._patience,
        )

    async def _package(self, desired: Desired) -> bytes:
        return desired.content or await self._packages.get(desired.package_sha256)


def _placement(desired: Desired) -> Placement:
    if desired.placement is None:
        raise InternalError("a function at a cloud has no place there", function_id=desired.function_id)
    return desired.placement


@contextmanager
def _hiding(variables: object) -> Iterator[None]:
    """Leave the values of environment variables out of what AWS says against a call: it may repeat what it was sent."""
    try:
        yield
    except PlatformError as error:
        values = variables.values() if isinstance(variables, Mapping) else ()
        for value in sorted((each for each in values if len(each) >= _SHORTEST_HIDDEN), key=len, reverse=True):
            error.message = error.message.replace(value, LOCKED_VALUE)
            error.fields = {
                name: field.replace(value, LOCKED_VALUE) if isinstance(field, str) else field
                for name, field in error.fields.items()
            }
        error.args = (error.message,)
        raise
