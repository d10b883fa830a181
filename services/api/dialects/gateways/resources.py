"""``P/resources`` and ``/api/resources``: what environments hold, by number (contracts/gateways.md section 3.8)."""

from aiohttp import web

from services.api.dialects.gateways import bodies, function_bodies, function_views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.dialects.gateways.visits import PLACE, endpoint_of, enter, note, refusals, visit
from services.api.http import json_response
from services.api.operations import resources
from services.api.operations.resource_summary import summarise
from shared.domain.catalogue import RESOURCE_TYPES
from shared.domain.cloud_errors import CloudFunctionGoneError
from shared.domain.errors import InvalidRequestError
from shared.domain.placement import LOCAL
from shared.domain.workspace import Permission

_RESOURCES = PLACE + "/resources"
_RESOURCE = _RESOURCES + "/{resourceId}"
_ID = "resourceId"
_NUMBER = {"type": "number"}
_POSITION = {"type": "object", "properties": {"x": _NUMBER, "y": _NUMBER}, "required": ["x", "y"]}
_ALL = "all"
_KINDS = {_ALL: True, **{f"{subtype}{s}": subtype == "function" for subtype in RESOURCE_TYPES for s in ("", "s")}}
"""What may be asked for, and whether there can be any: this platform makes functions."""


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    place = await enter(door, request, parameters, Permission.VIEW_RESOURCES)
    kind = request.query.get("type", _ALL)
    if kind not in _KINDS:
        raise InvalidRequestError(f"There is no resource type {kind[:80]!r}", field="type", issue="unknown")
    filters = {name: request.query.get(name) for name in ("region", "status", "state")}
    found = await resources.list_resources(door.platform, place, **filters) if _KINDS[kind] else ()
    return listed(
        "Project resources retrieved successfully",
        [function_views.resource(each, place, endpoint_of(door, request, each)) for each in found],
        project=function_views.placed(place)["project"],
        filters={"type": kind, "environment": place.environment.slug, **filters},
        counts={"functions": len(found), "total": len(found)},
    )


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.VIEW_RESOURCES, _ID)
    shown = function_views.resource(at.resource, at.place, endpoint_of(door, request, at.resource))
    return done("Resource retrieved successfully", shown)


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES, _ID)
    body = await bodies.read_object(request)
    if not body.keys() & {"name", "position"}:
        raise InvalidRequestError("No fields provided to update", field="body", issue="empty")
    name = function_bodies.label(body) if "name" in body else None
    position = function_bodies.point(body["position"]) if "position" in body else None
    changed = at.resource
    if name is not None and name != changed.name:
        changed = await resources.rename_resource(door.platform, at.place, changed, name)
    if position is not None:
        changed = await resources.move_resource(door.platform, at.place, changed, *position)
    await note(door, at, "update", fields=sorted(body.keys() & {"name", "position"}))
    shown = function_views.resource(changed, at.place, endpoint_of(door, request, changed))
    return done("Resource updated successfully", shown)


async def move(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES, _ID)
    position = function_bodies.point(await bodies.read_object(request), "body")
    moved = await resources.move_resource(door.platform, at.place, at.resource, *position)
    return done(
        "Resource position updated successfully",
        {
            "id": moved.number,
            "resourceType": function_views.RESOURCE_TYPE,
            "position": function_views.position(moved),
        },
    )


async def sync(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES, _ID)
    try:
        with refusals("sync function"):
            synced = await resources.sync_resource(door.platform, at.place, at.resource)
    except CloudFunctionGoneError:
        await note(door, at, "sync", status="failed")
        return json_response(function_views.gone(at.resource), 404)
    await note(door, at, "sync", status=synced.status)
    return done("Function synced successfully", function_views.synced(synced))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.DELETE_RESOURCES, _ID)
    with refusals("delete function"):
        await resources.delete_resource(door.platform, at.place, at.resource)
    await note(door, at, "delete", **function_views.facts_of(at.resource))
    return done(
        "Function deleted successfully",
        {"id": at.resource.number, "resourceType": function_views.RESOURCE_TYPE, "deleted": True},
    )


async def show_summary(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    asked = request.query.get("projectId")
    project = None if asked is None else bodies.number(asked, "project")
    found = await summarise(door.platform, caller, project)
    by_region = {region or LOCAL: count for region, count in found.by_region.items()}
    return done(
        "Resource summary retrieved successfully",
        summary={"total": found.total, "byStatus": found.by_status, "byRegion": by_region},
    )


ENTRIES = (
    Entry(
        method="GET",
        path="/api/resources/summary",
        handler=show_summary,
        name="ResourceSummary",
        summary="How many resources the caller may see, by status and by region",
        query=("projectId",),
    ),
    Entry(
        method="GET",
        path=_RESOURCES,
        handler=show_all,
        name="Resources",
        summary="What an environment holds",
        query=("type", "region", "status", "state"),
    ),
    Entry(method="GET", path=_RESOURCE, handler=show, name="Resource", summary="One resource"),
    Entry(
        method="GET",
        path=_RESOURCES + "/function/{resourceId}",
        handler=show,
        name="FunctionResource",
        summary="One function as a resource",
    ),
    Entry(
        method="PATCH",
        path=_RESOURCE,
        handler=update,
        name="UpdateResource",
        summary="Change a resource's label or its place on the canvas",
        body={"name": TEXT, "position": _POSITION},
    ),
    Entry(
        method="PATCH",
        path=_RESOURCE + "/position",
        handler=move,
        name="MoveResource",
        summary="Put a resource somewhere else on the canvas",
        body={"x": _NUMBER, "y": _NUMBER},
        required=("x", "y"),
    ),
    Entry(
        method="PUT",
        path=_RESOURCE + "/sync",
        handler=sync,
        name="SyncResource",
        summary="Take over what the cloud says of a resource now",
    ),
    Entry(
        method="DELETE",
        path=_RESOURCE,
        handler=delete,
        name="DeleteResource",
        summary="Take a resource away, in its cloud too",
    ),
)
