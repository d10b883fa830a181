"""What a workspace's pricing plan leaves it: limits to ask before something is made, and usage to show."""

from services.api.operations.places import InEnvironment
from services.api.platform import Platform
from shared.database import environments, workspaces
from shared.database.projects import within_plan
from shared.domain.plan import DEFAULT_PLAN, PLANS, Plan, most


def plan_of(slug: str) -> Plan:
    """Return a plan; one that is not known any more limits nothing."""
    return PLANS.get(slug, PLANS[DEFAULT_PLAN])


async def require_room(platform: Platform, place: InEnvironment) -> None:
    """
    Let one more resource be made in an environment.

    Two who ask at the same moment may both pass: what is made next is not counted yet.

    Raises:
        QuotaExceededError: the workspace or the project has as many as its plan allows.
    """
    plan = plan_of(place.project.plan)
    if (limit := most(plan.resources)) is not None:
        there = (await workspaces.usage(platform.db, place.project.account_id)).resources
        within_plan(there, limit, "resources")
    if (limit := most(plan.resources_per_project)) is not None:
        in_project = await environments.resources_of_project(platform.db, place.project.id)
        within_plan(in_project, limit, "resources per project")
