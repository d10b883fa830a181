"""``/tasks/v1/schedules``: tasks made at intervals (contracts/extrahorizon.md section 3.5)."""

from collections.abc import Mapping
from functools import partial

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import task_bodies, task_views, views
from services.api.dialects.extrahorizon.callers import permitted
from services.api.dialects.extrahorizon.description_tasks import OPERATIONS, SCHEDULE, SCHEDULES
from services.api.dialects.extrahorizon.paths import record_id
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing
from services.api.dialects.extrahorizon.tasks import BODY_BYTES
from services.api.http import json_response, read_body
from services.api.operations.schedules import WantedSchedule, create_schedule, delete_schedule, list_schedules
from services.api.platform import Platform
from shared.domain.identity import Action

_ONE_CHANGED = {"affectedRecords": 1}

Parameters = Mapping[str, str]


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of schedules on a platform."""
    table = (("GET", SCHEDULES, show_all), ("POST", SCHEDULES, create), ("DELETE", SCHEDULE, delete))
    return tuple(
        Route(methods=(method,), path=path, handler=partial(handler, platform), operation=OPERATIONS[method, path])
        for method, path, handler in table
    )


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List schedules, newest first unless the query says otherwise."""
    identity = await permitted(platform, request, Action.READ_SCHEDULES)
    listing = read_listing(raw_query(request))
    page = await list_schedules(platform, identity, listing.query)
    data = [views.selected(task_views.schedule(each), listing.select) for each in page.found]
    return json_response(views.page(data, offset=listing.query.offset, limit=page.limit, total=page.total))


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Keep a schedule."""
    identity = await permitted(platform, request, Action.CREATE_SCHEDULE)
    given = task_bodies.read_new_schedule(await read_body(request, BODY_BYTES))
    wanted = WantedSchedule(
        function_name=given.function_name,
        interval_s=given.interval_s,
        data=given.data,
        priority=given.priority,
        starts_at=given.starts_at,
    )
    return json_response(task_views.schedule(await create_schedule(platform, identity, wanted)))


async def delete(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Delete a schedule; the tasks it has made stay."""
    identity = await permitted(platform, request, Action.DELETE_SCHEDULE)
    await delete_schedule(platform, identity, record_id(parameters))
    return json_response(_ONE_CHANGED)
