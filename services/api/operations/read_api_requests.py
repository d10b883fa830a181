"""Reading the records of API calls: pages of them by filter, and the log lines of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.access.permissions import authorize
from services.api.operations.missing_lines import LineCounts, MissingLines
from services.api.platform import Platform
from shared.database import api_requests, logs
from shared.database.query import ListQuery
from shared.domain.errors import NoLogsError, NotFoundError
from shared.domain.execution import ApiRequest
from shared.domain.identity import Action, Identity
from shared.domain.outcome import LogLine

MAX_LOG_LINES = 10_000

_MILLISECONDS = 1000


async def list_api_requests(
    platform: Platform, identity: Identity, query: ListQuery
) -> tuple[Sequence[ApiRequest], int | None]:
    """
    Return one page of the calls of the caller's environment, and how many match in all (None when not counted).

    Raises:
        ForbiddenError: the caller may not read them.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_API_REQUESTS)
    return await api_requests.list_api_requests(platform.db, identity.environment_id, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequestLogs:
    """
    Log lines of one call, oldest first.

    ``missing`` is told once: with the last lines, and only when its moment is among those that were asked for.
    """

    request: ApiRequest
    lines: Sequence[LogLine]
    missing: MissingLines | None


async def read_api_request_logs(
    platform: Platform, identity: Identity, request_id: str, *, since: datetime | None
) -> ApiRequestLogs:
    """
    Return what a function wrote during one call; with ``since`` only what it wrote then or later.

    Raises:
        ForbiddenError: the caller may not read it.
        NotFoundError: the environment has no such call.
        NoLogsError: there is nothing to show; lines may come a moment later than the record.
    """
    authorize(identity, Action.READ_API_REQUEST_LOGS)
    request = await api_requests.find_api_request(platform.db, identity.environment_id, request_id)
    if request is None:
        raise NotFoundError("no such API request")
    since_ms = None if since is None else int(since.timestamp() * _MILLISECONDS)
    lines = await logs.lines_of(platform.db, request_id, since_ms=since_ms, limit=MAX_LOG_LINES + 1)
    missing = None
    if len(lines) <= MAX_LOG_LINES:
        missing = await _missing(platform, request, lines, since)
    if not lines and missing is None:
        raise NoLogsError("no log lines were found for this API request")
    return ApiRequestLogs(request=request, lines=lines[:MAX_LOG_LINES], missing=missing)


async def _missing(
    platform: Platform, request: ApiRequest, lines: Sequence[LogLine], since: datetime | None
) -> MissingLines | None:
    """Return what is missing of the whole call, for a page that is its last."""
    at = request.finished_at
    if lines:
        at = max(at, datetime.fromtimestamp(lines[-1].timestamp_ms / _MILLISECONDS, UTC))
    if since is not None and at < since:
        return None
    stored = len(lines) if since is None else await logs.count_lines(platform.db, request.id)
    counts = LineCounts(kept=request.log_lines, dropped=request.dropped_log_lines, stored=stored, shown=stored)
    return counts.missing(at, request.finished_at)
