"""Reading the records of API calls: pages of them by filter, and the log lines of one."""

from collections.abc import Sequence
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.database import api_requests, logs
from shared.database.api_requests import ApiRequestQuery
from shared.domain.errors import NoLogsError, NotFoundError
from shared.domain.execution import ApiRequest
from shared.domain.identity import Action, Identity
from shared.domain.outcome import LogLine

MAX_LOG_LINES = 10_000

_MILLISECONDS = 1000


async def list_api_requests(
    platform: Platform, identity: Identity, query: ApiRequestQuery
) -> tuple[Sequence[ApiRequest], int | None]:
    """
    Return one page of the calls of the caller's environment, and how many match in all (None when not counted).

    Raises:
        ForbiddenError: the caller may not read them.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_API_REQUESTS)
    return await api_requests.list_api_requests(platform.db, identity.environment_id, query)


async def read_api_request_logs(
    platform: Platform, identity: Identity, request_id: str, *, since: datetime | None
) -> Sequence[LogLine]:
    """
    Return what a function wrote during one call, oldest first; with ``since`` only what it wrote then or later.

    Raises:
        ForbiddenError: the caller may not read it.
        NotFoundError: the environment has no such call.
        NoLogsError: there is nothing to show; lines may come a moment later than the record.
    """
    authorize(identity, Action.READ_API_REQUEST_LOGS)
    if await api_requests.find_api_request(platform.db, identity.environment_id, request_id) is None:
        raise NotFoundError("no such API request")
    since_ms = None if since is None else int(since.timestamp() * _MILLISECONDS)
    lines = await logs.lines_of(platform.db, request_id, since_ms=since_ms, limit=MAX_LOG_LINES)
    if not lines:
        raise NoLogsError("no log lines were found for this API request")
    return lines
