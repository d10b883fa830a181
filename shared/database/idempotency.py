"""
Idempotency keys: for a day a key stands for the row it was first used for, under concurrency too.

The statement that keeps rows claims their keys in the same breath, by ``CLAIMED``: neither is ever there without the
other. A key counts in its whole environment, for rows of every table; whoever makes keys puts in what tells them apart.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from shared.database.pool import Queries
from shared.database.text import storable_or_none

_LONGEST_KEY = 500

CLAIMED = """
    keyed AS (
        INSERT INTO idempotency_keys AS k (environment_id, key, execution_id, created_at)
        SELECT environment_id, idempotency_key, id, now() FROM input WHERE idempotency_key IS NOT NULL
        ORDER BY environment_id, idempotency_key
        ON CONFLICT (environment_id, key) DO UPDATE SET
            execution_id = CASE WHEN k.created_at < now() - interval '24 hours' THEN excluded.execution_id
                                ELSE k.execution_id END,
            created_at = CASE WHEN k.created_at < now() - interval '24 hours' THEN now() ELSE k.created_at END
        RETURNING environment_id, key, execution_id, created_at
    ), resolved AS (
        SELECT input.*, coalesce(keyed.execution_id, input.id) AS kept_id,
               coalesce(keyed.created_at, now()) AS accepted_at
        FROM input LEFT JOIN keyed
            ON keyed.environment_id = input.environment_id AND keyed.key = input.idempotency_key
    )
"""
"""
Turns ``input (id, environment_id, idempotency_key, ...)`` into ``resolved``: what it holds and, for each, ``kept_id``.

That is its own ``id`` if it is to be inserted, else the row its key stands for. A transaction that is just being
committed is waited for; a row of it is not visible to this statement, but to the next.
"""


class Keyed(Protocol):
    """A row that may have a key."""

    @property
    def id(self) -> str: ...
    @property
    def environment_id(self) -> str: ...
    @property
    def idempotency_key(self) -> str | None: ...


RowT = TypeVar("RowT", bound=Keyed)


def first_with_key(new: Sequence[RowT]) -> dict[str, RowT]:
    """Return, for each row's id, the first row of the batch with the same key: itself when it has none."""
    firsts: dict[tuple[str, str], RowT] = {}
    return {
        row.id: row
        if row.idempotency_key is None
        else firsts.setdefault((row.environment_id, row.idempotency_key), row)
        for row in new
    }


def stored_key(key: str | None) -> str | None:
    """Return a key as it is kept: a long one by its digest, because an index takes no long ones."""
    if key is None or len(key) <= _LONGEST_KEY:
        return storable_or_none(key)
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


async def forget(db: Queries, *, limit: int = 5_000) -> int:
    """Forget up to ``limit`` keys that count no more; return how many."""
    gone = await db.fetch(
        """
        DELETE FROM idempotency_keys WHERE (environment_id, key) IN (
            SELECT environment_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
            ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
        """,
        limit,
    )
    return len(gone)
