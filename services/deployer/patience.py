"""
What a cloud cannot do now is tried again for a while: less long than callers wait, so that they are told.

It is not held until the cloud is back, as what our own backends are needed for: an account that AWS throttles for an
hour must keep neither its function in between two states nor the deployments of others waiting.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.domain.cloud_errors import CloudUnavailableError

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0

Done = TypeVar("Done")


class Patience:
    """How long one deployment may be tried again: ``seconds`` from now on."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    async def until_done(self, work: Callable[[], Awaitable[Done]]) -> Done:
        """
        Do some work, which may be done twice, until the cloud can.

        Raises:
            CloudUnavailableError: it still cannot.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await work()
            except CloudUnavailableError:
                if time.monotonic() + pause_s > self._ends_at:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
