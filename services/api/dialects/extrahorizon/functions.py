"""``/tasks/v1/functions``: making, reading and changing functions (contracts/extrahorizon.md section 3.1)."""

from collections.abc import Mapping

from aiohttp import web

from services.api.dialects.extrahorizon import bodies, views
from services.api.dialects.extrahorizon.callers import permitted
from services.api.http import json_response, read_body
from services.api.operations.create_function import NewFunction, Upload, create_function
from services.api.operations.delete_function import delete_function
from services.api.operations.read_functions import get_function, list_functions
from services.api.operations.set_enabled import set_enabled
from services.api.operations.update_function import FunctionPatch, update_function
from services.api.platform import Platform
from shared.database.functions import FunctionFilter, FunctionSort, Order
from shared.domain.function import Convention, PermissionMode, RetryPolicy, VersionSpec
from shared.domain.identity import Action

BODY_BYTES = 14 * 1024 * 1024
"""A zip of 10 MB in Base64, and the fields around it."""

_ALL = 100_000
_ONE_CHANGED = {"affectedRecords": 1}

Parameters = Mapping[str, str]


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List every function in one page."""
    identity = await permitted(platform, request, Action.LIST_FUNCTIONS)
    wanted = FunctionFilter(sort=FunctionSort.NAME, order=Order.ASCENDING, limit=_ALL)
    found, total = await list_functions(platform, identity, wanted)
    data = [views.function_summary(function) for function, _ in found]
    return json_response(views.page(data, offset=0, limit=len(data), total=total))


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Make a function from a zip; answer when it can be called."""
    identity = await permitted(platform, request, Action.CREATE_FUNCTION)
    wanted = _new_function(bodies.read_new_function(await read_body(request, BODY_BYTES)))
    return json_response(views.function_details(await create_function(platform, identity, wanted)))


async def show(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Show one function."""
    identity = await permitted(platform, request, Action.READ_FUNCTION)
    return json_response(views.function_details(await get_function(platform, identity, parameters["name"])))


async def update(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Change the given fields of a function, code and settings together or not at all."""
    identity = await permitted(platform, request, Action.UPDATE_FUNCTION)
    function = await get_function(platform, identity, parameters["name"])
    patch = _patch(bodies.read_function_changes(await read_body(request, BODY_BYTES)))
    await update_function(platform, identity, function, patch)
    return json_response(_ONE_CHANGED)


async def delete(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Remove a function; its records stay."""
    identity = await permitted(platform, request, Action.DELETE_FUNCTION)
    await delete_function(platform, identity, await get_function(platform, identity, parameters["name"]))
    return json_response(_ONE_CHANGED)


async def enable(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Let a function be called; doing it twice is fine."""
    return await _set_enabled(platform, request, parameters["name"], enabled=True)


async def disable(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Stop a function from being called; doing it twice is fine."""
    return await _set_enabled(platform, request, parameters["name"], enabled=False)


async def _set_enabled(platform: Platform, request: web.BaseRequest, name: str, *, enabled: bool) -> web.Response:
    identity = await permitted(platform, request, Action.UPDATE_FUNCTION)
    await set_enabled(platform, identity, await get_function(platform, identity, name), enabled=enabled)
    return json_response(_ONE_CHANGED)


def _new_function(given: bodies.FunctionFields) -> NewFunction:
    assert given.name is not None  # these four are required
    assert given.code is not None
    assert given.entry_point is not None
    assert given.runtime is not None
    return NewFunction(
        name=given.name,
        description=given.description or "",
        spec=VersionSpec(
            runtime=given.runtime,
            convention=Convention.LAMBDA,
            handler=given.entry_point,
            timeout_s=given.time_limit_s or bodies.DEFAULT_TIME_LIMIT_S,
            memory_mb=given.memory_mb or bodies.DEFAULT_MEMORY_MB,
            environment=given.environment or {},
        ),
        upload=Upload(kind="zip", content=given.code),
        permission_mode=given.permission_mode or PermissionMode.PERMISSION_REQUIRED,
        default_priority=given.default_priority or 0,
        retry_policy=given.retry_policy or RetryPolicy(),
    )


def _patch(given: bodies.FunctionFields) -> FunctionPatch:
    return FunctionPatch(
        description=given.description,
        permission_mode=given.permission_mode,
        default_priority=given.default_priority,
        retry_policy=given.retry_policy,
        upload=Upload(kind="zip", content=given.code) if given.code is not None else None,
        runtime=given.runtime,
        handler=given.entry_point,
        timeout_s=given.time_limit_s,
        memory_mb=given.memory_mb,
        environment=given.environment,
    )
