"""Tasks and schedules, listed by filter (contracts/extrahorizon.md sections 3.4, 3.5 and 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.database.pool import Queries
from shared.database.query import ListQuery
from shared.database.query_sql import Column, Document, Field, Kind, Table, Texts, limit_of
from shared.database.schedules import SCHEDULE_COLUMNS, schedule_of
from shared.database.tasks import TASK_COLUMNS, task_of
from shared.domain.task import LOST_NAME, Schedule, Task

PlannedT = TypeVar("PlannedT")

_PLANNED: Mapping[str, Field] = {
    "id": Column("id"),
    "functionName": Column("function_name"),
    "data": Document("data"),
    "priority": Column("priority", Kind.NUMBER),
    "creationTimestamp": Column("created_at", Kind.TIME),
    "updateTimestamp": Column("updated_at", Kind.TIME),
}

TASKS = Table(
    sql="tasks",
    columns=TASK_COLUMNS,
    noun="tasks",
    large="data",
    fields={
        **_PLANNED,
        "status": Column("status"),
        "tags": Texts("tags"),
        "startTimestamp": Column("due_at", Kind.TIME),
        "statusChangedTimestamp": Column("status_changed_at", Kind.TIME),
        "createdByUserId": Column("created_by_user"),
        "createdByApplicationId": Column("created_by_application"),
        "retriedByTaskId": Column("retried_by"),
        "retryForTaskIds": Texts("retry_for", absent_when_empty=True),
        "error.type": Column(
            "(CASE WHEN failure->>'kind' = 'refused' THEN 'invocation' WHEN failure IS NOT NULL THEN 'runtime' END)"
        ),
        "error.name": Column(
            f"(CASE failure->>'kind' WHEN 'interrupted' THEN '{LOST_NAME}' ELSE failure->>'name' END)"
        ),
        "error.message": Column("(failure->>'message')"),
    },
)

SCHEDULES = Table(
    sql="schedules",
    columns=SCHEDULE_COLUMNS,
    noun="schedules",
    large="data",
    fields={
        **_PLANNED,
        "interval": Column("interval_s", Kind.NUMBER),
        "startTimestamp": Column("starts_at", Kind.TIME),
        "nextTimestamp": Column("next_at", Kind.TIME),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Generic[PlannedT]):
    """
    One page, and how many match in all (None when not counted).

    ``limit`` is how many it may hold: those asked for, or fewer where their data is large.
    """

    found: Sequence[PlannedT]
    total: int | None
    limit: int


async def list_tasks(db: Queries, environment_id: str, query: ListQuery) -> Planned[Task]:
    """Return one page of an environment's tasks."""
    rows, total = await TASKS.page(db, environment_id, query)
    return Planned(found=[task_of(row) for row in rows], total=total, limit=limit_of(rows, query))


async def list_schedules(db: Queries, environment_id: str, query: ListQuery) -> Planned[Schedule]:
    """Return one page of an environment's schedules."""
    rows, total = await SCHEDULES.page(db, environment_id, query)
    return Planned(found=[schedule_of(row) for row in rows], total=total, limit=limit_of(rows, query))
