"""
One deployment, from its row to its end.

::

    DeployFunction -> lock the function -> claim the row -> desired, observed -> plan -> execute -> succeed | refuse
                                                |
                                                +- ended already: say again how it ended

A deployment may also ask to take over what a function's cloud has (sync), or to take the function away.

What the user did wrong (a package or source that is refused) ends the deployment; the function is then as it was
before. So does what a cloud cannot do, after a while. What went wrong on our side is raised, so that the bus delivers
the command again; every instruction may be carried out twice. Only the row decides: a command that is delivered twice,
late, or to two deployers at once does no harm. Runtime, handler and limits were judged by the api and are not judged
again here.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import structlog

from services.deployer.patience import Patience
from services.deployer.planning import observed_of, plan
from services.deployer.providers.provider import (
    CheckSyntax,
    Desired,
    FindProgram,
    Provider,
    ProviderStep,
    Step,
    ValidatePackage,
)
from services.deployer.providers.providers import Providers
from services.deployer.syntax import SyntaxCheckers
from services.deployer.uploads import built
from services.deployer.watch import GONE, look
from shared.bus.bus import Bus, Delivery, Reject
from shared.database import deployments, functions, placements
from shared.database.deployments import Deployment
from shared.database.function_locks import function_lock
from shared.database.functions import FunctionSettings
from shared.database.pool import Database
from shared.domain.cloud_errors import FAILED_ISSUE, CloudFunctionGoneError, CloudUnavailableError
from shared.domain.errors import (
    ErrorRecord,
    Fault,
    FunctionNotFoundError,
    IllegalStateError,
    InternalError,
    InvalidPackageError,
    NotFoundError,
    PlatformError,
    UnavailableError,
)
from shared.domain.function import Function, VersionSpec
from shared.domain.placement import LOCAL, CloudFunction, Placement
from shared.messages.messages import DeployFunction, DeploymentFinished, FunctionChanged, Work
from shared.packages.package import PROGRAM, holds_program, validate_zip
from shared.packages.store import PackageStore, digest
from shared.process import metrics

LOCK_WAIT_S = 30.0
MAX_PACKAGES_JUDGED = 2
MAX_AT_CLOUDS = 12

_finished = metrics.counter("deployments_total", "Deployments that ended, by how.", ("outcome",))
_seconds = metrics.histogram("deployment_seconds", "From the claim of a deployment to its end.")
_log = structlog.get_logger(__name__)


class _RefusedError(Exception):
    """A deployment ends with ``error``; unless it is ``undone`` its cloud may have some of it."""

    def __init__(self, error: PlatformError, *, undone: bool) -> None:
        super().__init__(error.message)
        self.error, self.undone = error, undone


class Deployer:
    """
    Carries deployments out. Holds no state between them.

    ``patience_s`` is how long one is tried again while its cloud cannot do it.
    """

    def __init__(
        self,
        *,
        db: Database,
        bus: Bus,
        packages: PackageStore,
        syntax: SyntaxCheckers,
        providers: Providers,
        patience_s: float = 15.0,
    ) -> None:
        self._patience_s = patience_s
        self._db = db
        self._bus = bus
        self._packages = packages
        self._syntax = syntax
        self._providers = providers
        # Each of these holds a whole package in memory and keeps a core busy.
        self._judging = asyncio.Semaphore(MAX_PACKAGES_JUDGED)
        # They take long, and must not keep those of our own machines waiting.
        self._at_clouds = asyncio.Semaphore(MAX_AT_CLOUDS)

    async def deploy(self, work: Work, _delivery: Delivery) -> None:
        """
        Carry out one deployment: the handler of ``deployer.v1``.

        Raises:
            Reject: there is no such deployment, or a fault of ours that another try would meet again.
            Exception: our own failure, to be tried again.
        """
        assert isinstance(work, DeployFunction)
        is_here = await functions.provider_of(self._db, work.function_id) in (LOCAL, None)
        async with (
            nullcontext() if is_here else self._at_clouds,
            function_lock(self._db, work.function_id, wait_s=LOCK_WAIT_S),
        ):
            deployment = await deployments.claim_deployment(self._db, work.deployment_id)
            if deployment is None:
                await self._announce_as_recorded(work)
                return
            began = time.monotonic()
            try:
                function = await self._carry_out(deployment)
            except IllegalStateError:
                # Given up by the dead-letter consumer while we were at it.
                await self._announce_as_recorded(work)
            except InternalError as error:
                raise Reject(error.message) from error  # trying again would not change it
            except PlatformError as error:
                if not _ends(error):
                    raise
                await self._refuse(deployment, error)
                await self._announce_as_recorded(work)
            except _RefusedError as refused:
                await self._refuse(deployment, refused.error, undone=refused.undone)
                await self._announce_as_recorded(work)
            else:
                self._succeeded(deployment, function, time.monotonic() - began)

    async def _carry_out(self, deployment: Deployment) -> Function | None:
        """Do what a deployment asks for; return the function it left, None when it took it away."""
        placed = await placements.find_placed(self._db, deployment.function_id)
        placement = None if placed is None else placed.placement
        patience = Patience(self._patience_s)
        provider = await self._providers.of(placement)
        active = await functions.find_function(self._db, deployment.function_id)
        match deployment.action:
            case "deploy":
                desired = replace(
                    await self._desired(deployment, active),
                    description=_description(deployment, active),
                    placement=placement,
                )
                return await self._bring(deployment, active, desired, provider, patience)
            case "sync":
                return await patience.until_done(lambda: self._sync(deployment, active, placement, provider))
            case "remove":
                await patience.until_done(lambda: self._remove(deployment, placement, provider))
                return None

    async def _bring(
        self, deployment: Deployment, active: Function | None, desired: Desired, provider: Provider, patience: Patience
    ) -> Function:
        begun: list[ProviderStep] = []

        async def brought() -> Function:
            seen = await provider.observe(desired)
            todo = plan(desired, observed_of(active, seen), provider)
            _log.debug("deployment_planned", deployment_id=deployment.id, plan=todo)
            for step in todo.steps:
                if isinstance(step, ProviderStep):
                    begun.append(step)
                await self._execute(step, desired, provider)
            await look(self._db, self._providers, desired.function_id)
            await placements.record_sure(self._db, desired.function_id)
            return await deployments.succeed(self._db, deployment, todo.activation.package_sha256, desired.source)

        try:
            return await patience.until_done(brought)
        except PlatformError as error:
            if not _ends(error) or desired.placement is None:
                raise
            # What a cloud took and then failed stays as it is, and is told.
            undo = begun[:-1] if error.fields.get("issue") == FAILED_ISSUE and not deployment.creates else begun
            raise _RefusedError(error, undone=await self._undone(deployment, undo, desired, provider)) from error

    async def _undone(
        self, deployment: Deployment, begun: Sequence[ProviderStep], desired: Desired, provider: Provider
    ) -> bool:
        """Leave a cloud as it was before a deployment that is refused; return whether that is sure."""
        if not begun and deployment.attempts == 1:
            return True
        assert desired.placement is not None
        try:
            if deployment.creates:
                await provider.remove(desired.placement)
            else:
                await provider.revert(begun, desired)
                await look(self._db, self._providers, desired.function_id)
        except PlatformError as error:
            _log.warning("deployment_not_undone", deployment_id=deployment.id, reason=error.message)
            return False
        # What was begun by one that was cut off before is not known here.
        return deployment.creates or deployment.attempts == 1

    async def _sync(
        self, deployment: Deployment, active: Function | None, placement: Placement | None, provider: Provider
    ) -> Function:
        """Take over the configuration that a function has at its cloud."""
        if active is None:
            raise FunctionNotFoundError("no such function")
        seen = None if placement is None else await provider.look(placement)
        if seen is None and placement is not None and placement.provider != LOCAL:
            await placements.record_gone(self._db, active.id, GONE)
            raise CloudFunctionGoneError(
                f'Function "{placement.name}" was not found in {placement.provider.upper()}. It may have been deleted.'
            )
        if seen is not None:
            await placements.record_seen(self._db, active.id, seen)
            spec = _taken_over(active.version.spec, seen)
            if spec != active.version.spec or seen.description != active.description:
                changed = replace(deployment, spec=spec, settings=FunctionSettings(description=seen.description))
                source = await functions.get_source(self._db, active.version.id)
                return await deployments.succeed(self._db, changed, active.version.package_sha256, source)
        await deployments.release(self._db, deployment)
        return await functions.find_function(self._db, active.id) or active

    async def _remove(self, deployment: Deployment, placement: Placement | None, provider: Provider) -> None:
        if placement is not None:
            await provider.remove(placement)
        deleted = await deployments.remove(self._db, deployment)
        if deleted is not None:
            self._bus.notify(_changed(deleted, deleted=True))

    async def _desired(self, deployment: Deployment, active: Function | None) -> Desired:
        match deployment.upload_kind:
            case "zip":
                if deployment.upload_sha256 is None:
                    raise InternalError("a deployment of a zip names none")
                return Desired(
                    function_id=deployment.function_id,
                    spec=deployment.spec,
                    package_sha256=deployment.upload_sha256,
                    uploaded=True,
                )
            case "source" | "text" | "edit":
                async with self._judging:
                    content = await built(deployment, active, self._packages)
                sha256 = await digest(content)
                await deployments.name_package(self._db, deployment.id, sha256)
                return Desired(
                    function_id=deployment.function_id,
                    spec=deployment.spec,
                    package_sha256=sha256,
                    source=deployment.source if deployment.upload_kind == "source" else None,
                    content=content,
                )
            case None:
                if active is None:
                    raise FunctionNotFoundError("no such function")
                return Desired(
                    function_id=deployment.function_id,
                    spec=deployment.spec,
                    package_sha256=active.version.package_sha256,
                    source=await functions.get_source(self._db, active.version.id),
                )

    async def _execute(self, step: Step, desired: Desired, provider: Provider) -> None:
        match step:
            case ValidatePackage():
                await self._validate(step.sha256)
            case FindProgram():
                await self._find_program(step, desired)
            case CheckSyntax():
                await self._syntax.check(desired.source or "", step.runtime)
            case _:
                await provider.execute(step, desired)

    async def _validate(self, sha256: str) -> None:
        async with self._judging:
            info = await asyncio.to_thread(validate_zip, await self._package(sha256))
        _log.info("package_valid", sha256=sha256, files=info.files, inflated_bytes=info.inflated_bytes)

    async def _find_program(self, step: FindProgram, desired: Desired) -> None:
        async with self._judging:
            found = await asyncio.to_thread(holds_program, desired.content or await self._package(step.sha256))
        if not found:
            raise InvalidPackageError(
                f"the package has no file {PROGRAM} at its root, which is what runtime {step.runtime} runs",
                issue="no program",
            )

    async def _package(self, sha256: str) -> bytes:
        try:
            return await self._packages.get(sha256)
        except NotFoundError as error:
            raise InternalError("the package is not in the package store", sha256=sha256) from error

    def _succeeded(self, deployment: Deployment, function: Function | None, seconds: float) -> None:
        _finished.labels("succeeded").inc()
        _seconds.observe(seconds)
        _log.info(
            "function_deployed",
            deployment_id=deployment.id,
            function_id=deployment.function_id,
            action=deployment.action,
            version=None if function is None else function.version.number,
            attempt=deployment.attempts,
            seconds=round(seconds, 4),
        )
        self._announce(deployment, function, None)

    async def _refuse(self, deployment: Deployment, error: PlatformError, *, undone: bool = True) -> None:
        await deployments.refuse(self._db, deployment, error.record(), undone=undone)
        _finished.labels("refused").inc()
        _log.info(
            "deployment_refused", deployment_id=deployment.id, function_id=deployment.function_id, code=error.code
        )

    async def _announce_as_recorded(self, work: DeployFunction) -> None:
        """
        Say how a deployment ended, as its row has it.

        Whoever ended it may have died before saying so, and the row may have been ended otherwise than we meant to.
        """
        deployment = await deployments.find_deployment(self._db, work.deployment_id)
        if deployment is None:
            raise Reject("there is no such deployment")
        error = deployment.error
        if deployment.state == "cancelled":
            error = UnavailableError("the deployment was called off").record()
        self._announce(deployment, await functions.find_function(self._db, deployment.function_id), error)

    def _announce(self, deployment: Deployment, function: Function | None, error: ErrorRecord | None) -> None:
        """Caches hear of the change before the caller hears of the end, and so before anybody acts on it."""
        if function is not None:
            self._bus.notify(_changed(function))
        self._bus.notify(
            DeploymentFinished(deployment_id=deployment.id, function_id=deployment.function_id, error=error)
        )


def _ends(error: PlatformError) -> bool:
    """Tell whether a deployment ends with an error; what is our own fault is tried again."""
    return error.fault is Fault.CALLER or isinstance(error, CloudUnavailableError)


def _changed(function: Function, *, deleted: bool = False) -> FunctionChanged:
    return FunctionChanged(
        function_id=function.id,
        environment_id=function.environment_id,
        name=function.name,
        revision=function.revision,
        deleted=deleted,
    )


def _description(deployment: Deployment, active: Function | None) -> str:
    """Return the description a function has once it is deployed."""
    if deployment.settings.description is not None:
        return deployment.settings.description
    return "" if active is None else active.description


def _taken_over(spec: VersionSpec, seen: CloudFunction) -> VersionSpec:
    """Return a configuration with what a cloud has of it."""
    return replace(
        spec,
        runtime=seen.runtime or spec.runtime,
        handler=seen.handler or spec.handler,
        architecture=seen.architecture,
        memory_mb=seen.memory_mb,
        timeout_s=seen.timeout_s,
        tmp_mb=seen.tmp_mb,
        environment=dict(seen.environment),
    )
