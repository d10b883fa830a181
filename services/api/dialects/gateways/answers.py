"""The envelope of every successful answer (contracts/gateways.md section 2.3)."""

from typing import Any

from aiohttp import web

from services.api.http import json_response

_NOTHING = object()


def done(message: str, data: Any = _NOTHING, status: int = 200, **more: Any) -> web.Response:
    """Return an answer; ``more`` are keys beside the data, and without data there is no such key."""
    body: dict[str, Any] = {"message": message, **more}
    if data is not _NOTHING:
        body["data"] = data
    return json_response(body, status)


def listed(message: str, data: list[Any], **more: Any) -> web.Response:
    """Return all of a list, with how many there are."""
    return done(message, data, count=len(data), **more)
