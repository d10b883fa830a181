"""
aiohttp's low-level server, with the deadlines it lacks, and with answers of ours to what is not HTTP.

aiohttp closes an idle connection between two requests, but waits for ever for the first one. Here whoever connects
has a while to send a whole request head. What is sent in too slowly after that is the business of
``http.read_body``; what is not taken off our hands, of the kernel (``listen.py``).
"""

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.api.http import Front

_FIRST_HEAD_S = 30.0
_KEEP_ALIVE_S = 75.0
_LINGER_S = 2.0
_BEGIN_BYTES = 64
"""By so much of what cannot be read it is told which dialect it was meant for."""
_REQUEST_LINE_BYTES = 32 * 1024
"""A query of the longest RQL that is read, and more: a dialect says better than a parser that it is too long."""


class _Protocol(web.RequestHandler):
    """One connection. What cannot be read on it is answered as its dialect would: aiohttp itself speaks plain text."""

    __slots__ = ("_begin", "_front")

    def __init__(self, server: "Server", front: Front, **given: Any) -> None:
        super().__init__(server, **given)
        self._front = front
        self._begin = b""

    def data_received(self, data: bytes) -> None:
        self._begin = data[:_BEGIN_BYTES]
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        plain = super().handle_error(request, status, exc, message)
        if not isinstance(exc, HttpProcessingError):
            return plain
        return self._front.unreadable(request, self._begin.decode("latin-1").partition(" ")[2])


class Server(web.Server):
    """Serves a ``Front``. Connections that do not say anything are closed."""

    def __init__(self, front: Front, *, first_head_s: float = _FIRST_HEAD_S) -> None:
        super().__init__(
            self._answer,
            access_log=None,
            logger=_protocol_log(),
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            # A body goes to the function as it was sent; our own bodies are not taken compressed.
            auto_decompress=False,
            max_line_size=_REQUEST_LINE_BYTES,
        )
        self._front = front
        self._protocol = partial(_Protocol, self, front, loop=asyncio.get_running_loop(), **self._kwargs)
        self._first_head_s = first_head_s
        self._silent: dict[Any, asyncio.TimerHandle] = {}

    def __call__(self) -> web.RequestHandler:
        return self._protocol()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        loop = asyncio.get_running_loop()
        self._silent[handler] = loop.call_later(self._first_head_s, transport.close)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self._heard(handler)
        super().connection_lost(handler, exc)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._heard(request.protocol)
        return await self._front(request)

    def _heard(self, handler: Any) -> None:
        timer = self._silent.pop(handler, None)
        if timer is not None:
            timer.cancel()


def _protocol_log() -> logging.Logger:
    """Return the server's logger: bytes that are not HTTP are their sender's affair, not an incident."""
    log = logging.getLogger("services.api.protocol")

    def is_ours(record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)

    if not log.filters:
        log.addFilter(is_ours)
    return log
