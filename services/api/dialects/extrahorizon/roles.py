"""
``/users/v1/roles`` and who has them (contracts/extrahorizon.md section 2.4).

What is changed is chosen by RQL in the query: a request without a condition is refused, never taken to mean
everything.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.extrahorizon import user_bodies, user_views, views
from services.api.dialects.extrahorizon.callers import permitted
from services.api.dialects.extrahorizon.description_users import (
    ADD_PERMISSIONS,
    ADD_ROLES,
    OPERATIONS,
    REMOVE_PERMISSIONS,
    REMOVE_ROLES,
    ROLE,
    ROLES,
)
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing, read_selection
from services.api.http import json_response, read_body
from services.api.operations import roles
from services.api.platform import Platform
from shared.database.query import Condition
from shared.domain.errors import MalformedIdError
from shared.domain.identity import Action, Identity
from shared.domain.ids import is_record_id

Parameters = Mapping[str, str]
Change = Callable[[Platform, Identity, Condition, Sequence[str]], Awaitable[int]]
"""What is done to the rows a condition chooses, with the texts of the body; gives how many they are."""


def routes(platform: Platform) -> tuple[Route, ...]:
    """Return the routes of roles."""
    names, ids = user_bodies.read_permissions, user_bodies.read_role_ids
    changes: tuple[tuple[str, Action, Callable[[bytes], tuple[str, ...]], Change], ...] = (
        (ADD_PERMISSIONS, Action.ADD_ROLE_PERMISSIONS, names, roles.add_permissions),
        (REMOVE_PERMISSIONS, Action.REMOVE_ROLE_PERMISSIONS, names, roles.remove_permissions),
        (ADD_ROLES, Action.GIVE_ROLES, ids, roles.give_roles),
        (REMOVE_ROLES, Action.TAKE_ROLES, ids, roles.take_roles),
    )
    table: tuple[tuple[str, str, Callable[..., Awaitable[web.StreamResponse]]], ...] = (
        ("GET", ROLES, show_all),
        ("POST", ROLES, create),
        ("DELETE", ROLES, delete),
        ("PUT", ROLE, update),
        *(("POST", path, partial(change, action, read, do)) for path, action, read, do in changes),
    )
    return tuple(
        Route(methods=(method,), path=path, handler=partial(handler, platform), operation=OPERATIONS[method, path])
        for method, path, handler in table
    )


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List roles, newest first unless the query says otherwise."""
    identity = await permitted(platform, request, Action.READ_ROLES)
    listing = read_listing(raw_query(request))
    found, total = await roles.list_roles(platform, identity, listing.query)
    data = [views.selected(user_views.role(each), listing.select) for each in found]
    return json_response(views.page(data, offset=listing.query.offset, limit=listing.query.limit, total=total))


async def create(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Make a role."""
    identity = await permitted(platform, request, Action.CREATE_ROLE)
    name, description = user_bodies.read_new_role(await read_body(request, user_bodies.BODY_BYTES))
    return json_response(
        user_views.role(await roles.create_role(platform, identity, name=name, description=description))
    )


async def update(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """Change a role; show it as it is now."""
    identity = await permitted(platform, request, Action.UPDATE_ROLE)
    if not is_record_id(parameters["id"]):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    name, description = user_bodies.read_role_changes(await read_body(request, user_bodies.BODY_BYTES))
    changed = await roles.update_role(platform, identity, parameters["id"], name=name, description=description)
    return json_response(user_views.role(changed))


async def delete(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """Remove the roles that the query chooses."""
    identity = await permitted(platform, request, Action.DELETE_ROLES)
    affected = await roles.delete_roles(platform, identity, read_selection(raw_query(request)))
    return json_response({"affectedRecords": affected})


async def change(
    action: Action,
    read: Callable[[bytes], tuple[str, ...]],
    do: Change,
    platform: Platform,
    request: web.BaseRequest,
    _parameters: Parameters,
) -> web.Response:
    """Change permissions of the roles, or roles of the users, that the query chooses."""
    identity = await permitted(platform, request, action)
    where = read_selection(raw_query(request))
    named = read(await read_body(request, user_bodies.BODY_BYTES))
    return json_response({"affectedRecords": await do(platform, identity, where, named)})
