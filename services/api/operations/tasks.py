"""Tasks: made, listed, called off, and what they wrote (contracts/extrahorizon.md sections 3.4 and 11)."""

from dataclasses import dataclass
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.operations.run_logs import LoggedRun, RunLogs, read_run_logs
from services.api.platform import Platform
from shared.database import planned, tasks
from shared.database.planned import Planned
from shared.database.query import ListQuery
from shared.database.tasks import NewTask
from shared.database.text import json_text
from shared.domain.errors import FunctionNotFoundError, IllegalStateError, NotFoundError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.domain.states import TASK, terminal
from shared.domain.task import Task

_ENDED = terminal(TASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTask:
    """A task somebody asks for. ``data`` is JSON text; without ``starts_at`` it is due now."""

    function_name: str
    data: bytes | None
    tags: tuple[str, ...]
    priority: int | None
    starts_at: datetime | None


async def create_task(
    platform: Platform, identity: Identity, wanted: WantedTask, *, idempotency_key: str | None = None
) -> Task:
    """
    Queue a task: it is on disk when this returns. Its function need not be there, or enabled, before it begins.

    Without a priority of its own the task has its function's, or 0. An ``idempotency_key`` counts for one caller and
    one function: the same within 24 h gives the first task again, as it is now.

    Raises:
        ForbiddenError: the caller may not make tasks.
        UnavailableError: the database cannot be reached; nothing was accepted.
    """
    authorize(identity, Action.CREATE_TASK)
    new_id = new_record_id()
    task = await platform.tasks.submit(
        NewTask(
            id=new_id,
            environment_id=identity.environment_id,
            function_name=wanted.function_name,
            data=wanted.data,
            tags=wanted.tags,
            priority=await priority_of(platform, identity, wanted.function_name, wanted.priority),
            due_at=wanted.starts_at,
            created_by_user=identity.user_id,
            created_by_application=identity.application_id,
            idempotency_key=_kept_key(identity, wanted.function_name, idempotency_key),
        )
    )
    if task.id == new_id:
        platform.task_notices.planned(task.created_at, task.due_at)
    return task


async def priority_of(platform: Platform, identity: Identity, function_name: str, given: int | None) -> int:
    """Return the priority of what is planned for a function: the one given, else the function's, else 0."""
    if given is not None:
        return given
    try:
        return (await platform.functions.get_by_name(identity.environment_id, function_name)).default_priority
    except FunctionNotFoundError:
        return 0


async def list_tasks(platform: Platform, identity: Identity, query: ListQuery) -> Planned[Task]:
    """
    Return one page of the tasks of the caller's environment.

    Raises:
        ForbiddenError: the caller may not read them.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_TASKS)
    return await planned.list_tasks(platform.db, identity.environment_id, query)


async def cancel_task(platform: Platform, identity: Identity, task_id: str) -> None:
    """
    Call off a task that has not begun.

    Raises:
        ForbiddenError: the caller may not.
        NotFoundError: the environment has no such task.
        IllegalStateError: it has begun, or ended.
    """
    authorize(identity, Action.CANCEL_TASK)
    if await tasks.cancel(platform.db, identity.environment_id, task_id):
        return
    task = await _found(platform, identity, task_id)
    raise IllegalStateError(f"the task is {task.status.value} and cannot be canceled", state=task.status.value)


async def read_task_logs(platform: Platform, identity: Identity, task_id: str, *, since: datetime | None) -> RunLogs:
    """
    Return what a function wrote during one task; with ``since`` only what it wrote then or later.

    Raises:
        ForbiddenError: the caller may not read it.
        NotFoundError: the environment has no such task.
        IllegalStateError: it has not run.
        NoLogsError: there is nothing to show; lines come when the run has ended, and may come a moment later.
    """
    authorize(identity, Action.READ_TASK_LOGS)
    task = await _found(platform, identity, task_id)
    if task.run_id is None:
        raise IllegalStateError("the task has not run", state=task.status.value)
    run = LoggedRun(
        record_id=task.run_id,
        finished_at=task.status_changed_at if task.status in _ENDED else None,
        kept=task.log_lines,
        dropped=task.dropped_log_lines,
    )
    return await read_run_logs(platform.db, run, since=since)


def _kept_key(identity: Identity, function_name: str, key: str | None) -> str | None:
    """Return a caller's key as no other caller and no execution has it; as JSON, because names take any character."""
    return None if key is None else f"task:{json_text([identity.user_id, function_name, key])}"


async def _found(platform: Platform, identity: Identity, task_id: str) -> Task:
    task = await tasks.find_task(platform.db, identity.environment_id, task_id)
    if task is None:
        raise NotFoundError("no such task")
    return task
