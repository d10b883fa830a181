"""
How functions and executions look in the Neo dialect (contracts/neo.md sections 3 and 5).

Timestamps are UTC in whole seconds with a trailing ``Z``, durations integer milliseconds. The code of a function
that was uploaded as a package elsewhere is shown as null: it is no single text.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from services.api.operations.invoke import Accepted, Invoked
from services.api.operations.missing_lines import MissingLines
from services.api.operations.read_executions import LoggedExecution
from services.api.operations.read_runtimes import RunningRuntime
from shared.domain.execution import Execution, ExecutionStatus
from shared.domain.function import Function, FunctionStats
from shared.domain.outcome import LogLine
from shared.domain.run_error import cancelled, run_error

PREFIX = "exec_"
_STATUS: Mapping[ExecutionStatus, str] = {
    ExecutionStatus.QUEUED: "running",
    ExecutionStatus.RUNNING: "running",
    ExecutionStatus.COMPLETED: "completed",
    ExecutionStatus.FAILED: "failed",
    ExecutionStatus.CANCELLED: "failed",
}

View = dict[str, Any]


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment as this dialect writes it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _timestamp_ms(unix_ms: int) -> str | None:
    return timestamp(datetime.fromtimestamp(unix_ms // 1000, UTC))


def listed(function: Function, last_invocation: datetime | None) -> View:
    """Return an item of the list: no code, environment, secrets or timeout."""
    return {
        "id": function.id,
        "name": function.name,
        "description": function.description,
        "runtime": function.version.spec.runtime,
        "status": _status(function),
        "createdAt": timestamp(function.created_at),
        "updatedAt": timestamp(function.updated_at),
        "tags": list(function.tags),
        "lastInvocation": timestamp(last_invocation),
    }


def detailed(function: Function) -> View:
    """Return a function without its code."""
    spec = function.version.spec
    return {
        "id": function.id,
        "name": function.name,
        "description": function.description,
        "runtime": spec.runtime,
        "timeout": spec.timeout_s,
        "status": _status(function),
        "createdAt": timestamp(function.created_at),
        "updatedAt": timestamp(function.updated_at),
        "tags": list(function.tags),
        "environment": function.shown_variables,
        "secrets": list(spec.secrets),
    }


def with_code(function: Function, source: str | None) -> View:
    """Return a function with its code."""
    return {**detailed(function), "code": source}


def stats(counts: FunctionStats) -> View:
    """Return the counts of a function's life."""
    return {
        "invocations": {
            "total": counts.completed + counts.failed,
            "success": counts.completed,
            "failed": counts.failed,
            "last24Hours": counts.last_24_hours,
        },
        "averageExecutionTime": counts.mean_duration_ms,
        "lastInvocation": timestamp(counts.last_invocation),
    }


def running_runtime(running: RunningRuntime) -> View:
    """Return a runtime as health shows it: the version that really runs it, null when that is not known."""
    return {"name": running.name, "version": running.version, "real": running.real}


def pagination(total: int, limit: int, offset: int, returned: int) -> View:
    """Return where in the whole a page is."""
    return {"total": total, "limit": limit, "offset": offset, "hasMore": offset + returned < total}


def invoked(run: Invoked) -> View:
    """Return a synchronous run that succeeded. Its result is passed on as the worker wrote it."""
    reply = run.reply
    return {
        "execution": {
            "id": PREFIX + run.execution_id,
            "status": "completed",
            "startedAt": _timestamp_ms(reply.started_at_ms),
            "completedAt": _timestamp_ms(reply.finished_at_ms),
            "duration": round(reply.duration_ms),
        },
        "result": orjson.Fragment(reply.payload or b"null"),
    }


def accepted(run: Accepted) -> View:
    """Return an asynchronous run that was accepted."""
    return {
        "execution": {
            "id": PREFIX + run.execution_id,
            "status": "running",
            "startedAt": timestamp(run.accepted_at),
        }
    }


def execution(record: Execution) -> View:
    """Return an item of the execution list."""
    return {
        "id": PREFIX + record.id,
        "status": _STATUS[record.status],
        "startedAt": timestamp(record.started_at or record.accepted_at),
        "completedAt": timestamp(record.finished_at),
        "duration": None if record.duration_ms is None else round(record.duration_ms),
        "params": orjson.Fragment(record.params),
        "hasResult": record.status is ExecutionStatus.COMPLETED and record.result_defined,
        "hasError": _STATUS[record.status] == "failed",
    }


def execution_detail(logged: LoggedExecution) -> View:
    """
    Return an execution whole: its result or error, its logs, with a last one about those that are missing, its receipt.

    The receipt is null while there is none: the run goes on, or is just being signed, or there is no key to sign with.
    """
    record = logged.record
    view = {**execution(record), "functionId": record.function_id}
    if record.status is ExecutionStatus.COMPLETED:
        view["result"] = orjson.Fragment(record.result if record.result is not None else b"null")
    elif record.failure is not None:
        view["error"] = run_error(record.failure)
    elif view["hasError"]:
        view["error"] = cancelled()
    view["logs"] = [log_line(line) for line in logged.lines]
    if logged.missing is not None:
        view["logs"].append(_missing(logged.missing))
    view["receipt"] = None if record.receipt is None else orjson.Fragment(record.receipt)
    return view


def log_line(line: LogLine) -> View:
    """Return one line a function logged: what its author wrote."""
    return {"timestamp": _timestamp_ms(line.timestamp_ms), "level": line.level, "message": line.text}


def _missing(lines: MissingLines) -> View:
    return {"timestamp": timestamp(lines.at), "level": "warn", "message": lines.text}


def _status(function: Function) -> str:
    return "active" if function.enabled else "inactive"
