"""Workspaces: made, changed, handed over and deleted by their members, within what each one's role allows."""

from dataclasses import dataclass, replace

from services.api.access.people import Caller
from services.api.operations.places import InWorkspace, enter_workspace, keep_the_platforms_own
from services.api.operations.sign_in import SignInDesk, confirm_password
from services.api.platform import Platform
from shared.database import members, people, slugs, workspaces
from shared.database.people import Person
from shared.database.pool import Connection
from shared.database.workspaces import Joined, NewWorkspace, Usage, Workspace
from shared.domain.errors import ForbiddenError, InvalidRequestError, NotFoundError
from shared.domain.slug import slug_of
from shared.domain.workspace import Membership, Permission, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of a workspace, a project or an environment; None stays. ``clears`` empties the description."""

    name: str | None = None
    slug: str | None = None
    description: str | None = None
    clears: bool = False


async def create_workspace(platform: Platform, caller: Caller, name: str, description: str | None) -> Workspace:
    """Make a workspace that the caller owns, with the plan that this platform gives."""

    async def work(connection: Connection) -> Workspace:
        new = NewWorkspace(name=name, description=description, plan=platform.limits.plan)
        made = await workspaces.insert_workspace(connection, new)
        await workspaces.add_member(connection, made.id, caller.person.id, Membership(role=Role.OWNER))
        if caller.person.default_workspace is None:
            await people.set_default_workspace(connection, caller.person.id, made.id)
        return made

    return await platform.db.in_transaction(work)


async def update_workspace(platform: Platform, caller: Caller, slug: str, change: Change) -> Workspace:
    """
    Change a workspace.

    Raises:
        NotFoundError, ForbiddenError: see ``places.py``; it needs ``canManageSettings``.
        NameTakenError: another workspace has the slug.
    """
    visit = await enter_workspace(platform, caller, slug, Permission.MANAGE_SETTINGS)
    old = visit.workspace
    return await workspaces.update_workspace(
        platform.db,
        replace(
            old,
            name=change.name or old.name,
            slug=change.slug or old.slug,
            description=None if change.clears else change.description or old.description,
        ),
    )


async def delete_workspace(platform: Platform, desk: SignInDesk, visit: InWorkspace, password: str) -> bool:
    """
    Let a workspace be found by nobody; return whether the caller opens another one first from now on.

    Raises:
        ForbiddenError: the caller does not own it.
        InvalidRequestError: it is the caller's last workspace.
        WrongPasswordError: the password is not the caller's.
        IllegalStateError: it is the platform's own.
    """
    _require_owner(visit)
    await confirm_password(desk, visit.caller, password)
    if len(await workspaces.workspaces_of(platform.db, visit.caller.person.id)) == 1:
        raise InvalidRequestError("You cannot delete your last workspace", field="workspace", issue="last one")
    await keep_the_platforms_own(platform, account_id=visit.workspace.id)
    await platform.db.in_transaction(lambda connection: workspaces.delete_workspace(connection, visit.workspace.id))
    return visit.caller.person.default_workspace == visit.workspace.number


async def hand_over(platform: Platform, visit: InWorkspace, email: str) -> Person:
    """
    Make another user the owner; the caller stays as an admin. Return the new owner.

    Raises:
        ForbiddenError: the caller does not own it.
        NotFoundError: no user has that email.
        InvalidRequestError: the caller would own nothing any more, or already is who they name.
    """
    _require_owner(visit)
    heir = await people.find_person_by_email(platform.db, email)
    if heir is None or not heir.is_active:
        raise NotFoundError("No user has that email", what="User")
    if heir.id == visit.caller.person.id:
        raise InvalidRequestError("The workspace is yours already", field="email", issue="yourself")
    owned = [each for each in await list_workspaces(platform, visit.caller) if each.membership.role is Role.OWNER]
    if len(owned) == 1:
        raise InvalidRequestError("You must own another workspace first", field="workspace", issue="only one owned")

    async def work(connection: Connection) -> None:
        await workspaces.lock_workspace(connection, visit.workspace.id)
        owner = Membership(role=Role.OWNER)
        await workspaces.add_member(connection, visit.workspace.id, heir.id, owner)
        await members.set_membership(connection, visit.workspace.id, heir.id, owner)
        admin = Membership(role=Role.ADMIN, places=visit.membership.places)
        await members.set_membership(connection, visit.workspace.id, visit.caller.person.id, admin)

    await platform.db.in_transaction(work)
    return heir


async def list_workspaces(platform: Platform, caller: Caller) -> list[Joined]:
    """Return the workspaces the caller is a member of, the oldest membership first."""
    return list(await workspaces.workspaces_of(platform.db, caller.person.id))


async def set_default(platform: Platform, visit: InWorkspace) -> None:
    """Let the caller's programs open this workspace first."""
    await people.set_default_workspace(platform.db, visit.caller.person.id, visit.workspace.id)


async def workspace_usage(platform: Platform, visit: InWorkspace) -> Usage:
    """Return how much of each thing the workspace has."""
    return await workspaces.usage(platform.db, visit.workspace.id)


async def offered_slug(platform: Platform, table: str, name: str, project_id: str | None = None) -> tuple[str, bool]:
    """Return the slug that a name asks for among the rows of a table, and whether it is free; see ``slugs.py``."""
    slug = slug_of(name)
    return slug, not await slugs.is_taken(platform.db, table, slug, project_id)


def _require_owner(visit: InWorkspace) -> None:
    if visit.membership.role is not Role.OWNER:
        raise ForbiddenError("Only the owner of a workspace may do this", required=Permission.MANAGE_WORKSPACE)
