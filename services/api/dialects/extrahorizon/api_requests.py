"""``/tasks/v1/apiRequests``: the records of API calls and their log lines (contracts/extrahorizon.md section 6)."""

from collections.abc import Mapping

from aiohttp import web

from services.api.dialects.extrahorizon import run_logs, views
from services.api.dialects.extrahorizon.callers import permitted
from services.api.dialects.extrahorizon.paths import record_id
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing, read_logs_since
from services.api.http import json_response
from services.api.operations.read_api_requests import list_api_requests, read_api_request_logs
from services.api.platform import Platform
from shared.domain.identity import Action

Parameters = Mapping[str, str]


async def show_all(platform: Platform, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    """List records, newest first unless the query says otherwise."""
    identity = await permitted(platform, request, Action.READ_API_REQUESTS)
    listing = read_listing(raw_query(request))
    found, total = await list_api_requests(platform, identity, listing.query)
    data = [views.selected(views.api_request(each), listing.select) for each in found]
    return json_response(views.page(data, offset=listing.query.offset, limit=listing.query.limit, total=total))


async def show_logs(platform: Platform, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    """List the log lines of one record, oldest first; after the last one, how many are missing."""
    identity = await permitted(platform, request, Action.READ_API_REQUEST_LOGS)
    request_id = record_id(parameters)
    since = read_logs_since(raw_query(request))
    return run_logs.shown(await read_api_request_logs(platform, identity, request_id, since=since))
