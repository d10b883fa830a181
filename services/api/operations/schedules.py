"""Schedules: made, listed, deleted (contracts/extrahorizon.md sections 3.5 and 11)."""

from dataclasses import dataclass
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.operations.tasks import priority_of
from services.api.platform import Platform
from shared.database import planned, schedules
from shared.database.planned import Planned
from shared.database.query import ListQuery
from shared.database.schedules import NewSchedule
from shared.domain.errors import NotFoundError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.domain.task import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSchedule:
    """A schedule somebody asks for. ``data`` is JSON text; without ``starts_at`` its first task is due now."""

    function_name: str
    interval_s: int
    data: bytes | None
    priority: int | None
    starts_at: datetime | None


async def create_schedule(platform: Platform, identity: Identity, wanted: WantedSchedule) -> Schedule:
    """
    Keep a schedule: it is on disk when this returns. Its function need not be there before a task of it begins.

    Without a priority of its own its tasks have what is now its function's, or 0.

    Raises:
        ForbiddenError: the caller may not make schedules.
    """
    authorize(identity, Action.CREATE_SCHEDULE)
    schedule = await schedules.create(
        platform.db,
        NewSchedule(
            id=new_record_id(),
            environment_id=identity.environment_id,
            function_name=wanted.function_name,
            interval_s=wanted.interval_s,
            data=wanted.data,
            priority=await priority_of(platform, identity, wanted.function_name, wanted.priority),
            starts_at=wanted.starts_at,
            created_by_user=identity.user_id,
            created_by_application=identity.application_id,
        ),
    )
    platform.task_notices.planned(schedule.created_at, schedule.next_at)
    return schedule


async def list_schedules(platform: Platform, identity: Identity, query: ListQuery) -> Planned[Schedule]:
    """
    Return one page of the schedules of the caller's environment.

    Raises:
        ForbiddenError: the caller may not read them.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_SCHEDULES)
    return await planned.list_schedules(platform.db, identity.environment_id, query)


async def delete_schedule(platform: Platform, identity: Identity, schedule_id: str) -> None:
    """
    Delete a schedule; the tasks it has made stay.

    Raises:
        ForbiddenError: the caller may not.
        NotFoundError: the environment has no such schedule.
    """
    authorize(identity, Action.DELETE_SCHEDULE)
    if not await schedules.delete(platform.db, identity.environment_id, schedule_id):
        raise NotFoundError("no such schedule")
