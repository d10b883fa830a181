"""
Connections of a workspace into cloud accounts: begun, completed by being let in, linked to projects, deleted.

They belong to the whole workspace, so a member narrowed to some places may look but not change them. Completing really
enters the account: what does not let us in is kept as failed, with the reason, and may be tried again.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from services.api.operations.places import InProject, InWorkspace
from services.api.operations.plans import plan_of
from services.api.platform import Entrance, Platform
from shared.database import cloud_connections, projects
from shared.database.cloud_connections import CloudConnection
from shared.database.projects import Project
from shared.domain.cloud_errors import CloudDeniedError, CloudRefusedError, NotConnectedError
from shared.domain.errors import ForbiddenError, IllegalStateError, NotFoundError
from shared.domain.ids import new_record_id
from shared.domain.placement import AWS
from shared.domain.plan import most, within_plan

DEPLOY_ROLE = "GatewaysAppDeployRole"
"""What ``infrastructure/customer-connector.yaml`` calls the role that lets us in."""

_STACK = "DeploCloudConnection-"
_EXTERNAL_ID_BYTES = 20
_MAX_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """
    A connection that waits for its role, and what the stack that makes the role is to be given.

    ``console_url`` makes the stack in the AWS console; None where the settings do not say whom the role is to trust, or
    where the template was put.
    """

    connection: CloudConnection
    stack_name: str
    external_id: str
    trusted_account: str | None
    template_url: str | None
    console_url: str | None


async def list_connections(
    platform: Platform, visit: InWorkspace, *, provider: str | None, status: str | None, with_deleted: bool
) -> Sequence[CloudConnection]:
    """Return the connections of a workspace, the oldest first; None does not filter."""
    return await cloud_connections.list_connections(
        platform.db, visit.workspace.id, provider=provider, status=status, deleted=with_deleted
    )


async def begin_aws(platform: Platform, visit: InWorkspace, region: str) -> Begun:
    """
    Keep a connection into an AWS account that is not known yet, with an external id of its own.

    Raises:
        ForbiddenError: the caller is narrowed to some places.
        QuotaExceededError: the workspace has as many connections as its plan allows.
        UnavailableError: there is no master key to seal the external id with.
    """
    await _require_room(platform, visit)
    connection_id, external_id = new_record_id(), secrets.token_hex(_EXTERNAL_ID_BYTES)
    sealed = await platform.envelope.seal(external_id.encode(), connection_id)
    made = await cloud_connections.insert_pending(
        platform.db,
        connection_id=connection_id,
        account_id=visit.workspace.id,
        provider=AWS,
        region=region,
        sealed=sealed,
    )
    stack = f"{_STACK}{made.number}"
    return Begun(
        connection=made,
        stack_name=stack,
        external_id=external_id,
        trusted_account=platform.aws.account_id,
        template_url=platform.aws.connector_template_url,
        console_url=_console_url(platform, region, stack, external_id),
    )


async def complete_aws(
    platform: Platform, visit: InWorkspace, number: int, cloud_account_id: str, name: str
) -> CloudConnection:
    """
    Enter the account as the deploy role of its stack, and from then on use the connection.

    Raises:
        NotFoundError: the workspace has no such connection.
        QuotaExceededError: the workspace has as many connections as its plan allows.
        IllegalStateError: it is complete already, or is not one into AWS.
        NameTakenError: another connection of the workspace has the name.
        NotConnectedError: we were not let in; ``details`` and ``suggestion`` say why, the connection is failed.
        UnavailableError: AWS or the master key is out of reach; the connection stays as it was.
    """
    found = await find(platform, visit, number)
    if found.provider != AWS or found.status not in ("pending", "failed"):
        raise IllegalStateError("Only a pending or failed connection can be completed", state=found.status)
    await _require_room(platform, visit)
    sealed = await cloud_connections.credential_of(platform.db, found.id)
    if sealed is None:
        raise _unknown()
    role_arn = f"arn:aws:iam::{cloud_account_id}:role/{DEPLOY_ROLE}"
    entrance = Entrance(
        connection_id=found.id,
        role_arn=role_arn,
        external_id=(await platform.envelope.open(sealed, found.id)).decode(),
        region=found.region,
    )
    try:
        await platform.enter_cloud(entrance)
    except (CloudDeniedError, CloudRefusedError) as error:
        details = str(error.fields.get("details", ""))
        reason = f"{error.message}: {details}" if details else error.message
        await cloud_connections.fail(platform.db, found.id, reason[:_MAX_REASON])
        raise NotConnectedError(
            f"We were not let into account {cloud_account_id}: {error.message}", **{**error.fields, "issue": "refused"}
        ) from error
    done = await cloud_connections.complete(
        platform.db,
        found.id,
        name=name,
        cloud_account_id=cloud_account_id,
        role_arn=role_arn,
        most=_limit(visit),
    )
    if done is None:
        raise IllegalStateError("The connection was completed or deleted meanwhile")
    return done


async def connect_local(platform: Platform, visit: InWorkspace) -> CloudConnection:
    """Return the connection to this installation itself; make it if the workspace has none any more."""
    _require_everywhere(visit)
    return await cloud_connections.ensure_local(platform.db, visit.workspace.id)


async def rename(platform: Platform, visit: InWorkspace, number: int, name: str | None) -> CloudConnection:
    """Give a connection another name; None leaves it. Raises ``NotFoundError``, ``NameTakenError``."""
    _require_everywhere(visit)
    found = await find(platform, visit, number)
    renamed = found if name is None else await cloud_connections.rename(platform.db, found.id, name)
    if renamed is None:
        raise _unknown()
    return renamed


async def delete(platform: Platform, visit: InWorkspace, number: int) -> None:
    """
    Delete a connection and unlink its projects.

    Raises:
        NotFoundError: the workspace has no such connection.
        IllegalStateError: functions are at the other end.
    """
    _require_everywhere(visit)
    await cloud_connections.delete_connection(platform.db, (await find(platform, visit, number)).id)


async def link(platform: Platform, visit: InProject, number: int) -> Project:
    """
    Have the functions that a project will make go through a connection; return the project as it is then.

    Raises:
        NotFoundError: the project's workspace has no such connection.
        NotConnectedError: the connection is not one that may be used.
        IllegalStateError: functions of the project are at the one it is linked to.
    """
    found = await cloud_connections.find_numbered(platform.db, visit.project.account_id, number)
    if found is None:
        raise _unknown()
    if not found.is_usable:
        raise NotConnectedError("The cloud connection is not active", issue="not active")
    return await _link(platform, visit, found.id)


async def unlink(platform: Platform, visit: InProject) -> Project:
    """Link a project to nothing; raise ``IllegalStateError`` while functions of it are at a connection."""
    return await _link(platform, visit, None)


async def linked(platform: Platform, visit: InProject) -> CloudConnection:
    """Return the connection a project is linked to; raise ``NotConnectedError``."""
    found = await cloud_connections.find_linked(platform.db, visit.project.id)
    if found is None:
        raise NotConnectedError("The project is not linked to a cloud connection", issue="none")
    return found


async def find(platform: Platform, visit: InWorkspace, number: int) -> CloudConnection:
    """Return a connection of a workspace; raise ``NotFoundError``."""
    found = await cloud_connections.find_numbered(platform.db, visit.workspace.id, number)
    if found is None:
        raise _unknown()
    return found


async def _link(platform: Platform, visit: InProject, connection_id: str | None) -> Project:
    await cloud_connections.link(platform.db, visit.project.id, connection_id)
    again = await projects.find_project(platform.db, visit.project.slug, visit.caller.person.id)
    if again is None:
        raise NotFoundError("The specified project does not exist", what="Project")
    return again[0]


async def _require_room(platform: Platform, visit: InWorkspace) -> None:
    """Refuse one more connection than the plan allows: those in use count, this installation itself does not."""
    _require_everywhere(visit)
    used = await cloud_connections.in_use(platform.db, visit.workspace.id)
    within_plan(used, _limit(visit), "cloud connections")


def _limit(visit: InWorkspace) -> int | None:
    return most(plan_of(visit.workspace.plan).cloud_connections)


def _require_everywhere(visit: InWorkspace) -> None:
    if not visit.membership.is_everywhere:
        raise ForbiddenError("Your membership does not extend to the whole workspace")


def _unknown() -> NotFoundError:
    return NotFoundError("The specified cloud connection does not exist", what="Cloud connection")


def _console_url(platform: Platform, region: str, stack: str, external_id: str) -> str | None:
    """Return the page of the AWS console that makes the stack, filled in."""
    trusted, template = platform.aws.account_id, platform.aws.connector_template_url
    if trusted is None or template is None:
        return None
    filled = urlencode(
        {
            "templateURL": template,
            "stackName": stack,
            "param_ExternalId": external_id,
            "param_TrustedAccountId": trusted,
        }
    )
    return f"https://{region}.console.aws.amazon.com/cloudformation/home?region={region}#/stacks/create/review?{filled}"
