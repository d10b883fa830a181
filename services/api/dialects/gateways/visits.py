"""Where a request about resources goes: into an environment, and to one function of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.api.dialects.gateways import bodies, function_urls, function_views
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import Parameters
from services.api.dialects.gateways.url_event import readable
from services.api.operations import activities, resources
from services.api.operations.activities import Done
from services.api.operations.places import InEnvironment, enter_environment
from shared.database.resources import Resource, Shown
from shared.domain.cloud_errors import CloudRefusedError, CloudUnavailableError
from shared.domain.placement import LOCAL
from shared.domain.workspace import Permission

PLACE = "/api/{projectSlug}/{environmentSlug}"
_DONE = {"create": "Created", "update": "Updated", "delete": "Deleted", "invoke": "Invoked", "sync": "Synced"}


@dataclass(frozen=True, slots=True)
class Visit:
    """A caller in an environment, at one of its functions."""

    place: InEnvironment
    resource: Resource


async def enter(door: Door, request: web.BaseRequest, parameters: Parameters, permission: Permission) -> InEnvironment:
    """Let the caller into the environment of the path for what ``permission`` allows."""
    return await enter_environment(
        door.platform,
        await door.caller(request),
        parameters["projectSlug"],
        parameters["environmentSlug"],
        permission,
    )


async def visit(
    door: Door, request: web.BaseRequest, parameters: Parameters, permission: Permission, id_name: str = "id"
) -> Visit:
    """Let the caller to the function of the path."""
    place = await enter(door, request, parameters, permission)
    number = bodies.number(parameters[id_name], function_views.RESOURCE_TYPE)
    return Visit(place, await resources.find_resource(door.platform, place, number))


def endpoint_of(door: Door, request: web.BaseRequest, of: Shown) -> str | None:
    """Return where anybody may call a function; on this installation, where that is reached or the request came to."""
    if of.provider == LOCAL and of.region is not None:
        base = door.platform.public_url or f"{request.scheme}://{readable(request.host)}"
        return f"{base.rstrip('/')}{function_urls.PREFIX}{of.id}/"
    return of.url


async def note(door: Door, at: Visit, action: str, **metadata: Any) -> None:
    """Keep that the caller did something to a function."""
    of = at.resource
    await activities.note(
        door.platform,
        at.place,
        Done(
            action=action,
            resource_type=function_views.RESOURCE_TYPE,
            resource_number=of.number,
            description=f'{_DONE[action]} function "{of.name}"',
            metadata=metadata,
        ),
    )


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Say of what a cloud refuses what could not be done: ``what`` is as in "Failed to create function"."""
    try:
        yield
    except (CloudRefusedError, CloudUnavailableError) as error:
        error.fields = {**error.fields, "case": f"Failed to {what}"}
        raise
