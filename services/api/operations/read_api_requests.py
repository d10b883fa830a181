"""Reading the records of API calls: pages of them by filter, and the log lines of one."""

from collections.abc import Sequence
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.operations.run_logs import LoggedRun, RunLogs, read_run_logs
from services.api.platform import Platform
from shared.database import api_requests
from shared.database.query import ListQuery
from shared.domain.errors import NotFoundError
from shared.domain.execution import ApiRequest
from shared.domain.identity import Action, Identity


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


async def read_api_request_logs(
    platform: Platform, identity: Identity, request_id: str, *, since: datetime | None
) -> RunLogs:
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
    run = LoggedRun(
        record_id=request.id,
        finished_at=request.finished_at,
        kept=request.log_lines,
        dropped=request.dropped_log_lines,
    )
    return await read_run_logs(platform.db, run, since=since)
