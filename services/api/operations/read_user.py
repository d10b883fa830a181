"""Reading users: for now, a caller reads themselves."""

from collections.abc import Sequence

from services.api.platform import Platform
from shared.database import access
from shared.database.access import RoleRow, UserRow
from shared.domain.errors import UnauthenticatedError
from shared.domain.identity import Identity


async def read_self(platform: Platform, identity: Identity) -> tuple[UserRow, Sequence[RoleRow]]:
    """
    Return the calling user with their roles.

    Raises:
        UnauthenticatedError: the caller is no user, or one that is gone.
    """
    found = await access.find_user(platform.db, identity.user_id) if identity.user_id is not None else None
    if found is None:
        raise UnauthenticatedError("No user is authenticated.")
    return found, await access.roles_of(platform.db, found.id)
