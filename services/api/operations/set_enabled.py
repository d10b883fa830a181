"""Letting a function be called, or not; its versions and records are not touched."""

from services.api.access.permissions import authorize
from services.api.operations.update_function import change_settings
from services.api.platform import Platform
from shared.database.functions import FunctionSettings
from shared.domain.function import Function
from shared.domain.identity import Action, Identity


async def set_enabled(platform: Platform, identity: Identity, function: Function, *, enabled: bool) -> Function:
    """
    Enable or disable a function; doing it twice is fine.

    Raises:
        ForbiddenError: the caller may not change functions.
        FunctionNotFoundError: it was deleted meanwhile.
    """
    authorize(identity, Action.UPDATE_FUNCTION, function)
    return await change_settings(platform, function, FunctionSettings(enabled=enabled))
