"""
Users of the caller's account: who they are, who joins, who leaves.

Who may sign in at all is an account's own matter. Registration without a caller is for the platform's own account,
and only where the settings open it; somebody who registers has no role, so no permission.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.api.access.permissions import authorize, may
from services.api.access.rate_limit import Registrations
from services.api.operations.roles import announce_users
from services.api.platform import Platform
from shared.crypto.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, PasswordDesk
from shared.database import accounts, roles, users
from shared.database.access import UserRow
from shared.database.query import ListQuery
from shared.database.roles import Role
from shared.database.users import NewUser, UserChanges
from shared.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.domain.user_errors import WeakPasswordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user with their roles, by name."""

    user: UserRow
    roles: Sequence[Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedUser:
    """A user as they describe themselves. The dialect has checked every field but the password."""

    email: str
    password: str = field(repr=False)
    first_name: str
    last_name: str
    phone_number: str
    language: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationDesk:
    """What registering needs besides the platform: places of its own for hashing, and who registered lately."""

    passwords: PasswordDesk
    registrations: Registrations


async def read_self(platform: Platform, identity: Identity) -> Member:
    """
    Return the calling user.

    Raises:
        UnauthenticatedError: the caller is no user, or one that is gone.
    """
    found = None
    if identity.user_id is not None:
        found = await users.find_user(platform.db, identity.account_id, identity.user_id)
    if found is None:
        raise UnauthenticatedError("No user is authenticated.")
    return await _member(platform, found)


async def read_user(platform: Platform, identity: Identity, user_id: str) -> Member:
    """
    Return a user; everybody may see themselves.

    Raises:
        ForbiddenError: it is somebody else, and the caller may not see users.
        NotFoundError: the account has no such user.
    """
    _authorize_for(identity, Action.READ_USERS, user_id)
    found = await users.find_user(platform.db, identity.account_id, user_id)
    if found is None:
        raise _no_such_user()
    return await _member(platform, found)


async def list_users(platform: Platform, identity: Identity, query: ListQuery) -> tuple[Sequence[Member], int | None]:
    """
    Return one page of the account's users, and how many match in all (None when not counted).

    Raises:
        ForbiddenError: the caller may not see users.
        InvalidQueryError: the query names a field there is not.
    """
    authorize(identity, Action.READ_USERS)
    found, total = await users.list_users(platform.db, identity.account_id, query)
    held = await roles.of_users(platform.db, (user.id for user in found))
    return [Member(user=user, roles=held.get(user.id, ())) for user in found], total


async def register(
    platform: Platform, desk: RegistrationDesk, identity: Identity | None, wanted: WantedUser, address: str
) -> Member:
    """
    Make a user: of the caller's account if there is a caller who may, else of the platform's own.

    Raises:
        ForbiddenError: registration is closed, and nobody who may make users asks for it.
        RateLimitedError: too many have registered from this address.
        WeakPasswordError: the password is too short or too long.
        EmailUsedError: there is a user with this email.
        UnavailableError: too many register at once.
    """
    if identity is not None and may(identity, Action.UPDATE_USER):
        account_id = identity.account_id
    elif platform.limits.open_registration:
        desk.registrations.charge(address)
        account_id = (await accounts.default_environment(platform.db)).account_id
    else:
        raise ForbiddenError("Registration is closed on this platform.", required="UPDATE_USER")
    _require_password(wanted.password)
    new = NewUser(
        id=new_record_id(),
        account_id=account_id,
        email=wanted.email,
        password_hash=await desk.passwords.hash(wanted.password),
        first_name=wanted.first_name,
        last_name=wanted.last_name,
        language=wanted.language,
        time_zone=wanted.time_zone,
        phone_number=wanted.phone_number,
    )
    return Member(user=await users.add_user(platform.db, new), roles=())


async def update_user(platform: Platform, identity: Identity, user_id: str, changes: UserChanges) -> Member:
    """
    Change what is given of a user; everybody may change themselves.

    Raises:
        ForbiddenError: it is somebody else, and the caller may not change users.
        NotFoundError: the account has no such user.
    """
    _authorize_for(identity, Action.UPDATE_USER, user_id)
    changed = await users.update_user(platform.db, identity.account_id, user_id, changes)
    if changed is None:
        raise _no_such_user()
    return await _member(platform, changed)


async def delete_user(platform: Platform, identity: Identity, user_id: str) -> None:
    """
    Remove a user with all their tokens; everybody may remove themselves.

    Raises:
        ForbiddenError: it is somebody else, and the caller may not remove users.
        NotFoundError: the account has no such user.
    """
    _authorize_for(identity, Action.DELETE_USER, user_id)
    if not await users.delete_user(platform.db, identity.account_id, user_id):
        raise _no_such_user()
    announce_users(platform, identity.account_id, (user_id,))


def _require_password(password: str) -> None:
    """Raise ``WeakPasswordError`` unless the password may be one."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise WeakPasswordError(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.", field="password"
        )


def _authorize_for(identity: Identity, action: Action, user_id: str) -> None:
    if identity.user_id is None or identity.user_id != user_id:
        authorize(identity, action)


async def _member(platform: Platform, user: UserRow) -> Member:
    return Member(user=user, roles=(await roles.of_users(platform.db, [user.id])).get(user.id, ()))


def _no_such_user() -> NotFoundError:
    return NotFoundError("There is no such user.")
