from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import orjson

from shared.domain.task import Task, TaskStatus
from shared.domain.task_object import task_event, task_object

CREATED = datetime(2024, 5, 1, 12, 0, 0, 120_000, tzinfo=timezone(timedelta(hours=2)))
TASK = Task(
    id="64f0c2a1b7e94d0012ab34e1",
    environment_id="e",
    function_name="greeter",
    status=TaskStatus.NEW,
    data=b'{"who":"Bo"}',
    tags=("nightly",),
    priority=7,
    due_at=datetime(2024, 5, 1, 10, 0, 5, tzinfo=UTC),
    created_by_user="u",
    created_by_application="a",
    created_at=CREATED,
    updated_at=CREATED,
    status_changed_at=CREATED,
)


def test_a_task_is_shown_in_its_published_shape() -> None:
    assert task_object(TASK) == {
        "id": "64f0c2a1b7e94d0012ab34e1",
        "functionName": "greeter",
        "status": "new",
        "data": {"who": "Bo"},
        "tags": ["nightly"],
        "priority": 7,
        "startTimestamp": "2024-05-01T10:00:05.000Z",
        "statusChangedTimestamp": "2024-05-01T10:00:00.120Z",
        "creationTimestamp": "2024-05-01T10:00:00.120Z",
        "updateTimestamp": "2024-05-01T10:00:00.120Z",
        "createdByUserId": "u",
        "createdByApplicationId": "a",
    }


def test_fields_without_a_value_are_left_out() -> None:
    shown = task_object(replace(TASK, data=None, created_by_user=None, created_by_application=None))

    assert (
        not {"data", "createdByUserId", "createdByApplicationId", "retriedByTaskId", "retryForTaskIds"} & shown.keys()
    )


def test_a_retried_task_and_its_retry_name_each_other() -> None:
    shown = task_object(replace(TASK, retried_by="c", retry_for=("a", "b")))

    assert (shown["retriedByTaskId"], shown["retryForTaskIds"]) == ("c", ["a", "b"])


def test_the_event_of_a_function_is_the_task_as_json() -> None:
    assert orjson.loads(task_event(TASK)) == task_object(TASK)
