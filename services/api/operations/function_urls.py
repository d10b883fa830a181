"""
Calls of functions through their URLs: anybody may, as on AWS Lambda with no authorisation.

Only functions that were given a place on this installation have such a URL: whoever made one asked for an address that
is open. Functions made in other ways are called as their dialect says, and by those whom it lets.

Anybody may send megabytes here, and credentials: the record of a call has neither its event nor its answer.
"""

import time

from services.api.platform import Platform
from shared.domain.errors import FunctionNotFoundError, IllegalStateError, PayloadTooLargeError, revive
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.placement import LOCAL
from shared.messages.messages import InvocationReply, InvokeFunction


async def function_of_url(platform: Platform, function_id: str) -> Function:
    """Return the function a URL is of, from the cache; raise ``FunctionNotFoundError``."""
    function = await platform.functions.get(function_id)
    if not function.has_url or function.provider != LOCAL:
        raise FunctionNotFoundError("There is no function at this URL")
    return function


async def call_url(
    platform: Platform, function: Function, event: bytes, execution_id: str, *, recorded: str
) -> InvocationReply:
    """
    Run a function on the event of its URL and wait for its end; what it did wrong is in the reply's ``failure``.

    ``recorded`` is what is kept of the call, as JSON text.

    Raises:
        IllegalStateError: the function is disabled.
        PayloadTooLargeError: the event is.
        PlatformError: it could not be run.
    """
    if not function.enabled:
        raise IllegalStateError("The function is disabled", state="disabled")
    if len(event) > platform.limits.event_bytes:
        raise PayloadTooLargeError(
            f"The request is over {platform.limits.event_bytes} bytes as an event", limit=platform.limits.event_bytes
        )
    patience_s = function.version.spec.timeout_s + platform.limits.sync_grace_s
    reply = await platform.bus.call(
        InvokeFunction(
            record_id=execution_id,
            kind=ExecutionKind.GATEWAYS,
            function_id=function.id,
            revision=function.revision,
            expires_at_ms=int((time.time() + patience_s) * 1000),
            payload=event,
            recorded=recorded,
        )
    )
    if reply.error is not None:
        raise revive(reply.error)
    return reply
