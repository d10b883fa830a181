"""``/api/activities``: what the caller did (contracts/gateways.md section 3.13)."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import Entry, Parameters
from services.api.operations import activities
from services.api.operations.places import enter_environment, enter_project
from shared.database.activities import ActivityFilter
from shared.domain.errors import InvalidRequestError
from shared.domain.workspace import Permission

_ACTIVITIES = "/api/activities"
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_PAGING = ("limit", "offset", "resourceType", "action")


async def show_all(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Show what the caller did, in a project or an environment if the query names one."""
    caller = await door.caller(request)
    project, environment = request.query.get("projectSlug"), request.query.get("environmentSlug")
    user_id = caller.person.id
    if environment is not None:
        if project is None:
            raise InvalidRequestError("environmentSlug needs projectSlug", field="projectSlug", issue="missing")
        place = await enter_environment(door.platform, caller, project, environment, Permission.VIEW_ACTIVITIES)
        return await _page(door, request, user_id, place.project.id, place.environment.id)
    if project is not None:
        visit = await enter_project(door.platform, caller, project, Permission.VIEW_ACTIVITIES)
        return await _page(door, request, user_id, visit.project.id)
    return await _page(door, request, user_id)


async def show_of_place(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Show what the caller did in one environment."""
    caller = await door.caller(request)
    place = await enter_environment(
        door.platform, caller, parameters["projectSlug"], parameters["environmentSlug"], Permission.VIEW_ACTIVITIES
    )
    return await _page(door, request, caller.person.id, place.project.id, place.environment.id)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Show one activity of the caller's."""
    caller = await door.caller(request)
    activity_id = bodies.number(parameters["id"], "activity")
    activity = await activities.get_activity(door.platform, caller, activity_id)
    return done("Activity retrieved successfully", views.activity(activity))


async def _page(
    door: Door,
    request: web.BaseRequest,
    user_id: str,
    project_id: str | None = None,
    environment_id: str | None = None,
) -> web.Response:
    limit = bodies.whole(request, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
    offset = bodies.whole(request, "offset", 0)
    wanted = ActivityFilter(
        user_id=user_id,
        project_id=project_id,
        environment_id=environment_id,
        resource_type=request.query.get("resourceType"),
        action=request.query.get("action"),
        limit=limit,
        offset=offset,
    )
    found, total = await activities.list_activities(door.platform, wanted)
    has_more = offset + len(found) < total
    return done(
        "Activities retrieved successfully",
        [views.activity(each) for each in found],
        pagination={"total": total, "limit": limit, "offset": offset, "hasMore": has_more},
    )


ENTRIES = (
    Entry(
        method="GET",
        path=_ACTIVITIES,
        handler=show_all,
        name="Activities",
        summary="What the caller did, newest first",
        query=(*_PAGING, "projectSlug", "environmentSlug"),
    ),
    Entry(
        method="GET",
        path=_ACTIVITIES + "/{projectSlug}/{environmentSlug}",
        handler=show_of_place,
        name="EnvironmentActivities",
        summary="What the caller did in an environment, newest first",
        query=_PAGING,
    ),
    Entry(method="GET", path=_ACTIVITIES + "/{id}", handler=show, name="Activity", summary="One thing the caller did"),
)
