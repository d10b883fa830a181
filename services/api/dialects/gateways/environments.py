"""``/api/projects/{projectSlug}/environments`` (contracts/gateways.md section 3.10)."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.projects import PROJECT
from services.api.dialects.gateways.table import OPTIONAL_TEXT, TEXT, Entry, Parameters
from services.api.operations import projects
from services.api.operations.places import InEnvironment, enter_environment, enter_project
from services.api.operations.workspaces import offered_slug
from shared.database.environments import ProjectEnvironment
from shared.domain.workspace import Permission

_ENVIRONMENTS = PROJECT + "/environments"
_ENVIRONMENT = _ENVIRONMENTS + "/{environmentSlug}"
_NAMED = {"name": TEXT, "description": OPTIONAL_TEXT}


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_project(door.platform, await door.caller(request), parameters["projectSlug"])
    with_deleted = bodies.asked(request, "include_inactive")
    found = await projects.list_environments(door.platform, visit, with_deleted=with_deleted)
    shown = [views.environment(each, visit.project.number) for each in found]
    return listed("Environments retrieved successfully", shown)


async def check_name(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await enter_project(door.platform, await door.caller(request), parameters["projectSlug"])
    name = bodies.query_text(request, "name")
    slug, is_free = await offered_slug(door.platform, "environments", name, visit.project.id)
    return done(
        "Name availability checked successfully",
        {
            "name": name,
            "slug": slug,
            "available": is_free,
            "projectId": visit.project.number,
            "projectSlug": visit.project.slug,
        },
    )


async def create(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    visit = await enter_project(door.platform, caller, parameters["projectSlug"], Permission.MANAGE_ENVIRONMENTS)
    body = await bodies.read_object(request)
    made = await projects.create_environment(
        door.platform,
        visit,
        bodies.name(body),
        bodies.description(body),
        is_default=bodies.switch(body, "isDefault"),
    )
    return done("Environment created successfully", views.environment(made, visit.project.number), 201)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.VIEW_RESOURCES)
    return _one("Environment retrieved successfully", visit, visit.environment)


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters)
    change = bodies.change(await bodies.read_object(request))
    updated = await projects.update_environment(door.platform, visit, change)
    return _one("Environment updated successfully", visit, updated)


async def set_default(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters)
    environment = await projects.set_default_environment(door.platform, visit)
    return _one("Environment set as default successfully", visit, environment)


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    await projects.delete_environment(door.platform, await _enter(door, request, parameters))
    return done("Environment deleted successfully")


def _one(message: str, visit: InEnvironment, environment: ProjectEnvironment) -> web.Response:
    return done(message, views.environment(environment, visit.project.number))


async def _enter(
    door: Door,
    request: web.BaseRequest,
    parameters: Parameters,
    permission: Permission = Permission.MANAGE_ENVIRONMENTS,
) -> InEnvironment:
    caller = await door.caller(request)
    return await enter_environment(
        door.platform, caller, parameters["projectSlug"], parameters["environmentSlug"], permission
    )


ENTRIES = (
    Entry(
        method="GET",
        path=_ENVIRONMENTS,
        handler=show_all,
        name="Environments",
        summary="The environments of a project that the caller may be in",
        query=("include_inactive",),
    ),
    Entry(
        method="POST",
        path=_ENVIRONMENTS,
        handler=create,
        name="CreateEnvironment",
        summary="Make an environment",
        status="201",
        body={**_NAMED, "isDefault": {"type": "boolean"}},
        required=("name",),
    ),
    Entry(
        method="GET",
        path=_ENVIRONMENTS + "/check-name",
        handler=check_name,
        name="CheckEnvironmentName",
        summary="The slug a name would give, and whether it is free in the project",
        query=("name",),
    ),
    Entry(method="GET", path=_ENVIRONMENT, handler=show, name="Environment", summary="An environment"),
    Entry(
        method="PATCH",
        path=_ENVIRONMENT,
        handler=update,
        name="UpdateEnvironment",
        summary="Change an environment's name, slug or description",
        body={**_NAMED, "slug": TEXT},
    ),
    Entry(
        method="DELETE",
        path=_ENVIRONMENT,
        handler=delete,
        name="DeleteEnvironment",
        summary="Delete an environment; what was deployed to it stays where it is",
    ),
    Entry(
        method="PATCH",
        path=_ENVIRONMENT + "/set-default",
        handler=set_default,
        name="SetDefaultEnvironment",
        summary="Make an environment its project's default",
    ),
)
