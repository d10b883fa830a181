"""Reading the records of runs: one page of a function's executions, or one of them with its logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.operations.missing_lines import LineCounts, MissingLines
from services.api.platform import Platform
from shared.database import executions, logs
from shared.domain.errors import ExecutionNotFoundError
from shared.domain.execution import Execution, ExecutionKind, ExecutionStatus
from shared.domain.function import Function
from shared.domain.identity import Action, Identity
from shared.domain.ids import is_record_id
from shared.domain.outcome import LogLine

MAX_LOG_LINES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    """Which executions of a function, of one kind; None does not filter. Both ends of the time are included."""

    kind: ExecutionKind
    statuses: Sequence[ExecutionStatus] | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = 10
    offset: int = 0


async def list_executions(
    platform: Platform, identity: Identity, function: Function, wanted: ExecutionFilter
) -> tuple[Sequence[Execution], int]:
    """Return one page, newest first, and how many match in all."""
    authorize(identity, Action.READ_EXECUTIONS, function)
    return await executions.list_executions(
        platform.db,
        function.id,
        kind=wanted.kind,
        status=wanted.statuses,
        start=wanted.start,
        end=wanted.end,
        limit=wanted.limit,
        offset=wanted.offset,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedExecution:
    """An execution with its log lines, oldest first, and what is missing of them."""

    record: Execution
    lines: Sequence[LogLine]
    missing: MissingLines | None


async def read_execution(
    platform: Platform, identity: Identity, function: Function, execution_id: str
) -> LoggedExecution:
    """
    Return one execution of the function with its log lines.

    Raises:
        ExecutionNotFoundError: there is none of that id, or it is another function's.
    """
    authorize(identity, Action.READ_EXECUTIONS, function)
    execution = await executions.find_execution(platform.db, execution_id) if is_record_id(execution_id) else None
    if execution is None or execution.function_id != function.id:
        raise ExecutionNotFoundError("no such execution")
    lines = await logs.lines_of(platform.db, execution_id, limit=MAX_LOG_LINES)
    stored = len(lines)
    if stored == MAX_LOG_LINES:
        stored = await logs.count_lines(platform.db, execution_id)
    counts = LineCounts(kept=execution.log_lines, dropped=execution.dropped_log_lines, stored=stored, shown=len(lines))
    at = execution.finished_at or execution.started_at or execution.accepted_at
    return LoggedExecution(record=execution, lines=lines, missing=counts.missing(at, execution.finished_at))
