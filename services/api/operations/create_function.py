"""Making a function: its first version is deployed before the caller hears of it."""

from dataclasses import dataclass, field
from typing import Literal

from services.api.access.permissions import authorize
from services.api.operations.deploy import deploy
from services.api.platform import Platform
from shared.database import functions
from shared.database.deployments import NewDeployment, open_deployment
from shared.database.functions import FunctionSettings
from shared.domain.errors import InvalidRequestError, QuotaExceededError
from shared.domain.function import Function, PermissionMode, RetryPolicy, VersionSpec
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_function_id


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
        NameTakenError: another function of the environment has the name.
        InvalidPackageError, InvalidCodeError: the deployer refuses the upload; nothing is left of it.
        UnavailableError: no deployer, no bus or no database; nothing is left of it either.
    """
    authorize(identity, Action.CREATE_FUNCTION)
    require_time_limit(platform, wanted.spec)
    deployment = NewDeployment(
        function_id=new_function_id(),
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
