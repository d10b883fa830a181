"""
What the clients are shown: the domain's values as Extra Horizon's JSON.

Times of the task and auth services are ISO 8601 in UTC with milliseconds; the users service speaks differently and
has its own (``user_views.py``). ``selected`` narrows a value to the fields a query asks for.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.api.dialects.extrahorizon.errors import name_of_refusal
from services.api.operations.missing_lines import MissingLines
from shared.domain.execution import ApiRequest
from shared.domain.function import Function
from shared.domain.moments import iso
from shared.domain.outcome import Failure, LogLine

View = dict[str, Any]

_MILLISECONDS = 1000


def page(data: Sequence[View], *, offset: int, limit: int, total: int | None) -> View:
    """Return the envelope of every list; without ``total`` where nobody counted."""
    counted = {} if total is None else {"total": total}
    return {"page": {**counted, "offset": offset, "limit": limit}, "data": data}


def selected(view: View, fields: Sequence[str]) -> View:
    """Return only the given fields, dotted ones inside their object; all of them when none are given."""
    if not fields:
        return view
    narrowed: View = {}
    for field in fields:
        name, _, rest = field.partition(".")
        if name not in view:
            continue
        value = view[name]
        if rest and isinstance(value, dict):
            inner = selected(value, [rest])
            narrowed[name] = {**narrowed.get(name, {}), **inner}
        elif not rest:
            narrowed[name] = value
    return narrowed


def function_summary(function: Function) -> View:
    """Return a function as the list shows it."""
    return {
        "name": function.name,
        "description": function.description,
        "updateTimestamp": iso(function.updated_at),
    }


def function_details(function: Function) -> View:
    """Return a function whole, without its code."""
    spec = function.version.spec
    return {
        "name": function.name,
        "description": function.description,
        "enabled": function.enabled,
        "entryPoint": spec.handler,
        "runtime": spec.runtime,
        "timeLimit": spec.timeout_s,
        "memoryLimit": spec.memory_mb,
        "environmentVariables": {key: {"value": value} for key, value in function.shown_variables.items()},
        "executionOptions": {
            "permissionMode": function.permission_mode.value,
            "defaultPriority": function.default_priority,
        },
        "retryPolicy": {
            "enabled": function.retry_policy.enabled,
            "errorsToRetry": list(function.retry_policy.errors_to_retry),
        },
        "updateTimestamp": iso(function.updated_at),
    }


def api_request(request: ApiRequest) -> View:
    """Return the record of one call of an API function."""
    view: View = {
        "id": request.id,
        "functionName": request.function_name,
        "method": request.method,
        "path": request.path,
        "timestamp": iso(request.timestamp),
        "statusCode": request.status_code,
        "duration": request.duration_s,
    }
    if request.user_id is not None:
        view["userId"] = request.user_id
    if request.application_id is not None:
        view["applicationId"] = request.application_id
    if request.failure is not None:
        view["error"] = _error(request.failure)
    return view


def log_line(line: LogLine) -> View:
    """Return one log line, in Lambda's form, as it was written."""
    return {
        "message": line.message + "\n",
        "timestamp": iso(datetime.fromtimestamp(line.timestamp_ms / _MILLISECONDS, UTC)),
    }


def missing_lines(request_id: str, missing: MissingLines) -> View:
    """Return the line that says what is missing, in Lambda's form; the record stands for the run's own id."""
    at = iso(missing.at)
    return {"message": f"{at}\t{request_id}\tWARN\t{missing.text}\n", "timestamp": at}


def _error(failure: Failure) -> View:
    match failure.kind:
        case "refused":
            return {"type": "invocation", "name": name_of_refusal(failure.name), "message": failure.message}
        case "interrupted":
            return {"type": "invocation", "name": name_of_refusal("execution.interrupted"), "message": failure.message}
        case "invalid_response":
            return {"type": "response", "name": failure.name, "message": failure.message}
        case _:
            return {"type": "runtime", "name": failure.name, "message": failure.message}
