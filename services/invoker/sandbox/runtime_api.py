"""
AWS Lambda's Runtime API, for a worker that is a program of the author's own.

::

    GET  /2018-06-01/runtime/invocation/next            waits for an event; the first one says that the start is over
    POST /2018-06-01/runtime/invocation/<id>/response   the result
    POST /2018-06-01/runtime/invocation/<id>/error      how the handler failed
    POST /2018-06-01/runtime/init/error                 how the start failed

To a worker this is what ``Channel`` is to one that runs our own code: the same frames go in and come out. It is
served inside the sandbox only, on a socket that was made in its network (``spawner_process.py``); without such a
network, on a port of its own, to the worker's user only.

Whoever is in the sandbox can speak to it. So connections, headers and bodies are bounded, what comes out of turn
is refused as AWS refuses it, and who asks on and on to no purpose is ended. A result is checked to be JSON: what
comes after relies on it.
"""

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.invoker.sandbox.frames import Frame, ProtocolError
from services.invoker.sandbox.peers import uid_of_peer

PORT = 9001
"""Where it is in a network of the sandbox's own."""
_CONNECTIONS = 8
_MOST_FRUITLESS = 1000
"""Connections and requests since the last event or answer."""
_ERROR_BYTES = 256 * 1024
_MAX_NAME, _MAX_TEXT = 1024, 128 * 1024
_READ_AT_MOST = 16
"""A body that is so many times too large is not read to its end."""
_KEEP_ALIVE_S = 24 * 3600.0
_LINGER_S = 1.0
_RUNTIME = "/2018-06-01/runtime"
_NEXT, _INIT_ERROR = f"{_RUNTIME}/invocation/next", f"{_RUNTIME}/init/error"
_OF_INVOCATION = re.compile(rf"{_RUNTIME}/invocation/([^/]+)/(response|error)")


@dataclass(slots=True)
class _Event:
    id: str
    body: bytes
    deadline_ms: int
    arn: str
    taken_at: float = 0.0


class _SupersededError(Exception):
    """Another question for an event came."""


