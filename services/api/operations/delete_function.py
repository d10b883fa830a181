"""Removing a function: its name is free at once, its records stay until retention takes them."""

from services.api.access.permissions import authorize
from services.api.operations.update_function import announce
from services.api.platform import Platform
from shared.database import functions
from shared.domain.errors import FunctionNotFoundError
from shared.domain.function import Function
from shared.domain.identity import Action, Identity


async def delete_function(platform: Platform, identity: Identity, function: Function) -> None:
    """
    Delete a function; runs in progress are stopped by whoever holds them.

    Raises:
        ForbiddenError: the caller may not delete functions.
        FunctionNotFoundError: it is gone already.
    """
    authorize(identity, Action.DELETE_FUNCTION, function)
    deleted = await functions.delete_function(platform.db, function.id)
    if deleted is None:
        raise FunctionNotFoundError("no such function")
    announce(platform, deleted, deleted=True)
