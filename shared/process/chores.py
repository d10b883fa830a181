"""Chores a service does again and again beside its work."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.domain.errors import UnavailableError

_RETRY_S = 5.0

_log = structlog.get_logger(__name__)


async def every(period_s: float, chore: Callable[[], Awaitable[object]]) -> None:
    """
    Do a chore now and then every ``period_s`` seconds; never returns.

    A database or broker that is away is waited for, and asked more often, to catch up; any other error of the
    chore is raised.
    """
    while True:
        pause_s = period_s
        try:
            await chore()
        except UnavailableError as error:
            _log.warning("chore_waits", chore=chore.__qualname__, reason=error.message)
            pause_s = min(period_s, _RETRY_S)
        await asyncio.sleep(pause_s)
