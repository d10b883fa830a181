"""How the log lines of one run are shown, whatever kind of run it was (contracts/extrahorizon.md section 6)."""

from aiohttp import web

from services.api.dialects.extrahorizon import views
from services.api.http import json_response
from services.api.operations.run_logs import MAX_LOG_LINES, RunLogs


def shown(logged: RunLogs) -> web.Response:
    """Answer with the lines, oldest first, and after the last one how many are missing."""
    data = [views.log_line(line) for line in logged.lines]
    if logged.missing is not None:
        data.append(views.missing_lines(logged.record_id, logged.missing))
    return json_response(views.page(data, offset=0, limit=MAX_LOG_LINES, total=None))
