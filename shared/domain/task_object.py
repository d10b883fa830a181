"""
A task as an object: what its function gets for an event, and what a client is shown of it.

The published shape (contracts/extrahorizon.md section 3.4), without ``error``: how a failure is told is the
dialect's word, and a task that begins has none. Fields without a value are left out.
"""

from typing import Any

import orjson

from shared.domain.moments import iso
from shared.domain.task import Task


def task_object(task: Task) -> dict[str, Any]:
    """Return a task's published fields, those that have a value; times as ISO 8601 with milliseconds."""
    shown: dict[str, Any] = {"id": task.id, "functionName": task.function_name, "status": task.status.value}
    if task.data is not None:
        shown["data"] = orjson.loads(task.data)
    shown |= {
        "tags": list(task.tags),
        "priority": task.priority,
        "startTimestamp": iso(task.due_at),
        "statusChangedTimestamp": iso(task.status_changed_at),
        "creationTimestamp": iso(task.created_at),
        "updateTimestamp": iso(task.updated_at),
    }
    if task.created_by_user is not None:
        shown["createdByUserId"] = task.created_by_user
    if task.created_by_application is not None:
        shown["createdByApplicationId"] = task.created_by_application
    if task.retried_by is not None:
        shown["retriedByTaskId"] = task.retried_by
    if task.retry_for:
        shown["retryForTaskIds"] = list(task.retry_for)
    return shown


def task_event(task: Task) -> bytes:
    """Return the event of a task's function: the task as JSON text."""
    return orjson.dumps(task_object(task))
