"""What a workspace's pricing plan leaves it: limits to ask before something is made, and usage to show."""

from services.api.operations.places import InEnvironment
from services.api.platform import Platform
from shared.database import environments
from shared.database.environments import Room
from shared.domain.plan import DEFAULT_PLAN, PLANS, Plan, most


def plan_of(slug: str) -> Plan:
    """Return a plan; one that is not known any more limits nothing."""
    return PLANS.get(slug, PLANS[DEFAULT_PLAN])


def room_of(place: InEnvironment) -> Room:
    """Return how many resources there may be where the caller is."""
    plan = plan_of(place.project.plan)
    return Room(
        account_id=place.project.account_id,
        project_id=place.project.id,
        in_workspace=most(plan.resources),
        in_project=most(plan.resources_per_project),
    )


async def require_room(platform: Platform, place: InEnvironment) -> None:
    """
    Let one more resource be made in an environment, as far as can be said before it is begun.

    Raises:
        QuotaExceededError: the workspace or the project has as many as its plan allows.
    """
    await environments.require_room(platform.db, room_of(place))
