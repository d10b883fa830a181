"""Removing a function: its name is free at once, its records stay until retention takes them."""

from dataclasses import replace

from services.api.access.permissions import authorize
from services.api.operations.deploy import deploy, forget, open_in_turn
from services.api.operations.update_function import announce
from services.api.platform import Platform
from shared.database import functions
from shared.database.deployments import NewDeployment
from shared.domain.errors import FunctionNotFoundError
from shared.domain.function import Function
from shared.domain.identity import Action, Identity
from shared.domain.placement import LOCAL


async def delete_function(platform: Platform, identity: Identity, function: Function) -> None:
    """
    Delete a function; runs in progress are stopped by whoever holds them.

    One at a cloud is taken away there first; it may be gone there already.

    Raises:
        ForbiddenError: the caller may not delete functions.
        FunctionNotFoundError: it is gone already.
        IllegalStateError: it is at a cloud, and others keep changing it.
        PlatformError: its cloud does not let it go, or is out of reach; it stays.
    """
    authorize(identity, Action.DELETE_FUNCTION, function)
    if function.provider != LOCAL:
        await _remove_at_cloud(platform, function)
        return
    deleted = await functions.delete_function(platform.db, function.id)
    if deleted is None:
        raise FunctionNotFoundError("no such function")
    announce(platform, deleted, deleted=True)


async def _remove_at_cloud(platform: Platform, function: Function) -> None:
    """Have the deployer take a function away at its cloud and then here; it tells the others."""
    asked = NewDeployment(function_id=function.id, spec=function.version.spec, action="remove")
    await open_in_turn(platform, asked)
    try:
        await deploy(platform, asked.id, function.id)
    except FunctionNotFoundError:
        # That is what was asked for.
        forget(platform, replace(function, revision=function.revision + 1), deleted=True)
