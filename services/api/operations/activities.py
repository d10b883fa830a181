"""What people did: noted by the operations that did it, read by themselves alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.api.access.people import Caller
from services.api.operations.places import InEnvironment
from services.api.platform import Platform
from shared.database import activities
from shared.database.activities import Activity, ActivityFilter, NewActivity
from shared.domain.errors import ForbiddenError, NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something done to a resource: ``metadata`` never holds values of environment variables."""

    action: str
    resource_type: str
    resource_number: int
    description: str
    metadata: Mapping[str, Any]


async def note(platform: Platform, place: InEnvironment, done: Done) -> None:
    """Keep what the caller did in an environment."""
    caller = place.caller
    await activities.note_activity(
        platform.db,
        NewActivity(
            user_id=caller.person.id,
            project_id=place.project.id,
            environment_id=place.environment.id,
            resource_type=done.resource_type,
            resource_number=done.resource_number,
            action=done.action,
            description=done.description,
            metadata=done.metadata,
            address=caller.address,
            user_agent=caller.user_agent,
        ),
    )


async def list_activities(platform: Platform, wanted: ActivityFilter) -> tuple[Sequence[Activity], int]:
    """Return one page of somebody's activities, newest first, and how many match."""
    return await activities.list_activities(platform.db, wanted)


async def get_activity(platform: Platform, caller: Caller, activity_id: int) -> Activity:
    """Return an activity of the caller's; raise ``NotFoundError``, or ``ForbiddenError`` for another user's."""
    activity = await activities.find_activity(platform.db, activity_id)
    if activity is None:
        raise NotFoundError("No such activity", what="Activity")
    if activity.user_id != caller.person.id:
        raise ForbiddenError("This activity is another user's")
    return activity
