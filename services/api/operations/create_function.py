"""
Making a function: its first version is deployed before the caller hears of it.

It goes where the project of the environment is linked to: to this installation, or to an account at a cloud. What only
our own invokers can run stays here.
"""

from dataclasses import dataclass, field
from typing import Literal

from services.api.access.permissions import authorize
from services.api.operations.deploy import deploy
from services.api.platform import Platform
from shared.database import cloud_connections, functions
from shared.database.deployments import NewDeployment, open_deployment
from shared.database.functions import FunctionSettings
from shared.domain import lambda_rules
from shared.domain.cloud_errors import NotConnectedError
from shared.domain.errors import InvalidRequestError, QuotaExceededError
from shared.domain.function import Convention, Function, PermissionMode, RetryPolicy, VersionSpec
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_function_id
from shared.domain.placement import LOCAL, Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """
    What a caller gives to run: a zip, or the UTF-8 text of one source file.

    ``text`` is a zip of which the text files alone are wanted, ``edit`` a change of one file as JSON.
    """

    kind: Literal["zip", "source", "text", "edit"]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFunction:
    """A function as it is asked for. The dialect has checked every field against its own rules."""

    name: str
    spec: VersionSpec
    upload: Upload
    description: str = ""
    permission_mode: PermissionMode = PermissionMode.PERMISSION_REQUIRED
    default_priority: int = 0
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    tags: tuple[str, ...] = ()


async def create_function(platform: Platform, identity: Identity, wanted: NewFunction) -> Function:
    """
    Make a function in the caller's environment and wait until it can be called.

    Raises:
        ForbiddenError: the caller may not create functions.
        InvalidRequestError: the time limit is longer than this platform grants.
        NameTakenError: another function of the environment, or of the account at the cloud, has the name.
        NotConnectedError: the connection of the project may not be used.
        CloudDeniedError, CloudRefusedError: the cloud does not make it; nothing is left.
        InvalidPackageError, InvalidCodeError: the deployer refuses the upload; nothing is left of it.
        UnavailableError: no deployer, no bus, no database or no cloud; nothing is left of it either.
    """
    authorize(identity, Action.CREATE_FUNCTION)
    require_time_limit(platform, wanted.spec)
    function_id = new_function_id()
    placement = await _placement(platform, identity, wanted, function_id)
    deployment = NewDeployment(
        function_id=function_id,
        provider=LOCAL if placement is None else placement.provider,
        placement=placement,
        account_id=identity.account_id,
        environment_id=identity.environment_id,
        name=wanted.name,
        creates=True,
        spec=wanted.spec,
        upload_kind=wanted.upload.kind,
        upload_sha256=await stored(platform, wanted.upload),
        source=source_of(wanted.upload),
        settings=FunctionSettings(
            description=wanted.description,
            tags=wanted.tags,
            permission_mode=wanted.permission_mode,
            default_priority=wanted.default_priority,
            retry_policy=wanted.retry_policy,
        ),
    )
    await open_deployment(platform.db, deployment)
    return await deploy(platform, deployment.id, deployment.function_id)


async def _placement(platform: Platform, identity: Identity, wanted: NewFunction, function_id: str) -> Placement | None:
    """
    Return where at a cloud a function is to be; None for this installation.

    It gets no address of its own there: it is called through the platform, by those whom its permission mode lets.
    """
    if wanted.spec.convention is Convention.NEO:
        return None
    connection = await cloud_connections.find_linked_to_environment(platform.db, identity.environment_id)
    if connection is None or connection.provider == LOCAL:
        return None
    if not connection.is_usable:
        raise NotConnectedError("the project's cloud connection is not active", issue="not active")
    return Placement(
        function_id=function_id,
        provider=connection.provider,
        connection_id=connection.id,
        account_id=connection.cloud_account_id or "",
        region=connection.region,
        name=lambda_rules.cloud_name(wanted.name),
        is_public=False,
    )


async def require_quota(platform: Platform, identity: Identity) -> None:
    """Raise ``QuotaExceededError`` when the account has as many functions as it may; not every dialect has a quota."""
    limit = platform.limits.functions_per_account
    if await functions.count_functions(platform.db, identity.account_id) >= limit:
        raise QuotaExceededError(f"the account may not have more than {limit} functions", limit=limit)


def require_time_limit(platform: Platform, spec: VersionSpec) -> None:
    """Refuse a time limit beyond the operator's, which the leases and the broker's patience are made for."""
    limit = platform.limits.max_timeout_s
    if spec.timeout_s > limit:
        raise InvalidRequestError(
            f"the time limit may be at most {limit} seconds on this platform", field="timeout", issue="out of range"
        )


async def stored(platform: Platform, upload: Upload) -> str | None:
    """Keep a zip in the package store and return its digest; what is text travels in the deployment's row."""
    return await platform.packages.put(upload.content) if upload.kind in ("zip", "text") else None


def source_of(upload: Upload) -> str | None:
    """Return the text of an upload that is one."""
    return upload.content.decode() if upload.kind in ("source", "edit") else None
