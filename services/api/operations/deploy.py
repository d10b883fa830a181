"""
Waiting for the deployer: what creating and updating have in common.

The deployment is a row before this is called; the command only says that it is time. The end is announced, but
an announcement may be lost, so the row is looked at too.
"""

import asyncio
import time

from services.api.platform import Platform
from shared.database import deployments, functions
from shared.database.deployments import NewDeployment, open_deployment
from shared.domain.errors import (
    ErrorRecord,
    FunctionNotFoundError,
    IllegalStateError,
    PlatformError,
    UnavailableError,
    revive,
)
from shared.domain.function import Function
from shared.messages.messages import DeployFunction, DeploymentFinished, FunctionChanged

GOES_ON = "goes on"
"""The field ``issue`` of the error when a deployment has not ended before its caller's patience."""
PAUSE_S = 0.05
"""How often it is tried to begin a change of a function that others are changing."""
_LOOK_EVERY_S = 1.0


async def open_in_turn(platform: Platform, deployment: NewDeployment) -> None:
    """
    Open a deployment of a function once nobody else is changing it.

    Raises:
        FunctionNotFoundError: it is gone.
        IllegalStateError: others keep changing it for longer than a caller waits.
    """
    give_up_at = time.monotonic() + platform.limits.change_wait_s
    while True:
        try:
            await open_deployment(platform.db, deployment)
        except IllegalStateError:
            if time.monotonic() >= give_up_at:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def deploy(platform: Platform, deployment_id: str, function_id: str) -> Function:
    """
    Have an open deployment carried out and return the function as it is then.

    Raises:
        PlatformError: what the deployer refused it for; nothing has changed then.
        UnavailableError: no deployer took it in time, so it was cancelled and nothing has changed; or one took
            it and is still at it when the caller's patience ends.
    """
    with platform.deployments.expect(deployment_id) as finished:
        try:
            await platform.bus.send(DeployFunction(deployment_id=deployment_id, function_id=function_id))
        except PlatformError:
            # A lost confirmation may hide a command that arrived: then a deployer has it, and we wait for that.
            if await deployments.cancel_pending(platform.db, deployment_id):
                raise
        refusal = await _outcome(platform, deployment_id, finished)
    if refusal is not None:
        raise revive(refusal)
    function = await functions.find_function(platform.db, function_id)
    if function is None:
        raise FunctionNotFoundError("the function was deleted while it was being deployed")
    forget(platform, function)
    return function


def forget(platform: Platform, function: Function, *, deleted: bool = False) -> None:
    """Drop what this process remembers of a function that has changed; others hear it by notice."""
    platform.functions.on_change(
        FunctionChanged(
            function_id=function.id,
            environment_id=function.environment_id,
            name=function.name,
            revision=function.revision,
            deleted=deleted,
        )
    )


async def _outcome(
    platform: Platform, deployment_id: str, finished: "asyncio.Future[DeploymentFinished]"
) -> ErrorRecord | None:
    """Return why it was refused, or None when it succeeded."""
    give_up_at = time.monotonic() + platform.limits.deployment_s
    while True:
        patience = min(_LOOK_EVERY_S, give_up_at - time.monotonic())
        done, _ = await asyncio.wait({finished}, timeout=max(0.0, patience))
        if done:
            return finished.result().error
        ended = await deployments.ended(platform.db, deployment_id)
        if ended is not None and ended.state == "cancelled":
            raise UnavailableError("the deployment was called off; nothing was changed")
        if ended is not None:
            return ended.error
        if time.monotonic() >= give_up_at:
            break
    if await deployments.cancel_pending(platform.db, deployment_id):
        raise UnavailableError("no deployer took the function in time; nothing was changed")
    raise UnavailableError(
        "the deployment takes longer than usual and goes on; look at the function again later", issue=GOES_ON
    )
