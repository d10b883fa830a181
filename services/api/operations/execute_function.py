"""
Direct execution: a task that runs at once while its caller waits (contracts/extrahorizon.md section 3.1).

The task is kept before the run and settled after it, so it is listed like any other. It does not go through the
queue, its priority counts for nothing, and it is never tried again.
"""

import time
from dataclasses import dataclass, replace

from services.api.access.permissions import authorize
from services.api.operations.invoke import called, require_enabled, require_time_limit
from services.api.platform import Platform
from shared.domain.errors import (
    DeadlineExceededError,
    InterruptedExecutionError,
    PayloadTooLargeError,
    PlatformError,
    ThrottledError,
    TooManyExecutionsError,
)
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.identity import Action, Identity
from shared.domain.outcome import Failure
from shared.domain.task import Task
from shared.domain.task_object import task_event
from shared.messages.messages import InvocationReply, InvokeFunction

_AROUND_DATA_BYTES = 1024
"""What the event of a task holds beside its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """
    A direct execution that reached its function: the task as it ended, and what was returned.

    ``result`` is JSON text, empty when the task has failed.
    """

    task: Task
    result: bytes


async def execute_function(
    platform: Platform, identity: Identity | None, function: Function, data: bytes | None
) -> Executed:
    """
    Run a function as a task and wait for its end; what the function did wrong is the task's ``failure``.

    ``identity`` is None for a caller with no token; ``data`` is JSON text. Checked in this order: permission, enabled,
    time limit, how many run already, size.

    Raises:
        PlatformError: it was refused or could not be run; the field ``task_id`` names the task, if there is one.
        UnavailableError: also when it has run and its end could not be written; the task then counts as lost.
    """
    authorize(identity, Action.EXECUTE_FUNCTION, function)
    require_enabled(function)
    require_time_limit(platform, function)
    limits = platform.limits
    run_s = function.version.spec.timeout_s + limits.api_call_grace_s
    with platform.direct.place():
        if data is not None and len(data) > limits.event_bytes - _AROUND_DATA_BYTES:
            raise PayloadTooLargeError(f"the event is over {limits.event_bytes} bytes", limit=limits.event_bytes)
        began = await platform.direct.begin(function.environment_id, function.name, data, identity, run_s=run_s)
        # What the function gets is what the caller sent, not how the database would write it.
        task = replace(began, data=data)
        reply = await _replied(platform, function, task, run_s)
        ended = await platform.direct.end(task, reply)
    if ended is None:
        raise InterruptedExecutionError("the task was given up while it ran", task_id=task.id)
    return Executed(task=replace(ended, data=data), result=reply.payload)


async def _replied(platform: Platform, function: Function, task: Task, run_s: float) -> InvocationReply:
    """Return the invoker's reply; a task that got none is failed before the error goes on."""
    assert task.run_id is not None  # a task in progress has one
    command = InvokeFunction(
        record_id=task.run_id,
        kind=ExecutionKind.DIRECT,
        function_id=function.id,
        revision=function.revision,
        expires_at_ms=int((time.time() + run_s) * 1000),
        payload=task_event(task),
    )
    try:
        return await called(platform, command)
    except ThrottledError as error:
        # Task and caller are told the same: of executions, not of calls.
        refused = TooManyExecutionsError(error.message, **error.fields)
        await _fail(platform, task, refused)
        raise refused from error
    except PlatformError as error:
        await _fail(platform, task, error)
        raise


async def _fail(platform: Platform, task: Task, error: PlatformError) -> None:
    """End a task that got no reply; the error names it from now on."""
    assert task.run_id is not None  # a task in progress has one
    # No answer in time: it may have run, and nobody knows what came of it.
    kind = "interrupted" if isinstance(error, DeadlineExceededError) else "refused"
    failure = Failure(kind=kind, name=error.code, message=error.message)
    await platform.direct.end(task, InvocationReply(record_id=task.run_id, failure=failure))
    error.fields = {**error.fields, "task_id": task.id}
