"""
``ANY /tasks/v1/api/{name}/{anything}``: a function called as an HTTP API (contracts/extrahorizon.md sections 3.2 to 5).

The hot path: one token look-up in a cache, one function from a cache, one event written, one call over the bus,
one answer. The order of the checks is the operation's; here come first what it needs to be asked at all: whose
token it is, which function it is, and the body.
"""

from collections.abc import Mapping

from aiohttp import web

from services.api.access.permissions import authorize
from services.api.dialects.extrahorizon.callers import caller
from services.api.dialects.extrahorizon.errors import failure_response
from services.api.dialects.extrahorizon.request_event import request_event, split_target
from services.api.http import read_body
from services.api.operations.invoke import call_api_function
from services.api.operations.read_functions import callable_function
from services.api.platform import Platform
from shared.domain.errors import PlatformError, RouteNotFoundError
from shared.domain.function import Function
from shared.domain.identity import Action, Identity
from shared.messages.messages import ApiCall, InvocationReply

BODY_BYTES = 10 * 1024 * 1024
"""What the gateway takes at all; the event made of it has its own, smaller limit."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_BODILESS = frozenset({204, 304})


async def call(platform: Platform, request: web.BaseRequest, parameters: Mapping[str, str]) -> web.Response:
    """Answer with what the function answers, or with why it could not."""
    method = request.method
    if method not in _METHODS:
        raise RouteNotFoundError(f"API functions do not take the method {method}.")
    identity = await caller(platform, request)
    function = await callable_function(platform, identity, parameters["name"])
    path, query = split_target(request.raw_path)
    user_id = application_id = None
    if identity is not None:
        user_id, application_id = identity.user_id, identity.application_id
    # The body of a caller who may not call is not read: the operation refuses them, and records it, without.
    body = await read_body(request, BODY_BYTES) if _may_call(identity, function) else b""
    event = request_event(
        method,
        path,
        query,
        request.headers.items(),
        body,
        user_id=user_id,
        application_id=application_id,
    )
    api_call = ApiCall(method=method, path=path + query, user_id=user_id, application_id=application_id)
    return _answer(await call_api_function(platform, identity, function, api_call, event))


def _may_call(identity: Identity | None, function: Function) -> bool:
    try:
        authorize(identity, Action.CALL_API_FUNCTION, function)
    except PlatformError:
        return False
    return True


def _answer(reply: InvocationReply) -> web.Response:
    if reply.failure is not None:
        return failure_response(reply.failure)
    answer = reply.answer
    assert answer is not None  # a call that is no failure has an answer
    body = None if answer.status in _BODILESS else reply.payload
    return web.Response(status=answer.status, headers=answer.headers, body=body)
