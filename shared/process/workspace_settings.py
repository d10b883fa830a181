"""Settings of workspaces: who may make one, and what it may hold."""

from dataclasses import dataclass

from shared.domain.plan import DEFAULT_PLAN, PLANS
from shared.process.variables import one_of, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """What strangers may do, and the limits of what they make."""

    sign_up: str = setting(
        "SIGN_UP",
        one_of("open", "closed"),
        default="open",
        doc="Whether anybody who reaches the API may sign up and make a workspace (Gateways dialect).",
    )
    plan: str = setting(
        "PLAN",
        one_of(*PLANS),
        default=DEFAULT_PLAN,
        doc="Pricing plan of new workspaces: how many projects, functions and members they may have.",
    )
