"""
Pricing plans: how much of each thing a workspace may have.

Nothing is sold here: a plan is a set of limits, and a workspace gets the one that the settings name when it is
made. The plans and their limits are those of contracts/gateways.md section 5, and one without any.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.errors import QuotaExceededError

UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One plan; each limit is a count, ``UNLIMITED`` for any number. Resources are what projects hold: functions."""

    number: int
    slug: str
    name: str
    description: str
    projects: int
    environments_per_project: int
    resources: int
    resources_per_project: int
    cloud_connections: int
    members: int


def _plan(number: int, slug: str, description: str, most: int, resources: int) -> Plan:
    return Plan(
        number=number,
        slug=slug,
        name=slug.capitalize(),
        description=description,
        projects=most,
        environments_per_project=most,
        resources=resources,
        resources_per_project=resources,
        cloud_connections=most,
        members=most,
    )


PLANS: Mapping[str, Plan] = {
    plan.slug: plan
    for plan in (
        _plan(1, "free", "To get started", 1, 5),
        _plan(2, "starter", "For small projects", 3, 15),
        _plan(3, "pro", "For teams", 15, 100),
        _plan(4, "ultimate", "For many teams", UNLIMITED, UNLIMITED),
        _plan(5, "unlimited", "For your own machines: no limits", UNLIMITED, UNLIMITED),
    )
}
"""Every plan, by slug, the least first."""

DEFAULT_PLAN = "unlimited"
LEAST_PLAN = PLANS["free"]


def most(limit: int) -> int | None:
    """Return a limit as the number it is, None where there is none."""
    return None if limit == UNLIMITED else limit


def within_plan(there: int, most: int | None, what: str) -> None:
    """Refuse one more of what a plan limits; ``what`` is its plural noun. Raises ``QuotaExceededError``."""
    if most is not None and there >= most:
        raise QuotaExceededError(
            f"You have reached the maximum number of {what} ({most}) for your plan.", limit=most, currentValue=there
        )
