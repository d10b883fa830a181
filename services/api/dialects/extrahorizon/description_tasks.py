"""The OpenAPI text of tasks, schedules and direct execution."""

from typing import Any

from services.api.dialects.extrahorizon import bodies, rql_query, task_bodies
from services.api.dialects.extrahorizon.schema import (
    ID,
    MOMENT,
    TEXT,
    USERS_OWN,
    WHOLE,
    list_of,
    object_of,
    operation,
    page_of,
    ref,
)
from services.api.dialects.idempotency import parameter
from shared.domain.task import LONGEST_INTERVAL_S, TaskStatus

Object = dict[str, Any]

TASKS = "/tasks/v1"
CANCEL = TASKS + "/{id}/cancel"
TASK_LOGS = TASKS + "/{id}/logs"
EXECUTE = TASKS + "/functions/{name}/execute"
SCHEDULES = TASKS + "/schedules"
SCHEDULE = SCHEDULES + "/{id}"

_ANYTHING: Object = {"description": "Any JSON."}
_TAGS: Object = {**list_of({**TEXT, "maxLength": task_bodies.LONGEST_TAG}), "maxItems": task_bodies.MOST_TAGS}
_PLANNED: Object = {
    "functionName": {
        **TEXT,
        "maxLength": task_bodies.LONGEST_NAME,
        "description": "It need not be there before the task begins.",
    },
    "data": {"type": "object", "description": f"At most {task_bodies.DATA_BYTES} bytes of JSON."},
    "priority": {
        **WHOLE,
        "minimum": -bodies.SAFE_INTEGER,
        "maximum": bodies.SAFE_INTEGER,
        "description": "Of tasks that wait, the highest goes first; the function's `defaultPriority` if none is given.",
    },
    "startTimestamp": {**MOMENT, "description": "Now if none is given."},
}
_MOMENTS: Object = {"creationTimestamp": MOMENT, "updateTimestamp": MOMENT}
_TASK: Object = {
    "id": ID,
    "functionName": TEXT,
    "status": {**TEXT, "enum": [status.value for status in TaskStatus]},
    "data": _ANYTHING,
    "tags": list_of(TEXT),
    "priority": WHOLE,
    "startTimestamp": MOMENT,
    "statusChangedTimestamp": MOMENT,
    **_MOMENTS,
    "createdByUserId": ID,
    "createdByApplicationId": ID,
    "retriedByTaskId": {**ID, "description": "The task that took its place."},
    "retryForTaskIds": {**list_of(ID), "description": "The tasks it is another try of, oldest first."},
    "error": object_of(
        {"type": {**TEXT, "enum": ["invocation", "runtime"]}, "name": TEXT, "message": TEXT}, ("type", "message")
    ),
}
_ALWAYS = ("id", "functionName", "status", "tags", "priority", "startTimestamp", "statusChangedTimestamp", *_MOMENTS)
_RQL = (
    "The query is RQL, e.g. `?eq(status,failed)&eq(data.who,Bo)&sort(-startTimestamp)"
    f"&limit({rql_query.DEFAULT_LIMIT})`; "
    f"at most {rql_query.MAX_LIMIT} at once."
)

TASK_SCHEMAS: Object = {
    "ExtraHorizonTask": object_of(_TASK, _ALWAYS),
    "ExtraHorizonNewTask": object_of({**_PLANNED, "tags": _TAGS}, ("functionName",)),
    "ExtraHorizonExecuted": object_of(
        {**_TASK, "result": {"description": "What the function returned; it is not kept."}}, (*_ALWAYS, "result")
    ),
    "ExtraHorizonExecution": object_of({"data": _ANYTHING}, ()),
    "ExtraHorizonSchedule": object_of(
        {
            "id": ID,
            "interval": WHOLE,
            "functionName": TEXT,
            "data": {"type": "object"},
            "priority": WHOLE,
            "startTimestamp": MOMENT,
            "nextTimestamp": MOMENT,
            **_MOMENTS,
        },
        ("id", "interval", "functionName", "priority", "startTimestamp", "nextTimestamp", *_MOMENTS),
    ),
    "ExtraHorizonNewSchedule": object_of(
        {
            "interval": {**WHOLE, "minimum": 1, "maximum": LONGEST_INTERVAL_S, "description": "Seconds."},
            **_PLANNED,
        },
        ("interval", "functionName"),
    ),
}

_AFFECTED = ref("ExtraHorizonAffected")
_EXECUTION = operation(
    "execute",
    "Run a function as a task and wait for it",
    ref("ExtraHorizonExecuted"),
    body=ref("ExtraHorizonExecution"),
    more="A token is needed unless the function's permission mode is `public`. What the function did wrong is a 400 "
    "with `runtimeError` and the task's `taskId`; it is not tried again.",
)

OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", TASKS): operation("tasks", "List tasks", page_of("ExtraHorizonTask"), more=_RQL),
    ("POST", TASKS): {
        **operation(
            "create-task",
            "Queue a task",
            ref("ExtraHorizonTask"),
            body=ref("ExtraHorizonNewTask"),
            more="The function gets the task for its event; what it returns is dropped.",
        ),
        "parameters": [
            parameter(
                "The same key of the same user for the same function within 24 h gives the first task, as it is now."
            )
        ],
    },
    ("POST", CANCEL): operation("cancel-task", "Call off a task that has not begun", _AFFECTED),
    ("GET", TASK_LOGS): operation(
        "task-logs",
        "List what a function wrote during a task",
        page_of("ExtraHorizonLogLine"),
        more="The query is empty or `?ge(timestamp,<ISO 8601>)`.",
    ),
    ("POST", EXECUTE): {
        **_EXECUTION,
        "security": [*USERS_OWN, {}],
        "requestBody": {**_EXECUTION["requestBody"], "required": False},
    },
    ("GET", SCHEDULES): operation("schedules", "List schedules", page_of("ExtraHorizonSchedule"), more=_RQL),
    ("POST", SCHEDULES): operation(
        "create-schedule",
        "Have a task made at intervals",
        ref("ExtraHorizonSchedule"),
        body=ref("ExtraHorizonNewSchedule"),
        more="The first task is made at `startTimestamp`, then each `interval`; after an outage one, then the next.",
    ),
    ("DELETE", SCHEDULE): operation("delete-schedule", "Delete a schedule; its tasks stay", _AFFECTED),
}
