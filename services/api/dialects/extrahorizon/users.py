"""``/users/v1``: what clients ask of the users service about users (contracts/extrahorizon.md section 2.4)."""

from collections.abc import Mapping
from functools import partial

from aiohttp import web

from services.api.access.addresses import FORWARDED_FOR
from services.api.access.rate_limit import Registrations
from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import user_bodies, user_views, views
from services.api.dialects.extrahorizon.callers import caller, permitted, user
from services.api.dialects.extrahorizon.description_users import ME, OPERATIONS, PERMISSIONS, REGISTER, USER, USERS
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing
from services.api.http import json_response, read_body
from services.api.operations.users import (
    RegistrationDesk,
    delete_user,
    list_users,
    read_self,
    read_user,
    register,
    update_user,
)
from services.api.platform import Platform
from shared.crypto.passwords import PasswordDesk
from shared.domain.errors import MalformedIdError
from shared.domain.identity import Action
from shared.domain.ids import is_record_id

Parameters = Mapping[str, str]

_HASHED_AT_ONCE, _WAITING = 1, 10


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of users."""
    # Its own places for hashing: however many register, people who have an account can sign in.
    desk = RegistrationDesk(
        passwords=PasswordDesk(at_once=_HASHED_AT_ONCE, max_waiting=_WAITING), registrations=Registrations()
    )
    table = (
        ("GET", USERS, show_all),
        ("GET", ME, show_self),
        ("GET", USER, show),
        ("PUT", USER, update),
        ("DELETE", USER, delete),
        ("POST", REGISTER, partial(add, desk)),
        ("GET", PERMISSIONS, show_permissions),
    )
    return tuple(
        Route(methods=(method,), path=path, handler=partial(handler, platform), operation=OPERATIONS[method, path])
        for method, path, handler in table
    )


async def show_self(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Show the calling user."""
    return json_response(user_views.user(await read_self(platform, await user(platform, request))))


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List users, newest first unless the query says otherwise."""
    identity = await permitted(platform, request, Action.READ_USERS)
    listing = read_listing(raw_query(request))
    found, total = await list_users(platform, identity, listing.query)
    data = [views.selected(user_views.user(each), listing.select) for each in found]
    return json_response(views.page(data, offset=listing.query.offset, limit=listing.query.limit, total=total))


async def show(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Show a user."""
    identity = await user(platform, request)
    return json_response(user_views.user(await read_user(platform, identity, _id(parameters))))


async def update(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Change a user; show them as they are now."""
    identity = await user(platform, request)
    changes = user_bodies.read_user_changes(await read_body(request, user_bodies.BODY_BYTES))
    return json_response(user_views.user(await update_user(platform, identity, _id(parameters), changes)))


async def delete(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Remove a user."""
    await delete_user(platform, await user(platform, request), _id(parameters))
    return json_response({"affectedRecords": 1})


async def add(
    desk: RegistrationDesk, platform: Platform, request: web.BaseRequest, _parameters: Parameters
) -> web.Response:
    """Make a user of whoever asks, or of whom somebody names who may make users."""
    identity = await caller(platform, request)
    wanted = user_bodies.read_new_user(await read_body(request, user_bodies.BODY_BYTES))
    address = platform.addresses.of(request.remote, request.headers.getall(FORWARDED_FOR, ()))
    return json_response(user_views.user(await register(platform, desk, identity, wanted, address)))


async def show_permissions(_platform: Platform, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List the permissions that mean something here; a role may hold others, too."""
    data = user_views.permissions()
    return json_response(views.page(data, offset=0, limit=len(data), total=len(data)))


def _id(parameters: Parameters) -> str:
    if not is_record_id(parameters["id"]):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    return parameters["id"]
