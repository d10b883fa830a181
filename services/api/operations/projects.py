"""Projects and environments: made, changed and deleted by members of their workspace, within roles and plans."""

from services.api.access.people import Caller
from services.api.operations.places import (
    InEnvironment,
    InProject,
    InWorkspace,
    enter_workspace,
    keep_the_platforms_own,
)
from services.api.operations.plans import plan_of
from services.api.operations.workspaces import Change, list_workspaces
from services.api.platform import Platform
from shared.database import environments, projects
from shared.database.environments import NewEnvironment, ProjectEnvironment
from shared.database.projects import NewProject, Project
from shared.domain.errors import ForbiddenError, NotFoundError
from shared.domain.plan import most
from shared.domain.workspace import Permission


async def create_project(
    platform: Platform, caller: Caller, workspace_slug: str | None, name: str, description: str | None
) -> Project:
    """
    Make a project with its first environment, in a workspace or else in the caller's first one.

    Raises:
        NotFoundError, ForbiddenError: see ``places.py``; it needs ``canManageProjects`` everywhere.
        QuotaExceededError: the workspace has as many as its plan allows.
    """
    if workspace_slug is None:
        joined = await list_workspaces(platform, caller)
        if not joined:
            raise NotFoundError("You are not a member of any workspace", what="Workspace")
        workspace_slug = joined[0].workspace.slug
    visit = await enter_workspace(platform, caller, workspace_slug, Permission.MANAGE_PROJECTS)
    _require_everywhere(visit)
    new = NewProject(
        name=name,
        description=description,
        user_id=caller.person.id,
        most=most(plan_of(visit.workspace.plan).projects),
    )
    return await projects.add_project(platform.db, visit.workspace, new)


async def list_projects(
    platform: Platform, caller: Caller, visit: InWorkspace | None = None, *, with_deleted: bool = False
) -> list[Project]:
    """Return the projects the caller may be in, of one workspace or of all of theirs."""
    account_id = None if visit is None else visit.workspace.id
    found = await projects.list_projects(
        platform.db, caller.person.id, account_id=account_id, with_deleted=with_deleted
    )
    return list(found)


async def update_project(platform: Platform, visit: InProject, change: Change) -> Project:
    """Change a project; raise ``NameTakenError`` when another one has the slug."""
    old = visit.project
    return await projects.update_project(
        platform.db,
        old,
        name=change.name or old.name,
        slug=change.slug or old.slug,
        description=None if change.clears else change.description or old.description,
    )


async def set_default_project(platform: Platform, visit: InProject) -> Project:
    """Make a project its workspace's default."""
    return await projects.set_default_project(platform.db, visit.project)


async def delete_project(platform: Platform, visit: InProject) -> None:
    """Let a project be found by nobody; what runs goes on. Raise ``IllegalStateError`` for the platform's own."""
    await keep_the_platforms_own(platform, project_id=visit.project.id)
    await projects.delete_project(platform.db, visit.project)


async def project_usage(platform: Platform, visit: InProject) -> tuple[int, int]:
    """Return how many environments and resources a project has."""
    listed = await environments.list_environments(platform.db, visit.project.id)
    return len(listed), await environments.resources_of_project(platform.db, visit.project.id)


async def create_environment(
    platform: Platform, visit: InProject, name: str, description: str | None, *, is_default: bool
) -> ProjectEnvironment:
    """Make an environment; raise ``QuotaExceededError`` when the project has as many as the plan allows."""
    new = NewEnvironment(
        name=name,
        description=description,
        is_default=is_default,
        most=most(plan_of(visit.project.plan).environments_per_project),
    )
    return await environments.add_environment(platform.db, visit.project, new)


async def list_environments(
    platform: Platform, visit: InProject, *, with_deleted: bool = False
) -> list[ProjectEnvironment]:
    """Return the environments of a project that the caller may be in."""
    found = await environments.list_environments(platform.db, visit.project.id, with_deleted=with_deleted)
    return [each for each in found if visit.membership.may_be_in(visit.project.slug, each.slug)]


async def update_environment(platform: Platform, visit: InEnvironment, change: Change) -> ProjectEnvironment:
    """Change an environment; raise ``NameTakenError`` when another one of the project has the slug."""
    old = visit.environment
    return await environments.update_environment(
        platform.db,
        visit.project,
        old,
        name=change.name or old.name,
        slug=change.slug or old.slug,
        description=None if change.clears else change.description or old.description,
    )


async def set_default_environment(platform: Platform, visit: InEnvironment) -> ProjectEnvironment:
    """Make an environment its project's default."""
    return await environments.set_default_environment(platform.db, visit.project, visit.environment)


async def delete_environment(platform: Platform, visit: InEnvironment) -> None:
    """Let an environment be found by nobody; raise ``IllegalStateError`` for the platform's own."""
    await keep_the_platforms_own(platform, environment_id=visit.environment.id)
    await environments.delete_environment(platform.db, visit.project, visit.environment)


def _require_everywhere(visit: InWorkspace) -> None:
    """Refuse a member narrowed to some places, who could not enter what they made."""
    if not visit.membership.is_everywhere:
        raise ForbiddenError("Your membership does not extend to new projects")
