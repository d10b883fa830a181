"""
When API keys were last used: noted in memory by whoever lets a caller in, written down once in a while.

A request costs one assignment here. What is noted and not yet written is lost with a process that is killed: it is for
people who look for keys nobody uses, and nothing is decided by it.
"""

import time
from collections.abc import Callable

import structlog

from shared.database import api_keys
from shared.database.pool import Database
from shared.domain.errors import UnavailableError

WRITE_EVERY_S = 60.0

logger = structlog.get_logger(__name__)


class KeyUsage:
    """What was used since the last writing. ``now`` gives Unix seconds."""

    def __init__(self, db: Database, *, now: Callable[[], float] = time.time) -> None:
        self._db = db
        self._now = now
        self._used_at: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """A key has just been used. There are no more entries than keys that are valid."""
        self._used_at[key_id] = self._now()

    async def close(self) -> None:
        """Write down what there is; a database that is away is not waited for."""
        try:
            await self.write()
        except UnavailableError as error:
            logger.warning("key_usage_lost", keys=len(self._used_at), reason=error.message)

    async def write(self) -> None:
        """Write down what was noted; what cannot be written now comes up again."""
        used_at, self._used_at = self._used_at, {}
        if not used_at:
            return
        try:
            await api_keys.note_use(self._db, used_at)
        except BaseException:
            self._used_at = used_at | self._used_at
            raise
