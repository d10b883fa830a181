"""
The edge: every request comes in here and leaves with an answer in its dialect's words.

One function stands between aiohttp's protocol and the handlers: it gives the request its id, finds the route,
and turns whatever is raised into an answer. A ``PlatformError`` is rendered by the dialect that owns the route,
else by the one whose prefix the path has, else by the first. Anything else is a bug of ours: it is logged with
an incident id, and only that id is shown. A caller who hangs up changes nothing: the handler runs to its end.

This is aiohttp's low-level server on purpose: routes are found by ``routing.py``, and an application's resource
list and middleware chain would cost every request what they do not give us.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from aiohttp import StreamReader, web

from services.api.body_budget import BodyBudget, HeldBody
from services.api.dialects.dialect import Dialect
from services.api.routing import Entry, Router
from shared.domain.errors import (
    Fault,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    PayloadTooLargeError,
    PlatformError,
    UnavailableError,
)
from shared.domain.ids import new_record_id
from shared.process import metrics

REQUEST_ID = "X-Request-Id"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_BODY_S = 60.0
_HELD = web.RequestKey("held_body", HeldBody)
_SERVER = "tidemill"
_JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}

_log = structlog.get_logger(__name__)
_latency = metrics.histogram(
    "http_request_seconds", "Time from request head to answer, by dialect and class of status.", ("dialect", "status")
)


class CallerLeftError(Exception):
    """The caller hung up before the body was whole: there is nobody to answer."""


def json_response(data: Any, status: int = 200) -> web.Response:
    """Return an answer with ``data`` as JSON."""
    return web.Response(body=orjson.dumps(data), status=status, headers=_JSON_HEADERS)


async def read_body(request: web.BaseRequest, limit: int) -> bytes:
    """
    Return the body as sent (compressed if it was sent so), at most ``limit`` bytes.

    It is charged to the front's budget for bodies until the request is answered.

    Raises:
        PayloadTooLargeError: it is larger; reading stops there.
        UnavailableError: too much is held of other requests; reading stops there.
        CallerLeftError: the connection ended inside the body.
    """
    if not request.body_exists:
        return b""
    announced = request.content_length
    if announced is not None and announced > limit:
        raise PayloadTooLargeError(f"the body is over {limit} bytes", limit=limit)
    held = request[_HELD]
    held.expect(announced or 0)
    if request.content.is_eof():
        body = request.content.read_nowait(-1)
        held.take(len(body))
        return body
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            return await _read_chunks(request.content, limit, held)
    except TimeoutError:
        raise MalformedBodyError(f"the body did not arrive within {_BODY_S:g} s") from None
    except (ConnectionError, web.RequestPayloadError) as error:
        raise CallerLeftError from error


async def _read_chunks(content: StreamReader, limit: int, held: HeldBody) -> bytes:
    body = bytearray()
    while chunk := await content.readany():
        held.take(len(chunk))
        body += chunk
        if len(body) > limit:
            raise PayloadTooLargeError(f"the body is over {limit} bytes", limit=limit)
    return bytes(body)


class Front:
    """The one request handler of the server. ``bodies`` bounds what all requests hold together."""

    def __init__(self, dialects: Sequence[Dialect], router: Router) -> None:
        self.bodies = BodyBudget()
        self._dialects = dialects
        self._router = router
        self._observers: dict[tuple[str, int], Any] = {}
        self._in_flight = 0
        self._emptied = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return self._in_flight

    async def drain(self) -> None:
        """Wait until nothing is being answered."""
        while self._in_flight:
            self._emptied.clear()
            await self._emptied.wait()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        began = time.perf_counter()
        request_id = _request_id(request)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        entry: Entry | None = None
        held = request[_HELD] = self.bodies.open()
        self._in_flight += 1
        try:
            path = request.raw_path.partition("?")[0]
            if not path.startswith("/"):
                path = request.rel_url.raw_path
            entry, parameters = self._router.find(request.method, path)
            response = await entry.route.handler(request, parameters)
        except Exception as error:  # noqa: BLE001 - the one place that answers for everything
            response = self._render(error, request, entry)
        finally:
            held.release()
            self._in_flight -= 1
            if not self._in_flight:
                self._emptied.set()
        if not response.prepared:
            response.headers.setdefault(REQUEST_ID, request_id)
            response.headers.setdefault("Server", _SERVER)
        self._observe(entry, response.status, time.perf_counter() - began)
        return response

    def unreadable(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Return the answer to what is not HTTP; ``path`` is what may be one, followed by anything."""
        response = self._dialect_of(path).render_error(InvalidRequestError("the request is not valid HTTP"), request)
        response.headers[REQUEST_ID] = new_record_id()
        response.headers["Server"] = _SERVER
        response.force_close()
        return response

    def _render(self, error: Exception, request: web.BaseRequest, entry: Entry | None) -> web.StreamResponse:
        dialect = (entry.dialect if entry is not None else None) or self._dialect_of(request.raw_path)
        if isinstance(error, CallerLeftError | ConnectionError):
            _log.debug("caller_left", path=request.path)
            shown: PlatformError = MalformedBodyError("the request ended early")
        elif isinstance(error, PlatformError):
            _tell(error)
            shown = _without_internals(error)
        else:
            incident = new_record_id()
            _log.error("request_failed", incident=incident, method=request.method, exc_info=error)
            shown = InternalError("something went wrong on our side", incident=incident)
        response = dialect.render_error(shown, request)
        if "allow" in shown.fields:
            response.headers["Allow"] = str(shown.fields["allow"])
        if not request.content.is_eof():
            # What the caller still sends of a refused body is not read: the connection ends with this answer.
            response.force_close()
        return response

    def _dialect_of(self, path: str) -> Dialect:
        for dialect in self._dialects:
            if any(path.startswith(prefix) for prefix in dialect.prefixes):
                return dialect
        return self._dialects[0]

    def _observe(self, entry: Entry | None, status: int, seconds: float) -> None:
        name = entry.dialect.name if entry is not None and entry.dialect is not None else "platform"
        observer = self._observers.get((name, status // 100))
        if observer is None:
            observer = _latency.labels(name, f"{status // 100}xx")
            self._observers[name, status // 100] = observer
        observer.observe(seconds)


def _tell(error: PlatformError) -> None:
    """One line for what is not the caller's doing; the caller is told of the rest by the answer."""
    if isinstance(error, UnavailableError):
        _log.warning("request_not_served", code=error.code, reason=error.message)
    elif error.fault is Fault.PLATFORM:
        _log.error("request_not_served", code=error.code, reason=error.message)


def _without_internals(error: PlatformError) -> PlatformError:
    """Return an outage without what a library said of it: addresses and table names are not the caller's affair."""
    if isinstance(error, UnavailableError) and error.__cause__ is not None:
        return UnavailableError("the platform cannot serve this now; try again later", **error.fields)
    return error


def _request_id(request: web.BaseRequest) -> str:
    given = request.headers.get(REQUEST_ID)
    return given if given is not None and _GIVEN_ID.fullmatch(given) else new_record_id()
