"""What functions printed: the lines of executions and API requests, in order."""

from collections.abc import Sequence

from shared.database.pool import Queries
from shared.database.text import storable, storable_or_none
from shared.domain.ids import is_record_id
from shared.domain.outcome import LogLine

NumberedLine = tuple[str, int, LogLine]
"""A line with the id of its record and its number in it, from 0."""

_CHUNK = 2_000


async def insert_lines(db: Queries, lines: Sequence[NumberedLine]) -> int:
    """Record lines, in chunks; those recorded before change nothing. Return how many were not."""
    inserted = 0
    for first in range(0, len(lines), _CHUNK):
        inserted += await _insert_chunk(db, lines[first : first + _CHUNK])
    return inserted


async def lines_of(
    db: Queries, record_id: str, *, since_ms: int | None = None, limit: int | None = None
) -> list[LogLine]:
    """Return the lines of a record, oldest first; with ``since_ms`` only those written then or later."""
    if not is_record_id(record_id):
        return []
    rows = await db.fetch(
        """
        SELECT timestamp_ms, level, message, coalesce(text, message) AS text FROM log_lines
        WHERE record_id = $1 AND ($2::bigint IS NULL OR timestamp_ms >= $2) ORDER BY number LIMIT $3
        """,
        record_id,
        since_ms,
        limit,
    )
    return [LogLine(**row) for row in rows]


async def count_lines(db: Queries, record_id: str) -> int:
    """Return how many lines of a record there are."""
    count: int = await db.fetchval("SELECT count(*) FROM log_lines WHERE record_id = $1", record_id)
    return count


async def _insert_chunk(db: Queries, lines: Sequence[NumberedLine]) -> int:
    inserted: int = await db.fetchval(
        """
        WITH inserted AS (
            INSERT INTO log_lines (record_id, number, timestamp_ms, level, message, text)
            SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::text[])
            ON CONFLICT (record_id, number) DO NOTHING RETURNING 1
        )
        SELECT count(*) FROM inserted
        """,
        [record_id for record_id, _, _ in lines],
        [number for _, number, _ in lines],
        [line.timestamp_ms for _, _, line in lines],
        [storable(line.level) for _, _, line in lines],
        [storable(line.message) for _, _, line in lines],
        # Most lines carry no prefix: their text is stored once.
        [storable_or_none(None if line.text == line.message else line.text) for _, _, line in lines],
    )
    return inserted
