"""
Connections between the resources of an environment.

This platform holds functions and nothing else: a function at either end must be there, of the other kinds the number is
kept as it was given. Connections are said, not made: nothing is opened between the two.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.api.operations.places import InEnvironment
from services.api.platform import Platform
from shared.database import resource_connections
from shared.database.resource_connections import ConnectionFilter, Resource, ResourceConnection
from shared.domain.catalogue import RESOURCE_TYPES
from shared.domain.errors import FunctionNotFoundError, InvalidRequestError, NotFoundError
from shared.domain.resource_connection import ALLOWED

_FUNCTION = "function"


async def connect(
    platform: Platform, visit: InEnvironment, source: Resource, target: Resource, details: Mapping[str, Any] | None
) -> ResourceConnection:
    """
    Keep a connection, pending.

    Raises:
        InvalidRequestError: the two kinds cannot be connected, or it is one and the same resource.
        FunctionNotFoundError: the environment has no such function.
        NameTakenError: the two are connected already.
    """
    for end in (source, target):
        _require_kind(end.type)
    if (source.type, target.type) not in ALLOWED or source == target:
        raise InvalidRequestError(
            f"A {source.type} cannot be connected to {'itself' if source == target else f'a {target.type}'}",
            case="Connection not allowed",
        )
    for end in (source, target):
        await _require(platform, visit, end)
    return await resource_connections.insert_connection(
        platform.db, visit.environment.id, visit.caller.person.id, source, target, details
    )


async def list_connections(
    platform: Platform, visit: InEnvironment, wanted: ConnectionFilter
) -> Sequence[ResourceConnection]:
    """Return the connections of an environment, the oldest first."""
    return await resource_connections.list_connections(platform.db, visit.environment.id, wanted)


async def connections_of(platform: Platform, visit: InEnvironment, resource: Resource) -> Sequence[ResourceConnection]:
    """Return the connections of a resource, in both directions. Raises as ``connect`` does."""
    _require_kind(resource.type)
    await _require(platform, visit, resource)
    return await list_connections(platform, visit, ConnectionFilter(either_end=resource))


async def get(platform: Platform, visit: InEnvironment, number: int) -> ResourceConnection:
    """Return a connection; raise ``NotFoundError``."""
    found = await resource_connections.find_connection(platform.db, visit.environment.id, number)
    if found is None:
        raise _unknown()
    return found


async def update(
    platform: Platform,
    visit: InEnvironment,
    number: int,
    *,
    status: str | None,
    details: Mapping[str, Any] | None,
    reason: str | None,
) -> ResourceConnection:
    """Change what is given of a connection; raise ``NotFoundError``."""
    updated = await resource_connections.update_connection(
        platform.db, visit.environment.id, number, status=status, details=details, reason=reason
    )
    if updated is None:
        raise _unknown()
    return updated


async def disconnect(platform: Platform, visit: InEnvironment, number: int) -> None:
    """Delete a connection; raise ``NotFoundError``."""
    if not await resource_connections.delete_connection(platform.db, visit.environment.id, number):
        raise _unknown()


def _require_kind(kind: str) -> None:
    if kind not in RESOURCE_TYPES:
        raise InvalidRequestError(f"There is no resource type {kind}", field="resourceType", issue="unknown")


async def _require(platform: Platform, visit: InEnvironment, resource: Resource) -> None:
    if resource.type == _FUNCTION and not await resource_connections.holds_function(
        platform.db, visit.environment.id, resource.number
    ):
        raise FunctionNotFoundError(f"The environment has no function {resource.number}")


def _unknown() -> NotFoundError:
    return NotFoundError("The specified resource connection does not exist", what="Resource connection")
