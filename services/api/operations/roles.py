"""
Roles of the caller's account: made, changed, given and taken.

Whatever changes what users may do is announced: every replica asks the database anew who they are, so a permission
counts at once and one that was taken away counts no more. Whoever may add permissions to a role or give roles to users
may in the end do everything: these permissions are an administrator's.
"""

from collections.abc import Sequence

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.database import roles
from shared.database.accounts import ADMIN_ROLE
from shared.database.query import Condition, ListQuery
from shared.database.roles import Changed, Role
from shared.domain.errors import NameTakenError, NotFoundError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.messages.messages import PermissionsChanged

_MOST_NAMED = 1_000
"""A notice names so many users; when there are more it is about all of the account."""


async def list_roles(platform: Platform, identity: Identity, query: ListQuery) -> tuple[Sequence[Role], int | None]:
    """
    Return one page of the account's roles, and how many match in all (None when not counted).

    Raises:
        ForbiddenError: the caller may not see roles.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_ROLES)
    return await roles.list_roles(platform.db, identity.account_id, query)


async def create_role(platform: Platform, identity: Identity, *, name: str, description: str) -> Role:
    """
    Make a role without permissions.

    Raises:
        ForbiddenError: the caller may not make roles.
        NameTakenError: the account has a role of that name.
        QuotaExceededError: it has as many as it may.
    """
    authorize(identity, Action.CREATE_ROLE)
    return await roles.add_role(platform.db, new_record_id(), identity.account_id, name, description)


async def update_role(
    platform: Platform, identity: Identity, role_id: str, *, name: str | None, description: str | None
) -> Role:
    """
    Change what is given (not None) of a role.

    No other role may be named as the administrator's: it would be given every permission at the next start.

    Raises:
        ForbiddenError: the caller may not change roles.
        NotFoundError: the account has no such role.
        NameTakenError: another role has that name, or it is the administrator's.
    """
    authorize(identity, Action.UPDATE_ROLE)
    if name == ADMIN_ROLE:
        holder = await roles.find_by_name(platform.db, identity.account_id, name)
        if holder is None or holder.id != role_id:
            raise NameTakenError(f"The name {name} is kept for the role that may do everything.")
    role = await roles.update_role(platform.db, identity.account_id, role_id, name=name, description=description)
    if role is None:
        raise _no_role()
    return role


async def delete_roles(platform: Platform, identity: Identity, where: Condition) -> int:
    """Remove roles, also from those who have them; return how many. Raises as ``add_permissions`` does."""
    authorize(identity, Action.DELETE_ROLES)
    return _of_roles(platform, identity, await roles.delete_roles(platform.db, identity.account_id, where))


async def add_permissions(platform: Platform, identity: Identity, where: Condition, names: Sequence[str]) -> int:
    """
    Add permissions, by whatever name, to roles; return how many roles the condition holds for.

    Raises:
        ForbiddenError: the caller may not.
        NotFoundError: it holds for no role.
        QuotaExceededError: a role would have too many.
        InvalidQueryError: the condition names a field there is not.
    """
    authorize(identity, Action.ADD_ROLE_PERMISSIONS)
    changed = await roles.add_permissions(platform.db, identity.account_id, where, names)
    return _of_roles(platform, identity, changed)


async def remove_permissions(platform: Platform, identity: Identity, where: Condition, names: Sequence[str]) -> int:
    """Take permissions from roles; return how many the condition holds for. Raises as ``add_permissions`` does."""
    authorize(identity, Action.REMOVE_ROLE_PERMISSIONS)
    changed = await roles.remove_permissions(platform.db, identity.account_id, where, names)
    return _of_roles(platform, identity, changed)


async def give_roles(platform: Platform, identity: Identity, where: Condition, role_ids: Sequence[str]) -> int:
    """
    Give roles to users; return how many users the condition holds for.

    Raises:
        ForbiddenError: the caller may not.
        NotFoundError: the account has no role with one of the ids.
        InvalidQueryError: the condition names a field there is not.
    """
    authorize(identity, Action.GIVE_ROLES)
    changed = await roles.give_roles(platform.db, identity.account_id, where, role_ids)
    announce_users(platform, identity.account_id, changed.user_ids)
    return changed.records


async def take_roles(platform: Platform, identity: Identity, where: Condition, role_ids: Sequence[str]) -> int:
    """Take roles from users; return how many users the condition holds for. A role nobody knows is not had either."""
    authorize(identity, Action.TAKE_ROLES)
    changed = await roles.take_roles(platform.db, identity.account_id, where, role_ids)
    announce_users(platform, identity.account_id, changed.user_ids)
    return changed.records


def announce_users(platform: Platform, account_id: str, user_ids: Sequence[str]) -> None:
    """Let every replica, this one at once, ask anew who these users are."""
    if user_ids:
        named = tuple(user_ids) if len(user_ids) <= _MOST_NAMED else ()
        platform.credentials.drop_users(account_id, frozenset(named))
        platform.bus.notify(PermissionsChanged(account_id=account_id, user_ids=named))


def _of_roles(platform: Platform, identity: Identity, changed: Changed) -> int:
    if changed.records == 0:
        raise _no_role()
    announce_users(platform, identity.account_id, changed.user_ids)
    return changed.records


def _no_role() -> NotFoundError:
    return NotFoundError("There is no such role.")
