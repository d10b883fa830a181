"""
``/fn/{id}/...``: functions called through their URLs, open to anybody and to every origin (contracts/gateways.md 3.1).

A browser's question whether it may call is answered here, without the function; every other request is the
function's. What it answers is passed on as it is, with the headers that let any origin read it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
import structlog
from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.url_event import UnusableResultError, UrlRequest, url_answer, url_event
from services.api.http import json_response, read_body
from services.api.operations.function_urls import call_url, function_of_url
from shared.domain.errors import FunctionNotFoundError
from shared.domain.ids import new_record_id

PREFIX = "/fn/"
BODY_BYTES = 6 * 1024 * 1024
"""The largest request AWS takes."""

_ID = re.compile(r"func_[a-z0-9]{10}")
_NO_BODY = frozenset({204, 304})
_PREFLIGHT_S = "600"

_log = structlog.get_logger(__name__)


def routes(door: Door) -> tuple[Route, ...]:
    """Return the one route of all functions: every method, any path."""

    async def answer(request: web.BaseRequest, parameters: Mapping[str, str]) -> web.Response:
        return await _call(door, request, parameters)

    return (Route(methods=("*",), path=PREFIX + "{id}/{path...}", handler=answer),)


def open_to_origins(response: web.Response) -> web.Response:
    """Let a page of any origin read an answer; what the function said about that itself does not count."""
    for name in [each for each in response.headers if each.lower().startswith("access-control-")]:
        del response.headers[name]
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "*"
    return response


async def _call(door: Door, request: web.BaseRequest, parameters: Mapping[str, str]) -> web.Response:
    if _ID.fullmatch(parameters["id"]) is None:
        raise FunctionNotFoundError("There is no function at this URL")
    function = await function_of_url(door.platform, parameters["id"])
    if _asks_whether_it_may(request):
        return _it_may(request)
    execution_id = new_record_id()
    path = parameters["path"] or "/"
    event = url_event(
        UrlRequest(
            function_id=function.id,
            request_id=execution_id,
            method=request.method,
            path=path,
            query=request.raw_path.partition("#")[0].partition("?")[2],
            protocol=f"HTTP/{request.version.major}.{request.version.minor}",
            host=request.host,
            scheme=request.scheme,
            address=door.origin(request).address,
            headers=request.headers.items(),
            body=await read_body(request, BODY_BYTES),
            at=datetime.now(UTC),
        )
    )
    recorded = orjson.dumps({"method": request.method, "path": path}).decode()
    reply = await call_url(door.platform, function, event, execution_id, recorded=recorded)
    if reply.failure is not None:
        return _failed(execution_id, reply.failure.name)
    try:
        answer = url_answer(reply.payload)
    except UnusableResultError as error:
        _log.info("function_answer_unusable", function_id=function.id, execution_id=execution_id, reason=str(error))
        return _failed(execution_id, "InvalidResponse")
    response = web.Response(status=answer.status, body=None if answer.status in _NO_BODY else answer.body)
    for name, value in answer.headers:
        response.headers.add(name, value)
    return open_to_origins(response)


def _failed(execution_id: str, name: str) -> web.Response:
    """Return what AWS answers for a function that failed: why is in its log, not for everybody to read."""
    response = json_response({"Message": "Internal Server Error"}, 502)
    response.headers["X-Amzn-ErrorType"] = name if name.isascii() and name.isalnum() else "Unhandled"
    response.headers["X-Amzn-RequestId"] = execution_id
    return open_to_origins(response)


def _asks_whether_it_may(request: web.BaseRequest) -> bool:
    asked = request.headers
    return request.method == "OPTIONS" and "Origin" in asked and "Access-Control-Request-Method" in asked


def _it_may(request: web.BaseRequest) -> web.Response:
    response = open_to_origins(web.Response(status=200))
    # "*" would leave out Authorization, so what is asked for is named.
    response.headers["Access-Control-Allow-Methods"] = request.headers["Access-Control-Request-Method"]
    response.headers["Access-Control-Allow-Headers"] = request.headers.get("Access-Control-Request-Headers", "*")
    response.headers["Access-Control-Max-Age"] = _PREFLIGHT_S
    response.headers["Vary"] = "Access-Control-Request-Method, Access-Control-Request-Headers"
    return response
