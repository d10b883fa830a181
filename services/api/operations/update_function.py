"""
Changing a function, all or nothing.

What applies at once (description, tags, permission mode, ...) is one statement. What runs (code, runtime, limits,
environment) is a new version that the deployer makes; settings that come with it apply when it does. Until then
the old version serves, and when the change is refused nothing has changed.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.api.access.permissions import authorize
from services.api.operations.create_function import Upload, require_time_limit, source_of, stored
from services.api.operations.deploy import PAUSE_S, deploy, forget
from services.api.platform import Platform
from shared.database import functions
from shared.database.deployments import NewDeployment, cancel_pending, open_deployment
from shared.database.functions import FunctionSettings
from shared.domain.errors import (
    FunctionNotFoundError,
    IllegalStateError,
    InvalidRequestError,
    NameTakenError,
    UnavailableError,
)
from shared.domain.function import LOCKED_VALUE, Convention, Function, PermissionMode, RetryPolicy, VersionSpec
from shared.domain.identity import Action, Identity
from shared.domain.placement import LOCAL
from shared.domain.runtime import require_runtime
from shared.messages.messages import FunctionChanged

BUSY = "busy"
"""The field ``issue`` of the error when others keep changing the function for longer than a caller waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPatch:
    """
    A change; None leaves a thing as it is. What is given replaces the old value whole.

    Of ``environment`` the variables named in ``kept_variables`` keep the value they have, and so do locked ones that
    come back as they are shown.
    """

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    enabled: bool | None = None
    permission_mode: PermissionMode | None = None
    default_priority: int | None = None
    retry_policy: RetryPolicy | None = None
    upload: Upload | None = None
    runtime: str | None = None
    handler: str | None = None
    timeout_s: int | None = None
    memory_mb: int | None = None
    tmp_mb: int | None = None
    environment: Mapping[str, str] | None = None
    kept_variables: frozenset[str] = frozenset()
    locked_variables: tuple[str, ...] | None = None
    secrets: tuple[str, ...] | None = None
    architecture: str | None = None


async def update_function(platform: Platform, identity: Identity, function: Function, patch: FunctionPatch) -> Function:
    """
    Change a function and wait until the change is in force; return the function as it is then.

    Raises:
        ForbiddenError: the caller may not change functions.
        FunctionNotFoundError: it was deleted meanwhile.
        NameTakenError: another function has the new name.
        InvalidRequestError: the runtime, the kind of upload or the time limit does not fit.
        InvalidPackageError, InvalidCodeError: the deployer refuses the upload.
        UnavailableError: no deployer, no bus or no database, or others keep changing this function.
    """
    authorize(identity, Action.UPDATE_FUNCTION, function)
    _require_fit(function, patch)
    settings, spec = _settings(patch), _spec(function, patch)
    if patch.timeout_s is not None:
        require_time_limit(platform, spec)
    if patch.upload is None and spec == function.version.spec and not _reaches_a_cloud(function, patch):
        return await change_settings(platform, function, settings)
    if patch.name is not None:
        await _require_free(platform, function, patch.name)
    deployment_id = await _open(platform, function.id, patch, settings)
    return await deploy(platform, deployment_id, function.id)


async def change_settings(platform: Platform, function: Function, settings: FunctionSettings) -> Function:
    """Change what needs no new version, and tell everybody. The caller is authorised already."""
    changed = await functions.update_settings(platform.db, function.id, settings)
    if changed is None:
        raise FunctionNotFoundError("no such function")
    announce(platform, changed)
    return changed


def announce(platform: Platform, function: Function, *, deleted: bool = False) -> None:
    """Have every replica drop what it remembers of a function; this one does so at once."""
    forget(platform, function, deleted=deleted)
    platform.bus.notify(
        FunctionChanged(
            function_id=function.id,
            environment_id=function.environment_id,
            name=function.name,
            revision=function.revision,
            deleted=deleted,
        )
    )


async def _open(platform: Platform, function_id: str, patch: FunctionPatch, settings: FunctionSettings) -> str:
    """
    Open the deployment on the version that is active now; return its id.

    Another change may be under way: it is waited for. One that ended between our reading and our opening would
    be undone by what we read, so then we read again.
    """
    sha256 = await stored(platform, patch.upload) if patch.upload is not None else None
    give_up_at = time.monotonic() + platform.limits.change_wait_s
    while time.monotonic() < give_up_at:
        current = await functions.find_function(platform.db, function_id)
        if current is None:
            raise FunctionNotFoundError("no such function")
        deployment = NewDeployment(
            function_id=function_id,
            spec=_spec(current, patch),
            upload_kind=patch.upload.kind if patch.upload is not None else None,
            upload_sha256=sha256,
            source=source_of(patch.upload) if patch.upload is not None else None,
            settings=settings,
        )
        try:
            await open_deployment(platform.db, deployment)
        except IllegalStateError:
            await asyncio.sleep(PAUSE_S)
            continue
        taken = await functions.find_function(platform.db, function_id)
        if taken is not None and taken.version.id == current.version.id:
            return deployment.id
        await cancel_pending(platform.db, deployment.id)
    raise UnavailableError("the function is being changed by others; try again later", issue=BUSY)


async def _require_free(platform: Platform, function: Function, name: str) -> None:
    other = await functions.find_by_name(platform.db, function.environment_id, name)
    if other is not None and other.id != function.id:
        raise NameTakenError(f"another function is called {name}")


def _require_fit(function: Function, patch: FunctionPatch) -> None:
    convention = function.version.spec.convention
    if patch.runtime is not None:
        require_runtime(patch.runtime, convention)
    fitting = ("source",) if convention is Convention.NEO else ("zip", "text", "edit")
    if patch.upload is not None and patch.upload.kind not in fitting:
        raise InvalidRequestError(
            f"the code of this function is replaced by a {fitting[0]}", field="code", issue="wrong kind"
        )


def _reaches_a_cloud(function: Function, patch: FunctionPatch) -> bool:
    """Tell whether a cloud is to have something that may be as it was here: it may be otherwise there."""
    return function.provider != LOCAL and (patch.description is not None or bool(_given(function, patch)))


def _spec(function: Function, patch: FunctionPatch) -> VersionSpec:
    return replace(function.version.spec, **_given(function, patch))  # type: ignore[arg-type] # the names of its fields


def _given(function: Function, patch: FunctionPatch) -> dict[str, object]:
    """Return what a change says of a version, by the names of its fields."""
    given = {
        "runtime": patch.runtime,
        "handler": patch.handler,
        "timeout_s": patch.timeout_s,
        "memory_mb": patch.memory_mb,
        "tmp_mb": patch.tmp_mb,
        "environment": _environment(function, patch),
        "secrets": patch.secrets,
        "architecture": patch.architecture,
    }
    return {name: value for name, value in given.items() if value is not None}


def _environment(function: Function, patch: FunctionPatch) -> Mapping[str, str] | None:
    if patch.environment is None:
        return None
    old, given = function.version.spec.environment, patch.environment
    locked = {name for name in function.locked_variables if given.get(name) == LOCKED_VALUE}
    keeps = patch.kept_variables | locked & old.keys()
    return {name: value for name, value in given.items() if name not in keeps} | {
        name: old[name] for name in keeps if name in old
    }


def _settings(patch: FunctionPatch) -> FunctionSettings:
    return FunctionSettings(
        name=patch.name,
        description=patch.description,
        tags=patch.tags,
        enabled=patch.enabled,
        permission_mode=patch.permission_mode,
        default_priority=patch.default_priority,
        retry_policy=patch.retry_policy,
        locked_variables=patch.locked_variables,
    )
