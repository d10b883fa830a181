"""``/auth/v2/applications``: OAuth applications and their versions, as the SDK's ``exh.auth.applications`` has them."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import application_bodies, views
from services.api.dialects.extrahorizon.callers import permitted, user
from services.api.dialects.extrahorizon.description_applications import (
    APPLICATION,
    APPLICATION_OPERATIONS,
    APPLICATIONS,
    VERSION,
    VERSIONS,
)
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing
from services.api.http import json_response, read_body
from services.api.operations import applications
from services.api.operations.applications import MadeVersion
from services.api.platform import Platform
from shared.database.application_records import Application, Version
from shared.domain.errors import MalformedIdError
from shared.domain.identity import Action
from shared.domain.ids import is_record_id
from shared.domain.moments import iso

Parameters = Mapping[str, str]

BODY_BYTES = 256 * 1024
_OUTLINE = ("name", "description", "logo", "type")
_AFFECTED = {"affectedRecords": 1}


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of applications."""
    table: tuple[tuple[str, str, Callable[..., Awaitable[web.StreamResponse]]], ...] = (
        ("GET", APPLICATIONS, show_all),
        ("POST", APPLICATIONS, create),
        ("PUT", APPLICATION, update),
        ("DELETE", APPLICATION, remove),
        ("POST", VERSIONS, create_version),
        ("DELETE", VERSION, remove_version),
    )
    return tuple(
        Route(
            methods=(method,),
            path=path,
            handler=partial(handler, platform),
            operation=APPLICATION_OPERATIONS[method, path],
        )
        for method, path, handler in table
    )


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List applications: whole for who may see them, else what they call themselves."""
    identity = await user(platform, request)
    listing = read_listing(raw_query(request))
    found, total, whole = await applications.list_applications(platform, identity, listing.query)
    shown = (_view(each) if whole else views.selected(_view(each), _OUTLINE) for each in found)
    data = [views.selected(each, listing.select) for each in shown]
    return json_response(views.page(data, offset=listing.query.offset, limit=listing.query.limit, total=total))


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Make an application; it has no version yet."""
    identity = await permitted(platform, request, Action.CREATE_APPLICATION)
    wanted = application_bodies.read_new_application(await read_body(request, BODY_BYTES))
    return json_response(_view(await applications.create_application(platform, identity, wanted)))


async def update(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Change an application."""
    identity = await permitted(platform, request, Action.UPDATE_APPLICATION)
    application_id = _id(parameters)
    type_, change = application_bodies.read_application_change(await read_body(request, BODY_BYTES))
    await applications.update_application(platform, identity, application_id, type_, change)
    return json_response(_AFFECTED)


async def remove(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Remove an application with everything that was issued to it."""
    identity = await permitted(platform, request, Action.DELETE_APPLICATION)
    await applications.remove_application(platform, identity, _id(parameters))
    return json_response(_AFFECTED)


async def create_version(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Make a version; its secret is in this answer and in no other."""
    identity = await permitted(platform, request, Action.CREATE_APPLICATION)
    application_id = _id(parameters)
    name = application_bodies.read_new_version(await read_body(request, BODY_BYTES))
    made = await applications.create_version(platform, identity, application_id, name)
    response = json_response(_made(made))
    response.headers["Cache-Control"] = "no-store"
    return response


async def remove_version(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Remove a version, named by its id or its name."""
    identity = await permitted(platform, request, Action.DELETE_APPLICATION)
    await applications.remove_version(platform, identity, _id(parameters), parameters["version"])
    return json_response(_AFFECTED)


def _id(parameters: Parameters) -> str:
    if not is_record_id(parameters["id"]):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    return parameters["id"]


def _view(application: Application) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": application.id,
        "type": application.type,
        "name": application.name,
        "description": application.description,
        "versions": [_version(application.type, each) for each in application.versions],
        "creationTimestamp": iso(application.created_at),
        "updateTimestamp": iso(application.updated_at),
    }
    if application.type == "oauth2":
        view["redirectUris"] = list(application.redirect_uris)
        view["confidential"] = application.confidential
        if application.logo is not None:
            view["logo"] = application.logo
    return view


def _version(type_: str, version: Version) -> dict[str, Any]:
    key = "consumerKey" if type_ == "oauth1" else "clientId"
    return {"id": version.id, "name": version.name, key: version.key, "creationTimestamp": iso(version.created_at)}


def _made(made: MadeVersion) -> dict[str, Any]:
    secret = "consumerSecret" if made.type == "oauth1" else "clientSecret"
    return {**_version(made.type, made.version), **({} if made.secret is None else {secret: made.secret})}
