"""``/tasks/v1/apiRequests``: the records of API calls and their log lines (contracts/extrahorizon.md section 6)."""

from collections.abc import Mapping

from aiohttp import web

from services.api.dialects.extrahorizon import views
from services.api.dialects.extrahorizon.callers import permitted
from services.api.dialects.extrahorizon.queries import raw_query
from services.api.dialects.extrahorizon.rql_query import read_listing, read_logs_since
from services.api.http import json_response
from services.api.operations.read_api_requests import MAX_LOG_LINES, list_api_requests, read_api_request_logs
from services.api.platform import Platform
from shared.domain.errors import MalformedIdError
from shared.domain.identity import Action
from shared.domain.ids import is_record_id

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
    request_id = parameters["id"]
    if not is_record_id(request_id):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    since = read_logs_since(raw_query(request))
    logged = await read_api_request_logs(platform, identity, request_id, since=since)
    data = [views.log_line(line) for line in logged.lines]
    if logged.missing is not None:
        data.append(views.missing_lines(request_id, logged.missing))
    return json_response(views.page(data, offset=0, limit=MAX_LOG_LINES, total=None))
