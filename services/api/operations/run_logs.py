"""What one run of a function wrote, oldest first, and how many lines of it are not there to be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.operations.missing_lines import LineCounts, MissingLines
from shared.database import logs
from shared.database.pool import Database
from shared.domain.errors import NoLogsError
from shared.domain.outcome import LogLine

MAX_LOG_LINES = 10_000

_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """
    A run whose lines are kept under ``record_id``.

    How many lines were ``kept`` and ``dropped``, its record says; ``finished_at`` is None while it runs.
    """

    record_id: str
    finished_at: datetime | None
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogs:
    """
    Log lines of one run, oldest first.

    ``missing`` is told once: with the last lines, and only when its moment is among those that were asked for.
    """

    record_id: str
    lines: Sequence[LogLine]
    missing: MissingLines | None


async def read_run_logs(db: Database, run: LoggedRun, *, since: datetime | None) -> RunLogs:
    """
    Return what was written during a run; with ``since`` only what was written then or later.

    Raises:
        NoLogsError: there is nothing to show; lines may come a moment later than the record.
    """
    since_ms = None if since is None else int(since.timestamp() * _MILLISECONDS)
    lines = await logs.lines_of(db, run.record_id, since_ms=since_ms, limit=MAX_LOG_LINES + 1)
    missing = await _missing(db, run, lines, since) if len(lines) <= MAX_LOG_LINES else None
    if not lines and missing is None:
        raise NoLogsError("no log lines were found")
    return RunLogs(record_id=run.record_id, lines=lines[:MAX_LOG_LINES], missing=missing)


async def _missing(
    db: Database, run: LoggedRun, lines: Sequence[LogLine], since: datetime | None
) -> MissingLines | None:
    """Return what is missing of the whole run, for a page that is its last."""
    if run.finished_at is None:
        return None
    at = run.finished_at
    if lines:
        at = max(at, datetime.fromtimestamp(lines[-1].timestamp_ms / _MILLISECONDS, UTC))
    if since is not None and at < since:
        return None
    stored = len(lines) if since is None else await logs.count_lines(db, run.record_id)
    counts = LineCounts(kept=run.kept, dropped=run.dropped, stored=stored, shown=stored)
    return counts.missing(at, run.finished_at)
