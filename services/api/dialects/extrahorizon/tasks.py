"""``/tasks/v1``: tasks, and direct execution, which makes one (contracts/extrahorizon.md sections 3.1 and 3.4)."""

from collections.abc import Mapping
from functools import partial

import orjson
from aiohttp import web

from services.api.access.permissions import authorize
from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import run_logs, task_bodies, task_views, views
from services.api.dialects.extrahorizon.callers import caller, permitted
from services.api.dialects.extrahorizon.description_tasks import CANCEL, EXECUTE, OPERATIONS, TASK_LOGS, TASKS
from services.api.dialects.extrahorizon.errors import failure_response
from services.api.dialects.extrahorizon.paths import record_id
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing, read_logs_since
from services.api.dialects.idempotency import idempotency_key
from services.api.http import json_response, read_body
from services.api.operations.execute_function import execute_function
from services.api.operations.read_functions import callable_function
from services.api.operations.tasks import WantedTask, cancel_task, create_task, list_tasks, read_task_logs
from services.api.platform import Platform
from shared.domain.identity import Action

BODY_BYTES = 10 * 1024 * 1024
"""What the gateway takes at all; the fields have smaller limits."""

_ONE_CHANGED = {"affectedRecords": 1}

Parameters = Mapping[str, str]


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of tasks on a platform."""
    table = (
        ("GET", TASKS, show_all),
        ("POST", TASKS, create),
        ("POST", CANCEL, cancel),
        ("GET", TASK_LOGS, show_logs),
        ("POST", EXECUTE, execute),
    )
    return tuple(
        Route(methods=(method,), path=path, handler=partial(handler, platform), operation=OPERATIONS[method, path])
        for method, path, handler in table
    )


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List tasks, newest first unless the query says otherwise."""
    identity = await permitted(platform, request, Action.READ_TASKS)
    listing = read_listing(raw_query(request))
    page = await list_tasks(platform, identity, listing.query)
    data = [views.selected(task_views.task(each), listing.select) for each in page.found]
    return json_response(views.page(data, offset=listing.query.offset, limit=page.limit, total=page.total))


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Queue a task; a repeated one is answered as it is now."""
    identity = await permitted(platform, request, Action.CREATE_TASK)
    key = idempotency_key(request)
    given = task_bodies.read_new_task(await read_body(request, BODY_BYTES))
    wanted = WantedTask(
        function_name=given.function_name,
        data=given.data,
        tags=given.tags,
        priority=given.priority,
        starts_at=given.starts_at,
    )
    return json_response(task_views.task(await create_task(platform, identity, wanted, idempotency_key=key)))


async def cancel(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Call off a task that has not begun."""
    identity = await permitted(platform, request, Action.CANCEL_TASK)
    await cancel_task(platform, identity, record_id(parameters))
    return json_response(_ONE_CHANGED)


async def show_logs(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """List the log lines of one task, oldest first; after the last one, how many are missing."""
    identity = await permitted(platform, request, Action.READ_TASK_LOGS)
    task_id = record_id(parameters)
    since = read_logs_since(raw_query(request))
    return run_logs.shown(await read_task_logs(platform, identity, task_id, since=since))


async def execute(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Run a function as a task and answer with what it returned, or with why it could not."""
    identity = await caller(platform, request)
    function = await callable_function(platform, identity, parameters["name"])
    # The body of a caller who may not execute is not read.
    authorize(identity, Action.EXECUTE_FUNCTION, function)
    data = task_bodies.read_execution(await read_body(request, BODY_BYTES))
    executed = await execute_function(platform, identity, function, data)
    if executed.task.failure is not None:
        return failure_response(executed.task.failure, task_id=executed.task.id)
    return json_response({**task_views.task(executed.task), "result": orjson.Fragment(executed.result)})
