"""
Where a caller of the Gateways dialect acts: a workspace, a project in it, an environment in that.

Each ``enter_...`` finds the place by its slugs and lets the caller in, or raises: unknown is ``NotFoundError`` (the
field ``what`` names the kind of thing), no member and not allowed are ``ForbiddenError``. Those who may do nothing
in a workspace are still told that its slug is taken: slugs are shared by the whole platform anyway.
"""

from dataclasses import dataclass

from services.api.access.people import Caller
from services.api.access.permissions import authorize_member
from services.api.platform import Platform
from shared.database import accounts, environments, projects, workspaces
from shared.database.environments import ProjectEnvironment
from shared.database.projects import Project
from shared.database.workspaces import Workspace
from shared.domain.errors import IllegalStateError, NotFoundError
from shared.domain.identity import Identity
from shared.domain.workspace import EVERYWHERE, Membership, Permission

_LOOKS = (None, Permission.VIEW_RESOURCES, Permission.VIEW_ACTIVITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class InWorkspace:
    """A caller in a workspace they are a member of."""

    caller: Caller
    workspace: Workspace
    membership: Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class InProject:
    """A caller in a project of a workspace they are a member of."""

    caller: Caller
    project: Project
    membership: Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class InEnvironment:
    """A caller in an environment; ``identity`` is how the operations on functions know them."""

    caller: Caller
    project: Project
    environment: ProjectEnvironment
    membership: Membership

    @property
    def identity(self) -> Identity:
        """Return the caller as a member who acts in this environment."""
        return Identity(
            account_id=self.project.account_id,
            environment_id=self.environment.id,
            permissions=frozenset(),
            user_id=self.caller.person.id,
            role=self.membership.role,
        )


async def enter_workspace(
    platform: Platform, caller: Caller, slug: str, permission: Permission | None = None
) -> InWorkspace:
    """Let a caller into a workspace for what ``permission`` allows, or for being a member alone."""
    found = await workspaces.find_workspace(platform.db, slug, caller.person.id)
    if found is None:
        raise NotFoundError("The specified workspace does not exist", what="Workspace")
    workspace, membership = found
    return InWorkspace(caller=caller, workspace=workspace, membership=authorize_member(membership, permission))


async def enter_project(
    platform: Platform, caller: Caller, slug: str, permission: Permission | None = None
) -> InProject:
    """
    Let a caller into a project for what ``permission`` allows.

    Who wants to change it must be let into all of it; to look, one of its environments is enough.
    """
    found = await projects.find_project(platform.db, slug, caller.person.id)
    if found is None:
        raise NotFoundError("The specified project does not exist", what="Project")
    project, member = found
    part = None if permission in _LOOKS else EVERYWHERE
    membership = authorize_member(member, permission, project.slug, part)
    return InProject(caller=caller, project=project, membership=membership)


async def enter_environment(
    platform: Platform,
    caller: Caller,
    project_slug: str,
    environment_slug: str,
    permission: Permission = Permission.VIEW_RESOURCES,
) -> InEnvironment:
    """Let a caller into an environment for what ``permission`` allows."""
    found = await projects.find_project(platform.db, project_slug, caller.person.id)
    if found is None:
        raise NotFoundError("The specified project does not exist", what="Project")
    project, member = found
    authorize_member(member, None, project.slug)
    environment = await environments.find_environment(platform.db, project.id, environment_slug)
    if environment is None:
        raise NotFoundError("The specified environment does not exist", what="Environment")
    membership = authorize_member(member, permission, project.slug, environment.slug)
    return InEnvironment(caller=caller, project=project, environment=environment, membership=membership)


async def keep_the_platforms_own(
    platform: Platform,
    *,
    account_id: str | None = None,
    project_id: str | None = None,
    environment_id: str | None = None,
) -> None:
    """Raise ``IllegalStateError`` for what holds the environment in which callers without credentials act."""
    own = await accounts.default_environment(platform.db)
    if own.account_id == account_id or own.project_id == project_id or own.id == environment_id:
        raise IllegalStateError("This is the platform's own default: it cannot be deleted")
