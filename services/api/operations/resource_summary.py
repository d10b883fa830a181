"""Counting the resources somebody may see, over all their workspaces or in one project."""

from services.api.access.people import Caller
from services.api.platform import Platform
from shared.database import resources
from shared.database.resources import ResourceSummary
from shared.domain.errors import NotFoundError
from shared.domain.workspace import Permission


async def summarise(platform: Platform, caller: Caller, project_number: int | None) -> ResourceSummary:
    """
    Return how many resources the caller may see.

    Raises:
        NotFoundError: there is no project of that number in which the caller may look.
    """
    places = [
        place
        for place in await resources.places_of(platform.db, caller.person.id, project_number)
        if place.membership.may(Permission.VIEW_RESOURCES)
        and place.membership.may_be_in(place.project_slug, place.environment_slug)
    ]
    if project_number is not None and not places:
        raise NotFoundError("The specified project does not exist", what="Project")
    return await resources.summary(platform.db, [place.environment_id for place in places])
