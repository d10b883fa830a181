"""Members of workspaces, roles and invitations (contracts/gateways.md section 3.10)."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.operations import members
from services.api.operations.places import InWorkspace, enter_workspace
from shared.database.members import Member
from shared.domain.errors import InvalidRequestError
from shared.domain.workspace import Permission, Role

_MEMBERS = "/api/workspaces/{workspaceSlug}/members"
_MEMBER = _MEMBERS + "/{userId}"
_INVITATION = "/api/workspaces/invitations/{invitationId}"
_PLACES = {"type": ["string", "array", "null"], "description": '`"*"`, or `"project/environment"` and `"project/*"`.'}
_NAMES = {
    Role.OWNER: ("Owner", "Owns the workspace: may do everything, and delete it"),
    Role.ADMIN: ("Administrator", "May do everything but delete the workspace"),
    Role.BILLING: ("Billing Manager", "Sees what there is and what it costs"),
    Role.DEV: ("Developer", "Makes, changes and deletes projects, environments and functions"),
    Role.VIEWER: ("Viewer", "Sees what there is"),
    Role.MEMBER: ("Member", "The same as a viewer"),
}


async def show_roles(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await door.caller(request)
    roles = [
        {
            "id": number,
            "code": role,
            "name": _NAMES[role][0],
            "description": _NAMES[role][1],
            "permissions": views.permissions(role),
            "isSystemRole": role is Role.OWNER,
            "isActive": True,
            "displayOrder": number,
        }
        for number, role in enumerate(Role, 1)
    ]
    return listed("Workspace roles retrieved successfully", roles)


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    project, environment = request.query.get("projectSlug"), request.query.get("environmentSlug")
    if environment is not None and project is None:
        raise InvalidRequestError("environmentSlug needs projectSlug", field="projectSlug", issue="missing")
    found = await members.list_members(door.platform, visit, project, environment)
    filtered = {} if project is None else {"filter": {"projectSlug": project, "environmentSlug": environment}}
    return listed(
        "Workspace members retrieved successfully",
        [views.member(each, visit.workspace.number) for each in found],
        **filtered,
    )


async def invite(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _managing(door, request, parameters)
    body = await bodies.read_object(request)
    membership = bodies.membership(body, Role.MEMBER)
    made = await members.invite(door.platform, visit, bodies.email(body), membership)
    return done(
        "Invitation made. The user will be added to the workspace when they accept it.",
        {"invitation": views.invitation(made)},
        201,
    )


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _managing(door, request, parameters)
    member = await _member(door, visit, parameters)
    wanted = bodies.membership(await bodies.read_object(request), places=member.membership.places)
    updated = await members.update_member(door.platform, visit, member, wanted)
    return done("Member role updated successfully", views.member(updated, visit.workspace.number))


async def remove(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _managing(door, request, parameters)
    await members.remove_member(door.platform, visit, await _member(door, visit, parameters))
    return done("Member removed from workspace successfully")


async def show_permissions(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    member = await _member(door, visit, parameters)
    return done(
        "Member permissions retrieved successfully",
        {
            "userId": member.user_number,
            "role": member.membership.role,
            "permissions": views.permissions(member.membership.role),
            "projectPermissions": views.places(member.membership),
        },
    )


async def show_invitations(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    found = await members.pending_invitations(door.platform, await door.caller(request))
    return listed("Pending invitations retrieved successfully", [views.invitation(each) for each in found])


async def accept(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    taken = await members.accept_invitation(door.platform, caller, _invitation_id(parameters))
    return done(
        "Invitation accepted successfully",
        {
            "workspace": {"id": taken.workspace_number, "name": taken.workspace_name, "slug": taken.workspace_slug},
            "role": taken.membership.role,
            "permissions": views.permissions(taken.membership.role),
        },
    )


async def decline(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    await members.decline_invitation(door.platform, caller, _invitation_id(parameters))
    return done("Invitation declined successfully")


async def _managing(door: Door, request: web.BaseRequest, parameters: Parameters) -> InWorkspace:
    """Let in who may manage members."""
    caller = await door.caller(request)
    return await enter_workspace(door.platform, caller, parameters["workspaceSlug"], Permission.MANAGE_MEMBERS)


async def _member(door: Door, visit: InWorkspace, parameters: Parameters) -> Member:
    return await members.get_member(door.platform, visit, bodies.number(parameters["userId"], "user"))


def _invitation_id(parameters: Parameters) -> int:
    return bodies.number(parameters["invitationId"], "invitation")


ENTRIES = (
    Entry(
        method="GET",
        path="/api/workspaces/roles",
        handler=show_roles,
        name="Roles",
        summary="What a member may be, and what each role allows",
    ),
    Entry(
        method="GET",
        path=_MEMBERS,
        handler=show_all,
        name="Members",
        summary="The members of a workspace, or of a place in it",
        query=("projectSlug", "environmentSlug"),
    ),
    Entry(
        method="POST",
        path=_MEMBERS,
        handler=invite,
        name="Invite",
        summary="Invite whoever has an email; they are a member when they accept",
        status="201",
        body={"email": TEXT, "role": {"enum": list(Role)}, "projectPermissions": _PLACES},
        required=("email",),
    ),
    Entry(
        method="PATCH",
        path=_MEMBER,
        handler=update,
        name="UpdateMember",
        summary="Give a member another role or other places",
        body={"role": {"enum": list(Role)}, "projectPermissions": _PLACES},
        required=("role",),
    ),
    Entry(
        method="DELETE", path=_MEMBER, handler=remove, name="RemoveMember", summary="Take a member out of a workspace"
    ),
    Entry(
        method="GET",
        path=_MEMBER + "/permissions",
        handler=show_permissions,
        name="MemberPermissions",
        summary="What a member may do, and where",
    ),
    Entry(
        method="GET",
        path="/api/workspaces/invitations/pending",
        handler=show_invitations,
        name="Invitations",
        summary="What the caller is invited to",
    ),
    Entry(
        method="POST",
        path=_INVITATION + "/accept",
        handler=accept,
        name="AcceptInvitation",
        summary="Become a member of what the caller is invited to",
    ),
    Entry(
        method="POST",
        path=_INVITATION + "/decline",
        handler=decline,
        name="DeclineInvitation",
        summary="End an invitation of the caller's",
    ),
)