class RuntimeApi:
    """
    The Runtime API of one worker.

    ``on_frame`` gets ``hello``, ``loaded``, ``done``, ``large`` and ``raised`` frames, ``on_nonsense`` is called
    when the sandbox asks too much. ``address`` is what the program is told.
    """

    def __init__(
        self, result_bytes: int, *, on_frame: Callable[[Frame], None], on_nonsense: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._result_bytes = result_bytes
        self._on_frame, self._on_nonsense = on_frame, on_nonsense
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._http = _Http(self._respond, self._count)
        self._closed = False
        self._fruitless = 0
        self._began = 0.0
        self._arn = ""
        self._started: Frame | None = None
        """How the start ended, ``loaded`` or ``raised``; told once the worker has asked."""
        self._asked = False
        self._waiting: asyncio.Future[None] | None = None
        self._event: _Event | None = None
        self._running: _Event | None = None
        self._receiving = False

    @property
    def unread(self) -> bool:
        """Tell whether an event was written that the program has not taken."""
        return self._event is not None

    def listen(self, listener: socket.socket, peer_uid: int | None = None) -> None:
        """Own the socket to serve on; with ``peer_uid`` only processes of that user are served."""
        self._listener = listener
        self._http.peer_uid = peer_uid
        self._began = time.monotonic()

    async def open(self) -> None:
        """Serve. Whoever connected before this is served now."""
        listener, self._listener = self._listener, None
        if listener is None:  # closed before it was opened
            return
        self._server = await self._loop.create_server(self._http, sock=listener)
        if self._closed:
            self._server.close()

    def write(self, data: bytes) -> None:
        """
        Take a ``load`` or ``run`` frame for the program.

        Raises:
            OSError: this is closed.
        """
        if self._closed:
            raise BrokenPipeError("the Runtime API is closed")
        line, _, body = data.partition(b"\n")
        header = orjson.loads(line)
        if header["t"] == "load":
            self._arn = orjson.loads(body)["function_arn"]
            self._asked = True
            self._tell_start()
            return
        told = header.get("c") or {}
        deadline_ms = time.time_ns() // 1_000_000 + header["ms"]
        self._event = _Event(header["id"], body, deadline_ms, told.get("invoked_function_arn") or self._arn)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def close(self) -> None:
        """Stop serving and drop all connections."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._server is not None:
            self._server.close()
        self._http.abort()

    def _count(self) -> None:
        self._fruitless += 1
        if self._fruitless > _MOST_FRUITLESS and not self._closed:
            self._on_nonsense()

    def _emit(self, frame: Frame) -> None:
        if self._closed:
            return
        try:
            self._on_frame(frame)
        except ProtocolError:
            self._on_nonsense()

    def _tell_start(self) -> None:
        """Tell how the start ended; not at once, because who asks waits for the answer only then."""
        if self._asked and self._started is not None:
            self._asked = False
            self._loop.call_soon(self._emit, self._started)

    # Requests.

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        self._count()
        path = request.path
        of_invocation = _OF_INVOCATION.fullmatch(path)
        if of_invocation is None and path not in {_NEXT, _INIT_ERROR}:
            return _refusal(404, "NotFound", "there is no such path in the Runtime API")
        right = "GET" if path == _NEXT else "POST"
        if request.method != right:
            return _refusal(405, "MethodNotAllowed", f"only {right} is allowed here")
        if of_invocation is not None:
            return await self._ended(request, *of_invocation.groups())
        return await (self._next() if path == _NEXT else self._init_error(request))

    async def _ended(self, request: web.BaseRequest, request_id: str, how: str) -> web.Response:
        event = self._running
        if event is None or self._receiving:
            return _out_of_turn()
        if event.id != request_id:
            return _refusal(400, "InvalidRequestID", "Invalid request ID")
        with self._reception():
            return await (self._response if how == "response" else self._error)(request, event)

    @contextmanager
    def _reception(self) -> Iterator[None]:
        """Read one body at a time: together they are then no larger than one."""
        self._receiving = True
        try:
            yield
        finally:
            self._receiving = False

    async def _next(self) -> web.Response:
        if self._running is not None:
            return _out_of_turn()
        if self._waiting is not None and not self._waiting.done():
            # The newest question counts: who asked before has most likely given up, and we have not heard yet.
            self._waiting.set_exception(_SupersededError)
        if self._started is None:
            self._started = Frame("loaded", {"ms": (time.monotonic() - self._began) * 1000}, b"")
            self._tell_start()
        while self._event is None:
            waiting = self._waiting = self._loop.create_future()
            try:
                await waiting
            except _SupersededError:
                return _out_of_turn()
            finally:
                if self._waiting is waiting:
                    self._waiting = None
        event, self._event = self._event, None
        event.taken_at = time.monotonic()
        self._running = event
        self._fruitless = 0
        return web.Response(
            body=event.body,
            content_type="application/json",
            headers={
                "Lambda-Runtime-Aws-Request-Id": event.id,
                "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": event.arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{token_hex(12)};Sampled=0",
            },
        )

    async def _response(self, request: web.BaseRequest, event: _Event) -> web.Response:
        body, size = await _read(request, self._result_bytes)
        header = self._end_of(event)
        if size > self._result_bytes:
            self._emit(Frame("large", {**header, "size": size}, b""))
            message = f"Exceeded maximum allowed payload size ({self._result_bytes} bytes)."
            return _refusal(413, "RequestEntityTooLarge", message)
        body = body.strip()
        if not body:
            self._emit(Frame("done", {**header, "u": 1}, b"null"))
            return _accepted()
        fault = _json_fault(body)
        self._emit(_raised(header, "Runtime.MarshalError", fault) if fault else Frame("done", header, body))
        return _accepted()

    async def _error(self, request: web.BaseRequest, event: _Event) -> web.Response:
        body, _ = await _read(request, _ERROR_BYTES)
        self._emit(_raised(self._end_of(event), *_told(request, body)))
        return _accepted()

    async def _init_error(self, request: web.BaseRequest) -> web.Response:
        if self._started is not None or self._receiving:
            return _out_of_turn()
        with self._reception():
            body, _ = await _read(request, _ERROR_BYTES)
        spent = (time.monotonic() - self._began) * 1000
        self._started = _raised({"id": "", "ms": spent}, *_told(request, body))
        self._tell_start()
        return _accepted()

    def _end_of(self, event: _Event) -> dict[str, Any]:
        """End the turn of an event; return the header of the frame that tells how."""
        self._running = None
        self._fruitless = 0
        return {"id": event.id, "ms": (time.monotonic() - event.taken_at) * 1000}


class _Http(web.Server):
    """aiohttp's low-level server: few connections, and only those of the right user."""

    def __init__(self, respond: Callable[[web.BaseRequest], Any], count: Callable[[], None]) -> None:
        super().__init__(
            respond,
            handler_cancellation=True,  # who no longer waits for an event must not get one
            access_log=None,
            logger=_protocol_log(),
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            auto_decompress=False,
        )
        self._count = count
        self.peer_uid: int | None = None

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._count()
        here, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if len(self.connections) > _CONNECTIONS or (
            self.peer_uid is not None and uid_of_peer(here, peer) != self.peer_uid
        ):
            transport.abort()

    def abort(self) -> None:
        """Drop all connections."""
        for transport in list(self._connections.values()):
            transport.abort()


async def _read(request: web.BaseRequest, keep_bytes: int) -> tuple[bytes, int]:
    """Return a body's first bytes, and how many it has (at least, when there are far too many)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    kept, size = bytearray(), 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        kept += chunk[: max(0, keep_bytes - len(kept))]
        if size > keep_bytes * _READ_AT_MOST:
            break
    return bytes(kept), size


def _json_fault(body: bytes) -> str:
    """Return why a response is not JSON, empty when it is."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    else:
        return ""
    try:
        json.loads(body.decode(), parse_constant=_no_constant)  # lone surrogates are JSON, but more than orjson reads
    except (ValueError, RecursionError) as error:
        return f"The response is not JSON: {error}"
    return ""


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _told(request: web.BaseRequest, body: bytes) -> tuple[str, str, str]:
    """Return name, message and stack of an error as a runtime reports it."""
    name = request.headers.get("Lambda-Runtime-Function-Error-Type", "")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return name or "Unhandled", body.decode("utf-8", "replace"), ""
    if not isinstance(told, dict) or not isinstance(told.get("stackTrace") or [], list):
        return name or "Unhandled", body.decode("utf-8", "replace"), ""
    trace = [each if isinstance(each, str) else orjson.dumps(each).decode() for each in told.get("stackTrace") or ()]
    return str(told.get("errorType") or name or "Unhandled"), str(told.get("errorMessage") or ""), "\n".join(trace)


def _raised(header: dict[str, Any], name: str, message: str, stack: str = "") -> Frame:
    told = {"name": name[:_MAX_NAME], "message": message[:_MAX_TEXT], "stack": stack[:_MAX_TEXT]}
    return Frame("raised", header, orjson.dumps(told))


def _accepted() -> web.Response:
    return _answer(202, {"status": "OK"})


def _refusal(status: int, kind: str, message: str) -> web.Response:
    return _answer(status, {"errorMessage": message, "errorType": kind})


def _out_of_turn() -> web.Response:
    return _refusal(403, "InvalidStateTransition", "State transition is not allowed")


def _answer(status: int, told: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(told), content_type="application/json")


def _protocol_log() -> logging.Logger:
    """Return the server's logger: bytes that are not HTTP are the function's affair, not an incident."""
    log = logging.getLogger("services.invoker.runtime_api")

    def is_ours(record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)

    if not log.filters:
        log.addFilter(is_ours)
    return log
