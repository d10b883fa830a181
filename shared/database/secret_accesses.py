"""
Which run was given which secret, and which it was not: one row for each secret of a run's function, no values.

Rows go with the day of their run, as all records do.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.database.pool import Queries
from shared.messages.messages import SecretsAsked


async def insert_asked(db: Queries, asked: Sequence[SecretsAsked]) -> int:
    """Record what runs asked for; what was recorded before changes nothing. Return how many rows were not."""
    rows = [
        (each, name, granted)
        for each in asked
        for names, granted in ((each.granted, True), (each.denied, False))
        for name in names
    ]
    inserted: int = await db.fetchval(
        """
        WITH inserted AS (
            INSERT INTO secret_accesses (record_id, secret_name, account_id, function_id, granted, at)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[])
            ON CONFLICT (record_id, secret_name) DO NOTHING RETURNING 1
        )
        SELECT count(*) FROM inserted
        """,
        [each.record_id for each, _, _ in rows],
        [name for _, name, _ in rows],
        [each.account_id for each, _, _ in rows],
        [each.function_id for each, _, _ in rows],
        [granted for _, _, granted in rows],
        [datetime.fromtimestamp(each.at_ms / 1000, UTC) for each, _, _ in rows],
    )
    return inserted
