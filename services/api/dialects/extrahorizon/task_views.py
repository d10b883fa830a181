"""Tasks and schedules as Extra Horizon's JSON (contracts/extrahorizon.md sections 3.4 and 3.5)."""

import orjson

from services.api.dialects.extrahorizon.errors import name_of_refusal
from services.api.dialects.extrahorizon.views import View
from shared.domain.moments import iso
from shared.domain.outcome import Failure
from shared.domain.task import LOST_NAME, Schedule, Task
from shared.domain.task_object import task_object


def task(shown: Task) -> View:
    """Return a task; what its function got, and how it failed."""
    failed = {} if shown.failure is None else {"error": _error(shown.failure)}
    return {**task_object(shown), **failed}


def schedule(shown: Schedule) -> View:
    """Return a schedule."""
    data = {} if shown.data is None else {"data": orjson.loads(shown.data)}
    return {
        "id": shown.id,
        "interval": shown.interval_s,
        "functionName": shown.function_name,
        **data,
        "priority": shown.priority,
        "startTimestamp": iso(shown.starts_at),
        "nextTimestamp": iso(shown.next_at),
        "creationTimestamp": iso(shown.created_at),
        "updateTimestamp": iso(shown.updated_at),
    }


def _error(failure: Failure) -> View:
    match failure.kind:
        case "refused":
            return {"type": "invocation", "name": name_of_refusal(failure.name), "message": failure.message}
        case "interrupted":
            return {"type": "runtime", "name": LOST_NAME, "message": failure.message}
        case _:
            return {"type": "runtime", "name": failure.name, "message": failure.message}
