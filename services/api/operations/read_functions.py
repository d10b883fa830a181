"""
Finding functions and what is told of them.

A reference is an id or a name. Whoever calls a function gets it from the cache; whoever reads or changes one gets
it from the database, so that a change made through another replica is seen. A function of another environment is
answered as if it did not exist.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.database import functions
from shared.database.functions import FunctionFilter
from shared.domain.errors import FunctionNotFoundError
from shared.domain.function import Function, FunctionStats
from shared.domain.identity import Action, Identity

_ID = re.compile(r"func_[a-z0-9]{10}")


async def get_function(platform: Platform, identity: Identity, reference: str) -> Function:
    """Return a function of the caller's environment as the database has it now; raise ``FunctionNotFoundError``."""
    return await _found(platform, identity.environment_id, reference)


async def read_function(platform: Platform, identity: Identity, reference: str) -> Function:
    """Return a function to somebody who only wants to look; needs the permission to."""
    authorize(identity, Action.READ_FUNCTION)
    return await get_function(platform, identity, reference)


async def callable_function(platform: Platform, identity: Identity | None, reference: str) -> Function:
    """
    Return a function somebody wants to call, from the cache; raise ``FunctionNotFoundError``.

    A caller without identity calls into the platform's default environment.
    """
    environment_id = identity.environment_id if identity is not None else platform.default_environment_id
    if _ID.fullmatch(reference):
        try:
            function = await platform.functions.get(reference)
        except FunctionNotFoundError:
            pass
        else:
            if function.environment_id == environment_id:
                return function
    return await platform.functions.get_by_name(environment_id, reference)


async def list_functions(
    platform: Platform, identity: Identity, wanted: FunctionFilter
) -> tuple[Sequence[tuple[Function, datetime | None]], int]:
    """Return one page of functions, each with the start of its last run, and how many match in all."""
    authorize(identity, Action.LIST_FUNCTIONS)
    return await functions.list_functions(platform.db, identity.environment_id, wanted)


async def function_stats(platform: Platform, function: Function) -> FunctionStats:
    """Return the counts of a function that the caller may read."""
    return await functions.function_stats(platform.db, function.id)


async def function_source(platform: Platform, function: Function) -> str | None:
    """Return the source text of the active version, or None when it was uploaded as a package."""
    return await functions.get_source(platform.db, function.version.id)


async def _found(platform: Platform, environment_id: str, reference: str) -> Function:
    if _ID.fullmatch(reference):
        function = await functions.find_function(platform.db, reference)
        if function is not None and function.environment_id == environment_id:
            return function
    function = await functions.find_by_name(platform.db, environment_id, reference)
    if function is None:
        raise FunctionNotFoundError("no such function")
    return function
