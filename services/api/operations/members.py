"""
Members of a workspace: invited, given another role or other places, removed.

Owners and admins do this, of the whole workspace and not of some places in it; what an owner is, only an owner gives or
takes. Whoever is invited is a member when they accept, with the role they were invited to.
"""

import re

from services.api.access.people import Caller
from services.api.operations.places import InWorkspace
from services.api.operations.plans import plan_of
from services.api.platform import Platform
from shared.database import environments, members, projects, workspaces
from shared.database.members import Invitation, Member, NewInvitation
from shared.database.pool import Connection
from shared.domain.errors import ForbiddenError, InvalidRequestError, NameTakenError, NotFoundError
from shared.domain.plan import most, within_plan
from shared.domain.workspace import Membership, Permission, Role

INVITED_FOR_S = 7 * 86_400.0
_PLACE = re.compile(r"([^/]+)/([^/]+)")


async def invite(platform: Platform, visit: InWorkspace, email: str, membership: Membership) -> Invitation:
    """
    Invite whoever has an email to a workspace the caller may manage the members of.

    Raises:
        ForbiddenError: the caller is narrowed to some places, or makes an owner without being one.
        InvalidRequestError: a place that is none of the workspace's.
        NameTakenError: they are a member, or invited already.
        QuotaExceededError: the plan allows no more members, those invited counted.
    """
    _require_may_give(visit, membership.role)
    await _check_places(platform, visit, membership)
    if await members.is_member(platform.db, visit.workspace.id, email):
        raise NameTakenError(f"{email} is a member of this workspace already", field="email")
    limit = most(plan_of(visit.workspace.plan).members)
    new = NewInvitation(
        account_id=visit.workspace.id,
        email=email,
        membership=membership,
        invited_by=visit.caller.person.id,
        valid_s=INVITED_FOR_S,
    )

    async def work(connection: Connection) -> Invitation:
        await workspaces.lock_workspace(connection, visit.workspace.id)
        if limit is not None:
            within_plan((await workspaces.usage(connection, visit.workspace.id)).members, limit, "workspace members")
        return await members.insert_invitation(connection, new)

    return await platform.db.in_transaction(work)


async def get_member(platform: Platform, visit: InWorkspace, user_number: int) -> Member:
    """Return a member by the number of the user; raise ``NotFoundError``."""
    member = await members.find_member(platform.db, visit.workspace.id, user_number)
    if member is None:
        raise NotFoundError("No such member of this workspace", what="Member")
    return member


async def list_members(
    platform: Platform, visit: InWorkspace, project: str | None, environment: str | None
) -> list[Member]:
    """
    Return the members of a workspace, or those who may be in a project or an environment of it.

    Raises:
        NotFoundError: there is no such project or environment in it.
    """
    if project is not None and (missing := await _missing(platform, visit, project, environment)) is not None:
        raise NotFoundError(missing, what="Project or environment")
    found = await members.list_members(platform.db, visit.workspace.id)
    return [each for each in found if project is None or each.membership.may_be_in(project, environment)]


async def update_member(platform: Platform, visit: InWorkspace, member: Member, membership: Membership) -> Member:
    """
    Give a member another role or other places.

    Raises:
        ForbiddenError: the caller is narrowed to some places, or is none of the owners, who alone say who owners are.
        InvalidRequestError: a place that is none of the workspace's, or the last owner.
        IllegalStateError: the member was given another role just now.
        NotFoundError: the member is gone.
    """
    _require_may_give(visit, member.membership.role)
    _require_may_give(visit, membership.role)
    await _check_places(platform, visit, membership)
    updated = await members.update_member(platform.db, visit.workspace.id, member, membership)
    if updated is None:
        raise NotFoundError("No such member of this workspace", what="Member")
    return updated


async def remove_member(platform: Platform, visit: InWorkspace, member: Member) -> None:
    """Take somebody out of a workspace; raises as ``update_member``."""
    _require_may_give(visit, member.membership.role)
    await members.remove_member(platform.db, visit.workspace.id, member)


async def pending_invitations(platform: Platform, caller: Caller) -> list[Invitation]:
    """Return what the caller is invited to, newest first."""
    return list(await members.pending_invitations(platform.db, caller.person.email))


async def accept_invitation(platform: Platform, caller: Caller, invitation_id: int) -> Invitation:
    """
    Make the caller a member of what they are invited to.

    Raises:
        NotFoundError: no such invitation.
        ForbiddenError: it is to another email.
        InvalidRequestError: it is not pending any more.
        NameTakenError: they are a member already.
    """
    invitation = await _own_invitation(platform, caller, invitation_id)

    async def work(connection: Connection) -> None:
        await _settle(connection, invitation, "accepted")
        if not await workspaces.add_member(connection, invitation.account_id, caller.person.id, invitation.membership):
            raise NameTakenError("You are a member of this workspace already", field="workspace")

    await platform.db.in_transaction(work)
    return invitation


async def decline_invitation(platform: Platform, caller: Caller, invitation_id: int) -> None:
    """End an invitation of the caller's; raises as ``accept_invitation``."""
    invitation = await _own_invitation(platform, caller, invitation_id)
    await platform.db.in_transaction(lambda connection: _settle(connection, invitation, "cancelled"))


async def _own_invitation(platform: Platform, caller: Caller, invitation_id: int) -> Invitation:
    invitation = await members.find_invitation(platform.db, invitation_id)
    if invitation is None:
        raise NotFoundError("No such invitation", what="Invitation")
    if not await members.is_to(platform.db, invitation_id, caller.person.email):
        raise ForbiddenError("This invitation is to another email address")
    return invitation


async def _settle(connection: Connection, invitation: Invitation, status: str) -> None:
    if not await members.settle_invitation(connection, invitation.id, status):
        raise InvalidRequestError(
            "The invitation has been accepted or cancelled, or has expired", field="invitation", issue="not pending"
        )


def _require_may_give(visit: InWorkspace, role: Role) -> None:
    if visit.membership.may_give(role):
        return
    if role is Role.OWNER:
        raise ForbiddenError("Only an owner says who is an owner", required=Permission.MANAGE_WORKSPACE)
    raise ForbiddenError("Your membership does not extend to the whole workspace")


async def _check_places(platform: Platform, visit: InWorkspace, membership: Membership) -> None:
    """Refuse places that are not there."""
    if membership.is_everywhere:
        return
    assert membership.places is not None  # else everywhere
    for place in membership.places:
        parts = _PLACE.fullmatch(place)
        if parts is None:
            raise _wrong_place(
                f'Invalid format: "{place}". Expected format: "projectSlug/environmentSlug" or "projectSlug/*"'
            )
        missing = await _missing(platform, visit, parts[1], None if parts[2] == "*" else parts[2])
        if missing is not None:
            raise _wrong_place(missing)


async def _missing(platform: Platform, visit: InWorkspace, project: str, environment: str | None) -> str | None:
    """Say what of a place is not there; None when all of it is."""
    found = await projects.find_project(platform.db, project, visit.caller.person.id)
    if found is None or found[0].account_id != visit.workspace.id:
        return f'Project "{project}" does not exist in this workspace'
    if environment is None or await environments.find_environment(platform.db, found[0].id, environment) is not None:
        return None
    return f'Environment "{environment}" does not exist in project "{project}"'


def _wrong_place(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, field="projectPermissions", issue="unknown place")
