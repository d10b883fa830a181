"""``P/functions``: making functions, reading, changing and calling them (contracts/gateways.md sections 3.1 to 3.7)."""

import math
from typing import Any

import orjson
from aiohttp import web

from services.api.dialects.gateways import bodies, function_bodies, function_views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import OPTIONAL_TEXT, TEXT, Entry, Parameters
from services.api.dialects.gateways.visits import PLACE, Visit, endpoint_of, enter, note, refusals, visit
from services.api.http import read_body
from services.api.multipart import find_part
from services.api.operations import place_function, resources
from services.api.operations.create_function import Upload
from services.api.operations.update_function import FunctionPatch
from shared.database.resources import Resource
from shared.domain.errors import InvalidPackageError, InvalidRequestError, NotFoundError
from shared.domain.moments import iso
from shared.domain.outcome import Failure
from shared.domain.placement import CloudState
from shared.domain.workspace import Permission
from shared.messages.messages import InvocationReply
from shared.packages.package import LIMITS
from shared.packages.starters import warning_of

_FUNCTIONS = PLACE + "/functions"
_FUNCTION = _FUNCTIONS + "/{id}"
_NUMBER = {"type": ["number", "null"]}
_INTEGER = {"type": "integer"}
_VARIABLES = {"type": "object", "additionalProperties": TEXT}
_NAMES = {"type": "array", "items": TEXT}
_UPLOAD_BYTES = LIMITS.compressed_bytes + 64 * 1024
"""A package and the form around it."""
_PAYLOAD_BYTES = 6 * 1024 * 1024
_INVOKED = 200
"""What the provider answers an invocation that it carried out, whatever became of it."""


async def create(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    place = await enter(door, request, parameters, Permission.CREATE_RESOURCES)
    body = await bodies.read_object(request, most_bytes=function_bodies.NEW_BODY_BYTES)
    wanted = function_bodies.new_function(body)
    with refusals("create function"):
        made = await place_function.place_function(door.platform, place, wanted)
    endpoint = endpoint_of(door, request, made)
    await note(door, Visit(place, made), "create", **function_views.facts_of(made, endpoint))
    shown = function_views.function(made, place, endpoint, wanted.environment)
    warning = warning_of(wanted.runtime, wanted.handler)
    # The documented status of this answer, whether or not the provider is done already; reads tell how it is.
    shown["status"] = CloudState.CREATING
    more = {} if warning is None else {"warning": warning}
    return done("Function created successfully", shown, 201, **more)


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    place = await enter(door, request, parameters, Permission.VIEW_RESOURCES)
    found = await resources.list_resources(door.platform, place)
    shown = [function_views.listed_function(each, endpoint_of(door, request, each)) for each in found]
    return listed("Functions retrieved successfully", shown)


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.VIEW_RESOURCES)
    variables = await resources.variables_of(door.platform, at.resource)
    shown = function_views.function(at.resource, at.place, endpoint_of(door, request, at.resource), variables)
    shown["code"] = await _code(door, at.resource)
    return done("Function retrieved successfully", shown)


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    stored = await resources.variables_of(door.platform, at.resource)
    body = await bodies.read_object(request)
    wanted = function_bodies.changes(body, at.resource, stored)
    changed = at.resource
    if wanted.patch is not None:
        with refusals("update function"):
            changed = await resources.change_resource(door.platform, at.place, changed, wanted.patch)
    if wanted.moves:
        changed = await resources.move_resource(door.platform, at.place, changed, wanted.x, wanted.y)
    await note(door, at, "update", fields=sorted(body.keys() & function_bodies.CHANGEABLE))
    variables = await resources.variables_of(door.platform, changed)
    return done(
        "Function updated successfully",
        function_views.function(changed, at.place, endpoint_of(door, request, changed), variables),
    )


