"""
Running functions for callers: now, later, or as an API function.

The synchronous paths touch no database: the function comes from a cache, the bus carries the call, and the
record goes out as an event. The asynchronous one commits a row first; only then does the caller hear an id.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.database.executions import Dispatch, NewExecution
from shared.domain.errors import (
    IllegalStateError,
    Kind,
    PayloadTooLargeError,
    PlatformError,
    TimeLimitTooLongError,
    revive,
)
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.domain.outcome import Failure
from shared.messages.messages import ApiCall, ApiRequestFinished, InvocationReply, InvokeFunction

API_KIND = "api"
_REFUSED_STATUS = {Kind.UNAUTHENTICATED: 401, Kind.FORBIDDEN: 401, Kind.UNAVAILABLE: 503}
"""What a refused call of an API function answers, where that is not 400; a run that may have begun is never a 5xx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoked:
    """A synchronous run that reached the function: its record's id and what it came to."""

    execution_id: str
    reply: InvocationReply


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An asynchronous run that is kept. ``is_new`` is false when an idempotency key named an earlier one."""

    execution_id: str
    accepted_at: datetime
    is_new: bool


async def invoke_now(
    platform: Platform,
    identity: Identity,
    function: Function,
    kind: ExecutionKind,
    payload: bytes,
    *,
    log_tail_bytes: int = 0,
) -> Invoked:
    """
    Run a function and wait for its end; what the function did wrong is in the reply's ``failure``.

    ``log_tail_bytes`` asks for so much of the end of its log.

    Raises:
        ForbiddenError: the caller may not invoke.
        IllegalStateError: the function is disabled.
        PlatformError: it could not be run; the field ``execution_id`` names the attempt.
    """
    authorize(identity, Action.INVOKE_FUNCTION, function)
    require_enabled(function)
    record_id = new_record_id()
    command = InvokeFunction(
        record_id=record_id,
        kind=kind,
        function_id=function.id,
        revision=function.revision,
        expires_at_ms=_in_ms(function.version.spec.timeout_s + platform.limits.sync_grace_s),
        payload=payload,
        log_tail_bytes=log_tail_bytes,
    )
    try:
        reply = await called(platform, command)
    except PlatformError as error:
        error.fields = {**error.fields, "execution_id": record_id}
        raise
    return Invoked(execution_id=record_id, reply=reply)


async def invoke_later(
    platform: Platform,
    identity: Identity,
    function: Function,
    kind: ExecutionKind,
    payload: bytes,
    *,
    idempotency_key: str | None = None,
) -> Accepted:
    """
    Accept a run: it is on disk when this returns, and runs once, whatever breaks meanwhile.

    ``payload`` is JSON text. An ``idempotency_key`` counts for one function: the same key within 24 h gives the
    first execution again.

    Raises:
        ForbiddenError: the caller may not invoke.
        IllegalStateError: the function is disabled.
        UnavailableError: the database cannot be reached; nothing was accepted.
    """
    authorize(identity, Action.INVOKE_FUNCTION, function)
    require_enabled(function)
    accepted = await platform.accept.submit(
        NewExecution(
            id=new_record_id(),
            function_id=function.id,
            environment_id=function.environment_id,
            version_id=function.version.id,
            kind=kind,
            params=payload,
            created_by_user=identity.user_id,
            created_by_application=identity.application_id,
            idempotency_key=f"{function.id}:{idempotency_key}" if idempotency_key is not None else None,
        )
    )
    if accepted.is_new:
        platform.dispatcher.dispatch(
            Dispatch(execution_id=accepted.id, function_id=function.id, revision=function.revision)
        )
    return Accepted(execution_id=accepted.id, accepted_at=accepted.accepted_at, is_new=accepted.is_new)


async def call_api_function(
    platform: Platform, identity: Identity | None, function: Function, call: ApiCall, event: bytes
) -> InvocationReply:
    """
    Call a function as an HTTP API (contracts/extrahorizon.md sections 4 to 7).

    ``identity`` is None for a caller with no token; ``event`` is the request event as JSON. Checked in this
    order: permission, enabled, time limit, size. The run is recorded by the invoker; whatever is refused or
    fails before it is recorded here, as an event that never delays the answer.

    Raises:
        PlatformError: the call was refused or could not be run.
    """
    began_ms = _in_ms(0)
    limits = platform.limits
    record_id = new_record_id()
    try:
        authorize(identity, Action.CALL_API_FUNCTION, function)
        require_enabled(function)
        require_time_limit(platform, function)
        if len(event) > limits.event_bytes:
            raise PayloadTooLargeError(
                f"the request event is over {limits.event_bytes} bytes", limit=limits.event_bytes
            )
        return await called(
            platform,
            InvokeFunction(
                record_id=record_id,
                kind=API_KIND,
                function_id=function.id,
                revision=function.revision,
                expires_at_ms=_in_ms(function.version.spec.timeout_s + limits.api_call_grace_s),
                api_call=call,
                payload=event,
            ),
        )
    except PlatformError as error:
        platform.bus.record(_refused(record_id, function, call, error, began_ms))
        raise


async def called(platform: Platform, command: InvokeFunction) -> InvocationReply:
    """Return the reply of an invoker; raise what it or the bus says instead."""
    reply = await platform.bus.call(command)
    if reply.error is not None:
        raise revive(reply.error)
    return reply


def require_enabled(function: Function) -> None:
    """Raise ``IllegalStateError`` if the function is disabled."""
    if not function.enabled:
        raise IllegalStateError("the function is disabled", state="disabled")


def require_time_limit(platform: Platform, function: Function) -> None:
    """Raise ``TimeLimitTooLongError`` if nobody may wait over HTTP for as long as the function may run."""
    limit_s = platform.limits.api_function_timeout_s
    if function.version.spec.timeout_s > limit_s:
        raise TimeLimitTooLongError(f"the function's time limit is over {limit_s} seconds", limit=limit_s)


def _refused(
    record_id: str, function: Function, call: ApiCall, error: PlatformError, began_ms: int
) -> ApiRequestFinished:
    status = _REFUSED_STATUS.get(error.kind, 400)
    return ApiRequestFinished(
        request_id=record_id,
        function_id=function.id,
        environment_id=function.environment_id,
        function_name=function.name,
        call=call,
        status_code=status,
        failure=Failure(kind="refused", name=error.code, message=error.message),
        started_at_ms=began_ms,
        duration_ms=float(_in_ms(0) - began_ms),
    )


def _in_ms(seconds: float) -> int:
    """Return the Unix time in so many seconds, in milliseconds."""
    return int((time.time() + seconds) * 1000)
