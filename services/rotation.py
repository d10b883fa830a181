"""
Rotation of the master key: every data key wrapped anew by the current one, row by row.

Nothing else changes: sealed values stay as they are, and so do revisions. It may be stopped and started again at
any time, and run beside the services, which must know both keys. A row that cannot be opened is told and left.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.crypto.envelope import Envelope
from shared.database import sealed_rows
from shared.database.pool import Database
from shared.database.sealed_rows import SealedRow
from shared.domain.errors import PlatformError

_BATCH = 200
_AT_ONCE = 4


@dataclass(slots=True)
class Outcome:
    """What a rotation came to: how many rows it wrapped anew, and why which could not be."""

    rewrapped: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Rotation:
    """One rotation. ``say`` is told of the progress in lines for a person."""

    def __init__(self, db: Database, envelope: Envelope, say: Callable[[str], None]) -> None:
        self._db = db
        self._envelope = envelope
        self._say = say
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """
        Wrap anew whatever the current master key has not wrapped.

        Raises:
            UnavailableError: there is no master key, or the database is away.
        """
        current = self._envelope.current_id
        for table in sealed_rows.TABLES:
            # A service that has not heard of the current key yet may seal behind our back: look until none is left.
            while await self._pass(table, current):
                pass
        return self._outcome

    async def _pass(self, table: str, current: str) -> bool:
        """Go through a table once; return whether anything was changed."""
        uses = [use for use in await sealed_rows.uses(self._db) if use.table == table]
        total = sum(use.rows for use in uses)
        left = sum(use.rows for use in uses if use.master_key_id != current)
        self._say(f"{table}: {total - left} of {total} rows are under {current}")
        done, after = 0, ""
        while rows := await sealed_rows.wrapped_by_others(self._db, table, current, after=after, limit=_BATCH):
            after = rows[-1].id
            for some in _in_parts(rows, _AT_ONCE):
                done += sum(await asyncio.gather(*(self._rewrap(row) for row in some)))
            self._say(f"{table}: {total - left + done} of {total}")
        return done > 0

    async def _rewrap(self, row: SealedRow) -> bool:
        try:
            sealed = await self._envelope.rewrap(row.sealed, row.id)
        except PlatformError as error:
            self._outcome.failures[f"{row.table} {row.id}"] = error.message
            return False
        if not await sealed_rows.rewrap(self._db, row, sealed):
            return False
        self._outcome.failures.pop(f"{row.table} {row.id}", None)
        self._outcome.rewrapped += 1
        return True


def _in_parts(rows: Sequence[SealedRow], size: int) -> Iterator[Sequence[SealedRow]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