async def upload(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    body = await read_body(request, _UPLOAD_BYTES)
    content = find_part(body, request.headers.get("Content-Type", ""), "file")
    if not content:
        raise InvalidRequestError("No file was uploaded: send a ZIP in the part file", field="file", issue="missing")
    if len(content) > LIMITS.compressed_bytes:
        raise InvalidPackageError(f"the package is over {LIMITS.compressed_bytes} bytes", field="file")
    patch = FunctionPatch(upload=Upload(kind="text", content=content))
    with refusals("update function"):
        changed = await resources.change_resource(door.platform, at.place, at.resource, patch)
    files = await door.files.files(changed.package_sha256)
    await note(door, at, "update", upload=len(files))
    shown = {"count": len(files), "updatedAt": iso(changed.updated_at), **function_views.still_updating(changed)}
    return done("Function code uploaded successfully", shown)


async def invoke(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    body = await bodies.read_object(request, required=False, most_bytes=_PAYLOAD_BYTES)
    payload = bodies.json_text(body.get("payload", {}), "payload")
    with refusals("invoke function"):
        invoked = await resources.invoke_resource(door.platform, at.place, at.resource, payload)
    shown = _invoked(invoked.reply)
    await note(door, at, "invoke", statusCode=shown["statusCode"], hasError=shown["hasError"])
    return done("Function invoked successfully", shown)


def _invoked(reply: InvocationReply) -> dict[str, Any]:
    failure = reply.failure
    if failure is not None:
        payload: Any = _told(failure)
    elif reply.payload:
        payload = orjson.Fragment(reply.payload)
    else:
        payload = None
    return {
        "statusCode": _INVOKED,
        "hasError": failure is not None,
        "functionError": None if failure is None else "Unhandled",
        "payload": payload,
        "logs": reply.log_tail,
        "durationMs": math.ceil(reply.duration_ms),
    }


def _told(failure: Failure) -> dict[str, Any]:
    """Return a failure as AWS Lambda tells of one."""
    told: dict[str, Any] = {"errorType": failure.name, "errorMessage": failure.message}
    if failure.stack:
        told["stackTrace"] = failure.stack.splitlines()
    return told


async def _code(door: Door, of: Resource) -> str | None:
    """Return the text of the file that the handler is in; None where there is no such text."""
    path = function_views.entry_file(of)
    if path is None:
        return None
    try:
        return await door.files.text(of.package_sha256, path)
    except (NotFoundError, InvalidRequestError):
        return None


ENTRIES = (
    Entry(
        method="GET",
        path=_FUNCTIONS,
        handler=show_all,
        name="Functions",
        summary="The functions of an environment, the newest first",
    ),
    Entry(
        method="POST",
        path=_FUNCTIONS,
        handler=create,
        name="CreateFunction",
        summary="Make a function that begins with a starter file",
        status="201",
        body={
            "name": TEXT,
            "runtime": TEXT,
            "architecture": TEXT,
            "handler": TEXT,
            "region": TEXT,
            "description": OPTIONAL_TEXT,
            "environmentVariables": _VARIABLES,
            "environmentVariablesLocked": _NAMES,
            "positionX": _NUMBER,
            "positionY": _NUMBER,
        },
        required=("name", "runtime", "handler", "region"),
    ),
    Entry(
        method="GET",
        path=_FUNCTION,
        handler=show,
        name="Function",
        summary="A function with the text of its handler's file",
    ),
    Entry(
        method="PUT",
        path=_FUNCTION,
        handler=update,
        name="UpdateFunction",
        summary="Change a function's configuration or its place on the canvas",
        body={
            "handler": TEXT,
            "architecture": TEXT,
            "memorySize": _INTEGER,
            "timeout": _INTEGER,
            "ephemeralStorage": _INTEGER,
            "description": OPTIONAL_TEXT,
            "environmentVariables": _VARIABLES,
            "environmentVariablesLocked": _NAMES,
            "positionX": _NUMBER,
            "positionY": _NUMBER,
        },
    ),
    Entry(
        method="POST",
        path=_FUNCTION + "/upload",
        handler=upload,
        name="UploadFunction",
        summary="Replace all files of a function by the text files of a ZIP, the part file of a form",
        media="multipart/form-data",
        body={"file": {"type": "string", "format": "binary"}},
        required=("file",),
    ),
    Entry(
        method="POST",
        path=_FUNCTION + "/invoke",
        handler=invoke,
        name="InvokeFunction",
        summary="Run a function on a payload and wait for what it returns",
        body={"payload": {}},
    ),
)
