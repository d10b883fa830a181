"""
When keys and signed tokens were last used: noted in memory by whoever lets a caller in, written down once in a while.

A request costs one assignment here. What is noted and not yet written is lost with a process that is killed: it is for
people who look for what nobody uses, and nothing is decided by it.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from shared.database.pool import Database
from shared.domain.errors import UnavailableError

WRITE_EVERY_S = 60.0

Write = Callable[[Database, Mapping[str, float]], Awaitable[None]]

logger = structlog.get_logger(__name__)


class KeyUsage:
    """What was used since the last writing, by id. ``write`` keeps it; ``now`` gives Unix seconds."""

    def __init__(self, db: Database, write: Write, *, now: Callable[[], float] = time.time) -> None:
        self._db = db
        self._write = write
        self._now = now
        self._used_at: dict[str, float] = {}

    def note(self, id_: str) -> None:
        """One has just been used. There are no more entries than there are valid ones."""
        self._used_at[id_] = self._now()

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
            await self._write(self._db, used_at)
        except BaseException:
            self._used_at = used_at | self._used_at
            raise
