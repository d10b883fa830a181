"""``/users/v1``: what clients ask of the users service (contracts/extrahorizon.md section 2.4)."""

from collections.abc import Mapping

from aiohttp import web

from services.api.dialects.extrahorizon import views
from services.api.dialects.extrahorizon.callers import user
from services.api.http import json_response
from services.api.operations.read_user import read_self
from services.api.platform import Platform


async def show_self(platform: Platform, request: web.BaseRequest, _parameters: Mapping[str, str]) -> web.Response:
    """Show the calling user."""
    found, roles = await read_self(platform, await user(platform, request))
    return json_response(views.user(found, roles))
