"""``P/resource-connections``: what is connected to what in an environment (contracts/gateways.md section 3.12)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from services.api.dialects.gateways import bodies
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.dialects.gateways.views import View
from services.api.operations import resource_connections
from services.api.operations.places import InEnvironment, enter_environment
from shared.database.resource_connections import ConnectionFilter, Resource, ResourceConnection
from shared.domain.errors import InvalidRequestError
from shared.domain.moments import iso
from shared.domain.resource_connection import STATUSES
from shared.domain.workspace import Permission

_PLACE = "/api/{projectSlug}/{environmentSlug}"
_CONNECTIONS = _PLACE + "/resource-connections"
_CONNECTION = _CONNECTIONS + "/{connectionId}"
_INTEGER = {"type": "integer"}
_DETAILS = {"type": ["object", "null"]}
_MAX_NUMBER = 2**63 - 1


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.VIEW_RESOURCES)
    wanted = ConnectionFilter(
        source_type=request.query.get("sourceResourceType"),
        source_number=_number_asked(request, "sourceResourceId"),
        target_type=request.query.get("targetResourceType"),
        target_number=_number_asked(request, "targetResourceId"),
        status=_status(request.query.get("status")),
    )
    found = await resource_connections.list_connections(door.platform, visit, wanted)
    return listed("Resource connections retrieved successfully", [_view(each, visit) for each in found])


async def show_those_of(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.VIEW_RESOURCES)
    kind = parameters.get("resourceType", "function")
    resource = Resource(type=kind, number=bodies.number(parameters["id"], "resource"))
    found = await resource_connections.connections_of(door.platform, visit, resource)
    return listed(
        "Resource connections retrieved successfully",
        [_view(each, visit) for each in found],
        resourceType=resource.type,
        resourceId=resource.number,
    )


async def create(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.CREATE_RESOURCES)
    body = await bodies.read_object(request)
    made = await resource_connections.connect(
        door.platform, visit, _resource(body, "source"), _resource(body, "target"), _details(body)
    )
    return done("Resource connection created successfully", _view(made, visit), 201)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.VIEW_RESOURCES)
    found = await resource_connections.get(door.platform, visit, _number(parameters))
    return done("Resource connection retrieved successfully", _view(found, visit))


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.UPDATE_RESOURCES)
    body = await bodies.read_object(request)
    if not body.keys() & {"status", "connectionDetails", "errorMessage"}:
        raise InvalidRequestError("No fields provided to update", field="body", issue="empty")
    updated = await resource_connections.update(
        door.platform,
        visit,
        _number(parameters),
        status=_status(body.get("status")),
        details=_details(body),
        reason=None if body.get("errorMessage") is None else bodies.text(body, "errorMessage"),
    )
    return done("Resource connection updated successfully", _view(updated, visit))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    visit = await _enter(door, request, parameters, Permission.DELETE_RESOURCES)
    number = _number(parameters)
    await resource_connections.disconnect(door.platform, visit, number)
    return done("Resource connection deleted successfully", {"id": number, "deleted": True})


def _view(of: ResourceConnection, visit: InEnvironment) -> View:
    return {
        "id": of.number,
        "userId": of.user_number,
        "projectId": visit.project.number,
        "environmentId": visit.environment.number,
        "sourceResourceType": of.source.type,
        "sourceResourceId": of.source.number,
        "targetResourceType": of.target.type,
        "targetResourceId": of.target.number,
        "status": of.status,
        "connectionDetails": of.details,
        "errorMessage": of.reason,
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def _resource(body: bodies.Body, end: str) -> Resource:
    """Return one end, ``source`` or ``target``, of a connection that is asked for."""
    field = f"{end}ResourceId"
    number = body.get(field)
    if type(number) is not int or not 0 < number <= _MAX_NUMBER:
        raise InvalidRequestError(f"{field} must be the ID of a resource", field=field, issue="not an ID")
    return Resource(type=bodies.text(body, f"{end}ResourceType"), number=number)


def _details(body: bodies.Body) -> Mapping[str, Any] | None:
    details = body.get("connectionDetails")
    if details is not None and not isinstance(details, dict):
        raise InvalidRequestError("connectionDetails must be an object", field="connectionDetails", issue="type")
    bodies.json_text(details, "connectionDetails")
    return details


def _status(value: Any) -> str | None:
    if value is not None and value not in STATUSES:
        raise InvalidRequestError(f"status must be one of {', '.join(STATUSES)}", field="status", issue="unknown")
    return value if isinstance(value, str) else None


def _number(parameters: Parameters) -> int:
    return bodies.number(parameters["connectionId"], "resource connection")


def _number_asked(request: web.BaseRequest, field: str) -> int | None:
    value = request.query.get(field)
    return None if value is None else bodies.number(value, "resource")


async def _enter(door: Door, request: web.BaseRequest, parameters: Parameters, permission: Permission) -> InEnvironment:
    caller = await door.caller(request)
    project, environment = parameters["projectSlug"], parameters["environmentSlug"]
    return await enter_environment(door.platform, caller, project, environment, permission)


ENTRIES = (
    Entry(
        method="GET",
        path=_CONNECTIONS,
        handler=show_all,
        name="ResourceConnections",
        summary="What is connected to what in an environment",
        query=("sourceResourceType", "sourceResourceId", "targetResourceType", "targetResourceId", "status"),
    ),
    Entry(
        method="POST",
        path=_CONNECTIONS,
        handler=create,
        name="CreateResourceConnection",
        summary="Connect a resource to another",
        status="201",
        body={
            "sourceResourceType": TEXT,
            "sourceResourceId": _INTEGER,
            "targetResourceType": TEXT,
            "targetResourceId": _INTEGER,
            "connectionDetails": _DETAILS,
        },
        required=("sourceResourceType", "sourceResourceId", "targetResourceType", "targetResourceId"),
    ),
    Entry(method="GET", path=_CONNECTION, handler=show, name="ResourceConnection", summary="A connection"),
    Entry(
        method="PATCH",
        path=_CONNECTION,
        handler=update,
        name="UpdateResourceConnection",
        summary="Say how far a connection is, or what it is made of",
        body={"status": TEXT, "connectionDetails": _DETAILS, "errorMessage": TEXT},
    ),
    Entry(
        method="DELETE",
        path=_CONNECTION,
        handler=delete,
        name="DeleteResourceConnection",
        summary="Delete a connection",
    ),
    Entry(
        method="GET",
        path=_PLACE + "/resources/{resourceType}/{id}/connections",
        handler=show_those_of,
        name="ConnectionsOfResource",
        summary="The connections of a resource, in both directions",
    ),
    # The literal beside the parameter: where it stands in another route, a path with it goes no other way.
    Entry(
        method="GET",
        path=_PLACE + "/resources/function/{id}/connections",
        handler=show_those_of,
        name="ConnectionsOfFunction",
        summary="The connections of a function, in both directions",
    ),
)
