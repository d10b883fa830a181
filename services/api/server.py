"""
aiohttp's low-level server, with the deadlines it lacks.

aiohttp closes an idle connection between two requests, but waits for ever for the first one. Here whoever connects
has a while to send a whole request head. What is sent in too slowly after that is the business of
``http.read_body``; what is not taken off our hands, of the kernel (``listen.py``).
"""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.api.http import Front

_FIRST_HEAD_S = 30.0
_KEEP_ALIVE_S = 75.0
_LINGER_S = 2.0
_REQUEST_LINE_BYTES = 32 * 1024
"""A query of the longest RQL that is read, and more: a dialect says better than a parser that it is too long."""


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
        self._first_head_s = first_head_s
        self._silent: dict[Any, asyncio.TimerHandle] = {}

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
