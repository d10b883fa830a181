"""``/api/projects``: projects and their environments (contracts/gateways.md section 3.10)."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import OPTIONAL_TEXT, TEXT, Entry, Parameters
from services.api.operations import projects
from services.api.operations.places import InProject, enter_project
from services.api.operations.plans import plan_of
from services.api.operations.workspaces import offered_slug
from shared.domain.workspace import Permission

_PROJECTS = "/api/projects"
PROJECT = _PROJECTS + "/{projectSlug}"
_NAMED = {"name": TEXT, "description": OPTIONAL_TEXT}


async def show_all(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    with_deleted = bodies.asked(request, "include_inactive")
    found = await projects.list_projects(door.platform, caller, with_deleted=with_deleted)
    return listed("Projects retrieved successfully", [views.project(each) for each in found])


async def check_name(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await door.caller(request)
    name = bodies.query_text(request, "name")
    slug, is_free = await offered_slug(door.platform, "projects", name)
    return done("Name availability checked successfully", {"name": name, "slug": slug, "available": is_free})


async def create(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    workspace = None if body.get("workspaceSlug") is None else bodies.text(body, "workspaceSlug")
    made = await projects.create_project(door.platform, caller, workspace, bodies.name(body), bodies.description(body))
    return done("Project created successfully", views.project(made), 201)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters)
    return done("Project retrieved successfully", views.project(visit.project))


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.MANAGE_PROJECTS)
    change = bodies.change(await bodies.read_object(request))
    updated = await projects.update_project(door.platform, visit, change)
    return done("Project updated successfully", views.project(updated))


async def set_default(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.MANAGE_PROJECTS)
    project = await projects.set_default_project(door.platform, visit)
    return done("Project set as default successfully", views.project(project))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.MANAGE_PROJECTS)
    await projects.delete_project(door.platform, visit)
    return done("Project deleted successfully")


async def show_usage(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters)
    environments, resources = await projects.project_usage(door.platform, visit)
    plan = plan_of(visit.project.plan)
    used = views.used(resources, plan.resources_per_project)
    return done(
        "Project usage retrieved successfully",
        project={"id": visit.project.number, "slug": visit.project.slug, "name": visit.project.name},
        plan={"id": plan.number, "slug": plan.slug, "name": plan.name},
        usage={
            "environments": views.used(environments, plan.environments_per_project),
            "resources": {"total": used.pop("current"), **used},
        },
    )


async def _enter(
    door: Door, request: web.BaseRequest, parameters: Parameters, permission: Permission | None = None
) -> InProject:
    return await enter_project(door.platform, await door.caller(request), parameters["projectSlug"], permission)


ENTRIES = (
    Entry(
        method="GET",
        path=_PROJECTS,
        handler=show_all,
        name="Projects",
        summary="The projects of all workspaces that the caller may be in",
        query=("include_inactive",),
    ),
    Entry(
        method="POST",
        path=_PROJECTS,
        handler=create,
        name="CreateProject",
        summary="Make a project in a workspace, or in the caller's first one",
        status="201",
        body={**_NAMED, "workspaceSlug": TEXT},
        required=("name",),
    ),
    Entry(
        method="GET",
        path=_PROJECTS + "/check-name",
        handler=check_name,
        name="CheckProjectName",
        summary="The slug a name would give, and whether it is free",
        query=("name",),
    ),
    Entry(method="GET", path=PROJECT, handler=show, name="Project", summary="A project"),
    Entry(
        method="PATCH",
        path=PROJECT,
        handler=update,
        name="UpdateProject",
        summary="Change a project's name, slug or description",
        body={**_NAMED, "slug": TEXT},
    ),
    Entry(
        method="DELETE",
        path=PROJECT,
        handler=delete,
        name="DeleteProject",
        summary="Delete a project; what it deployed stays where it is",
    ),
    Entry(
        method="PATCH",
        path=PROJECT + "/set-default",
        handler=set_default,
        name="SetDefaultProject",
        summary="Make a project its workspace's default",
    ),
    Entry(
        method="GET",
        path=PROJECT + "/usage",
        handler=show_usage,
        name="ProjectUsage",
        summary="How much of the plan a project uses",
    ),
)
