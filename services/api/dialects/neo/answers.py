"""The envelope of every successful answer (contracts/neo.md section 1), and the reading of JSON bodies."""

from aiohttp import web

from services.api.dialects.neo import bodies, views
from services.api.http import json_response, read_body


def success(data: views.View, status: int = 200) -> web.Response:
    """Return one thing in the envelope."""
    return json_response({"success": True, "data": data}, status)


def page(items: list[views.View], total: int, limit: int, offset: int) -> web.Response:
    """Return a page of ``total`` things in the envelope."""
    pagination = views.pagination(total, limit, offset, len(items))
    return json_response({"success": True, "data": items, "pagination": pagination})


async def json_body(request: web.BaseRequest) -> bodies.Body:
    """Return the request's JSON object; raise what is wrong with it."""
    return bodies.read_object(await read_body(request, bodies.BODY_BYTES))
