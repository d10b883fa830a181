"""
What people do with the functions of an environment, wherever these run: look, change, call, sync, take away.

A function is found by its number in the environment the caller is in; one of another environment is not found. How
it is seen at a cloud is what the deployer last saw there.
"""

from collections.abc import Mapping, Sequence

from services.api.access.permissions import authorize
from services.api.operations import invoke
from services.api.operations.delete_function import delete_function
from services.api.operations.deploy import GOES_ON, deploy, open_in_turn
from services.api.operations.invoke import Invoked
from services.api.operations.places import InEnvironment
from services.api.operations.update_function import BUSY, FunctionPatch, change_settings, update_function
from services.api.platform import Platform
from shared.database import functions, resources
from shared.database.deployments import NewDeployment
from shared.database.functions import FunctionSettings
from shared.database.resources import ListedResource, Resource
from shared.domain.errors import FunctionNotFoundError, IllegalStateError, InvalidRequestError, UnavailableError
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.identity import Action
from shared.domain.placement import CloudState

LOG_TAIL_BYTES = 4096
"""How much of a run's log its caller is shown, as on AWS Lambda."""
_CALLABLE = (CloudState.ACTIVE, CloudState.INACTIVE, CloudState.UPDATING)
_GONE = "There is no function with that ID in this environment"


async def find_resource(platform: Platform, place: InEnvironment, number: int) -> Resource:
    """Return a function to somebody who may look; raise ``FunctionNotFoundError``."""
    authorize(place.identity, Action.READ_FUNCTION)
    found = await resources.find_resource(platform.db, place.environment.id, number)
    if found is None:
        raise FunctionNotFoundError(_GONE)
    return found


async def resource_of(platform: Platform, function_id: str) -> Resource:
    """Return a function as a resource; raise ``FunctionNotFoundError``."""
    found = await resources.find_of_function(platform.db, function_id)
    if found is None:
        raise FunctionNotFoundError(_GONE)
    return found


async def function_of(platform: Platform, resource: Resource) -> Function:
    """Return the function that a resource is; raise ``FunctionNotFoundError``."""
    function = await functions.find_function(platform.db, resource.id)
    if function is None:
        raise FunctionNotFoundError(_GONE)
    return function


async def variables_of(platform: Platform, resource: Resource) -> Mapping[str, str]:
    """Return the environment variables of a function, those that are locked with their values too."""
    return (await function_of(platform, resource)).version.spec.environment


async def list_resources(
    platform: Platform,
    place: InEnvironment,
    *,
    region: str | None = None,
    status: str | None = None,
    state: str | None = None,
) -> Sequence[ListedResource]:
    """Return the functions of an environment, the newest first."""
    authorize(place.identity, Action.LIST_FUNCTIONS)
    return await resources.list_resources(platform.db, place.environment.id, region=region, status=status, state=state)


async def change_resource(
    platform: Platform, place: InEnvironment, resource: Resource, patch: FunctionPatch
) -> Resource:
    """
    Change what a function runs, or how, and wait until that is in force; or until it takes too long and goes on.

    Raises:
        IllegalStateError: others keep changing the function.
        PlatformError: as ``update_function``, and what the provider refuses; nothing has changed then.
    """
    function = await function_of(platform, resource)
    try:
        await update_function(platform, place.identity, function, patch)
    except UnavailableError as error:
        if error.fields.get("issue") == BUSY:
            raise IllegalStateError(error.message) from error
        if error.fields.get("issue") != GOES_ON:
            raise
    return await resource_of(platform, resource.id)


async def rename_resource(platform: Platform, place: InEnvironment, resource: Resource, name: str) -> Resource:
    """Give a function another name here; at its provider it keeps the one it has. Raises ``NameTakenError``."""
    function = await function_of(platform, resource)
    authorize(place.identity, Action.UPDATE_FUNCTION, function)
    await change_settings(platform, function, FunctionSettings(name=name))
    return await resource_of(platform, resource.id)


async def move_resource(
    platform: Platform, place: InEnvironment, resource: Resource, x: float | None, y: float | None
) -> Resource:
    """Put a function somewhere else on the canvas; None leaves that coordinate."""
    authorize(place.identity, Action.UPDATE_FUNCTION)
    await resources.move(platform.db, resource.id, x, y)
    return await resource_of(platform, resource.id)


async def invoke_resource(platform: Platform, place: InEnvironment, resource: Resource, payload: bytes) -> Invoked:
    """
    Run a function on a payload, JSON text, and wait for its end; the reply has the end of its log.

    Raises:
        InvalidRequestError: it cannot be called in the state it is in.
        PlatformError: as ``invoke_now``.
    """
    if resource.status not in _CALLABLE:
        raise InvalidRequestError(
            f"The function is {resource.status}: it can be invoked when it is active",
            field="status",
            issue="not active",
        )
    return await invoke.invoke_now(
        platform,
        place.identity,
        await function_of(platform, resource),
        ExecutionKind.GATEWAYS,
        payload,
        log_tail_bytes=LOG_TAIL_BYTES,
    )


async def sync_resource(platform: Platform, place: InEnvironment, resource: Resource) -> Resource:
    """
    Take over what the function's provider says of it now.

    Raises:
        CloudFunctionGoneError: it is not there any more.
        NotConnectedError: the connection to its cloud may not be used any more.
        IllegalStateError: others keep changing the function.
    """
    function = await function_of(platform, resource)
    authorize(place.identity, Action.UPDATE_FUNCTION, function)
    await _carry_out(platform, NewDeployment(function_id=function.id, spec=function.version.spec, action="sync"))
    return await resource_of(platform, resource.id)


async def delete_resource(platform: Platform, place: InEnvironment, resource: Resource) -> None:
    """
    Take a function away at its provider, then here; one that is gone there already is well.

    Raises:
        CloudDeniedError, CloudRefusedError: the provider does not let it go; it stays.
    """
    function = await function_of(platform, resource)
    try:
        await delete_function(platform, place.identity, function)
    except IllegalStateError as error:
        raise _busy() from error


async def _carry_out(platform: Platform, deployment: NewDeployment) -> None:
    try:
        await open_in_turn(platform, deployment)
    except IllegalStateError as error:
        raise _busy() from error
    await deploy(platform, deployment.id, deployment.function_id)


def _busy() -> IllegalStateError:
    return IllegalStateError("The function is being changed; try again in a moment")
