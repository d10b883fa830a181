"""``P/functions/{id}/files``: the files of a function one by one (contracts/gateways.md section 3.6).

A path is a query parameter, or stands behind ``files/``; every change redeploys the function.
"""

from urllib.parse import unquote

import orjson
from aiohttp import web

from services.api.dialects.gateways import bodies, function_bodies, function_views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.dialects.gateways.views import View
from services.api.dialects.gateways.visits import PLACE, Visit, note, refusals, visit
from services.api.operations import resources
from services.api.operations.create_function import Upload
from services.api.operations.update_function import FunctionPatch
from shared.database.resources import Resource
from shared.domain.errors import InvalidRequestError
from shared.domain.moments import iso
from shared.domain.workspace import Permission
from shared.packages.files import Edit, file_path

_FILES = PLACE + "/functions/{id}/files"
_ALIAS = _FILES + "/{path...}"
_FILE = {"path": TEXT, "content": TEXT}


async def show_all(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.VIEW_RESOURCES)
    found = await door.files.files(at.resource.package_sha256)
    return listed("Function files retrieved successfully", [function_views.file(each, at.resource) for each in found])


async def show(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.VIEW_RESOURCES)
    path = file_path(_path(request, parameters))
    text = await door.files.text(at.resource.package_sha256, path)
    return done("Function file retrieved successfully", function_views.file_with_text(path, text, at.resource))


async def create(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    body = await bodies.read_object(request, most_bytes=function_bodies.FILE_BODY_BYTES)
    edit = function_bodies.new_file(body)
    changed = await _edited(door, at, edit)
    return done("Function file created successfully", _written(edit, changed), 201)


async def update(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    path = _path(request, parameters) if "path" in parameters else None
    body = await bodies.read_object(request, most_bytes=function_bodies.FILE_BODY_BYTES)
    edit = function_bodies.changed_file(body, path)
    changed = await _edited(door, at, edit)
    return done("Function file updated successfully", _written(edit, changed))


async def rename(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    edit = function_bodies.renamed_file(await bodies.read_object(request))
    changed = await _edited(door, at, edit)
    shown = {
        "oldPath": file_path(edit.path),
        "newPath": file_path(edit.new_path),
        "updatedAt": iso(changed.deployed_at),
    }
    return done("Function file renamed successfully", shown | function_views.still_updating(changed))


async def delete(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    at = await visit(door, request, parameters, Permission.UPDATE_RESOURCES)
    edit = Edit(kind="delete", path=_path(request, parameters))
    changed = await _edited(door, at, edit)
    shown = {"path": file_path(edit.path), **function_views.still_updating(changed)}
    return done("Function file deleted successfully", shown)


async def _edited(door: Door, at: Visit, edit: Edit) -> Resource:
    """Have a change carried out; paths are judged first, so that a wrong one costs no deployment."""
    file_path(edit.path)
    if edit.kind == "rename":
        file_path(edit.new_path)
    patch = FunctionPatch(upload=Upload(kind="edit", content=orjson.dumps(edit.as_data())))
    with refusals("update function"):
        changed = await resources.change_resource(door.platform, at.place, at.resource, patch)
    await note(door, at, "update", file=edit.path, change=edit.kind)
    return changed


def _path(request: web.BaseRequest, parameters: Parameters) -> str:
    """Return the path a request is about: behind ``files/``, where it is not decoded yet, or in the query."""
    behind = parameters.get("path")
    path = request.query.get("path", "") if behind is None else unquote(behind.removeprefix("/"))
    if not path:
        raise InvalidRequestError("path is required", field="path", issue="missing")
    return path


def _written(edit: Edit, changed: Resource) -> View:
    shown = function_views.file_with_text(file_path(edit.path), edit.content, changed)
    return shown | function_views.still_updating(changed)


ENTRIES = (
    Entry(
        method="GET",
        path=_FILES,
        handler=show_all,
        name="FunctionFiles",
        summary="The files of a function, without their text",
    ),
    Entry(
        method="POST",
        path=_FILES,
        handler=create,
        name="CreateFunctionFile",
        summary="Add a file and redeploy",
        status="201",
        body=_FILE,
        required=("path", "content"),
    ),
    Entry(
        method="PUT",
        path=_FILES,
        handler=update,
        name="UpdateFunctionFile",
        summary="Replace a file and redeploy",
        body=_FILE,
        required=("path", "content"),
    ),
    Entry(
        method="DELETE",
        path=_FILES,
        handler=delete,
        name="DeleteFunctionFile",
        summary="Delete a file and redeploy",
        query=("path",),
    ),
    Entry(
        method="GET",
        path=_FILES + "/content",
        handler=show,
        name="FunctionFile",
        summary="A file with its text",
        query=("path",),
    ),
    Entry(
        method="PATCH",
        path=_FILES + "/rename",
        handler=rename,
        name="RenameFunctionFile",
        summary="Rename a file and redeploy",
        body={"oldPath": TEXT, "newPath": TEXT},
        required=("oldPath", "newPath"),
    ),
    Entry(
        method="GET",
        path=_ALIAS,
        handler=show,
        name="FunctionFileByPath",
        summary="A file with its text",
    ),
    Entry(
        method="PUT",
        path=_ALIAS,
        handler=update,
        name="UpdateFunctionFileByPath",
        summary="Replace a file and redeploy",
        body={"content": TEXT},
        required=("content",),
    ),
    Entry(
        method="DELETE",
        path=_ALIAS,
        handler=delete,
        name="DeleteFunctionFileByPath",
        summary="Delete a file and redeploy",
    ),
)
