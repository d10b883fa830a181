"""``/api/workspaces``: workspaces and what they hold (contracts/gateways.md section 3.10). Members: ``members.py``."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import OPTIONAL_TEXT, TEXT, Entry, Parameters
from services.api.operations import projects, workspaces
from services.api.operations.places import enter_workspace
from services.api.operations.plans import plan_of
from shared.domain.errors import InvalidRequestError
from shared.domain.plan import UNLIMITED

_WORKSPACES = "/api/workspaces"
_WORKSPACE = _WORKSPACES + "/{workspaceSlug}"
_NAMED = {"name": TEXT, "description": OPTIONAL_TEXT}


async def show_all(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    found = await workspaces.list_workspaces(door.platform, await door.caller(request))
    return listed("Workspaces retrieved successfully", [views.joined(each) for each in found])


async def check_name(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await door.caller(request)
    name = bodies.query_text(request, "name")
    slug, is_free = await workspaces.offered_slug(door.platform, "accounts", name)
    return done("Name availability checked successfully", {"name": name, "slug": slug, "available": is_free})


async def create(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    made = await workspaces.create_workspace(door.platform, caller, bodies.name(body), bodies.description(body))
    return done("Workspace created successfully", views.workspace(made), 201)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    return done(
        "Workspace retrieved successfully",
        {
            **views.workspace(visit.workspace),
            "plan": views.plan(plan_of(visit.workspace.plan)),
            "userRole": visit.membership.role,
        },
    )


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    if "planId" in body:
        raise InvalidRequestError("The plan is set by the platform", field="planId", issue="not yours to set")
    updated = await workspaces.update_workspace(door.platform, caller, parameters["workspaceSlug"], bodies.change(body))
    return done("Workspace updated successfully", views.workspace(updated))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    visit = await enter_workspace(door.platform, caller, parameters["workspaceSlug"])
    body = await bodies.read_object(request)
    moved = await workspaces.delete_workspace(door.platform, door.desk, visit, bodies.text(body, "password"))
    message = "Workspace deleted successfully"
    if not moved:
        return done(message)
    now = await door.caller(request)
    return done(message, defaultWorkspaceUpdated=True, newDefaultWorkspaceId=now.person.default_workspace)


async def set_default(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    await workspaces.set_default(door.platform, visit)
    workspace = visit.workspace
    return done(
        "Default workspace set successfully",
        {"workspaceId": workspace.number, "workspaceSlug": workspace.slug, "workspaceName": workspace.name},
    )


async def hand_over(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    heir = await workspaces.hand_over(door.platform, visit, bodies.email(await bodies.read_object(request)))
    return done(
        "Workspace ownership transferred successfully",
        {
            "workspaceId": visit.workspace.number,
            "workspaceSlug": visit.workspace.slug,
            "workspaceName": visit.workspace.name,
            "previousOwnerId": visit.caller.person.number,
            "newOwnerId": heir.number,
            "newOwnerEmail": heir.email,
            "newOwnerName": heir.name,
        },
    )


async def show_usage(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_workspace(door.platform, await door.caller(request), parameters["workspaceSlug"])
    usage = await workspaces.workspace_usage(door.platform, visit)
    plan = plan_of(visit.workspace.plan)
    workspace = visit.workspace
    return done(
        "Workspace usage retrieved successfully",
        workspace={"id": workspace.number, "slug": workspace.slug, "name": workspace.name},
        plan={"id": plan.number, "slug": plan.slug, "name": plan.name},
        usage={
            "projects": views.used(usage.projects, plan.projects),
            "environments": views.used(usage.environments, UNLIMITED),
            "resources": views.used(usage.resources, plan.resources),
            "cloudConnections": views.used(usage.cloud_connections, plan.cloud_connections),
            "members": views.used(usage.members, plan.members),
        },
    )


async def show_projects(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    visit = await enter_workspace(door.platform, caller, parameters["workspaceSlug"])
    with_deleted = bodies.asked(request, "include_inactive")
    found = await projects.list_projects(door.platform, caller, visit, with_deleted=with_deleted)
    return listed("Projects retrieved successfully", [views.project(each) for each in found])


async def create_project(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    made = await projects.create_project(
        door.platform, caller, parameters["workspaceSlug"], bodies.name(body), bodies.description(body)
    )
    return done("Project created successfully", views.project(made), 201)


ENTRIES = (
    Entry(method="GET", path=_WORKSPACES, handler=show_all, name="Workspaces", summary="The caller's workspaces"),
    Entry(
        method="POST",
        path=_WORKSPACES,
        handler=create,
        name="CreateWorkspace",
        summary="Make a workspace that the caller owns",
        status="201",
        body=_NAMED,
        required=("name",),
    ),
    Entry(
        method="GET",
        path=_WORKSPACES + "/check-name",
        handler=check_name,
        name="CheckWorkspaceName",
        summary="The slug a name would give, and whether it is free",
        query=("name",),
    ),
    Entry(method="GET", path=_WORKSPACE, handler=show, name="Workspace", summary="A workspace and its plan"),
    Entry(
        method="PATCH",
        path=_WORKSPACE,
        handler=update,
        name="UpdateWorkspace",
        summary="Change a workspace's name, slug or description",
        body={**_NAMED, "slug": TEXT},
    ),
    Entry(
        method="DELETE",
        path=_WORKSPACE,
        handler=delete,
        name="DeleteWorkspace",
        summary="Delete a workspace; its owner confirms with their password",
        body={"password": TEXT},
        required=("password",),
    ),
    Entry(
        method="PATCH",
        path=_WORKSPACE + "/set-default",
        handler=set_default,
        name="SetDefaultWorkspace",
        summary="Open this workspace first from now on",
    ),
    Entry(
        method="POST",
        path=_WORKSPACE + "/transfer",
        handler=hand_over,
        name="TransferWorkspace",
        summary="Make another user the owner; the caller stays as an admin",
        body={"email": TEXT},
        required=("email",),
    ),
    Entry(
        method="GET",
        path=_WORKSPACE + "/usage",
        handler=show_usage,
        name="WorkspaceUsage",
        summary="How much of its plan a workspace uses",
    ),
    Entry(
        method="GET",
        path=_WORKSPACE + "/projects",
        handler=show_projects,
        name="WorkspaceProjects",
        summary="The projects of a workspace that the caller may be in",
        query=("include_inactive",),
    ),
    Entry(
        method="POST",
        path=_WORKSPACE + "/projects",
        handler=create_project,
        name="CreateWorkspaceProject",
        summary="Make a project with its environment master",
        status="201",
        body=_NAMED,
        required=("name",),
    ),
)
