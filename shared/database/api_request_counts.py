"""
How many API requests are stored, known without reading them.

Every statement that stores or drops some adds to the counts of their functions' names in the same transaction. The
counts of a name are rows, one a shard, and their sum is the truth: a process writes a shard of its own, so that
replicas do not wait for one another's commit. Rows are locked in the order of environments and names: two batches
cannot deadlock over them.
"""

import random

from shared.database.pool import Queries

_SHARDS = 16

[SHARD] = random.sample(range(_SHARDS), 1)
"""This process's."""


def count_stored(source: str, shard: str) -> str:
    """Return SQL that counts the rows of ``source`` (environment_id, function_name) as stored."""
    return _count(source, shard, "count(*)")


def count_dropped(source: str, shard: str) -> str:
    """Return SQL that counts the rows of ``source`` (environment_id, function_name) as stored no longer."""
    return _count(source, shard, "-count(*)")


async def stored_requests(db: Queries, environment_id: str, function_name: str | None = None) -> int:
    """Return how many requests of an environment, or of one name in it, are stored."""
    stored: int = await db.fetchval(
        """
        SELECT coalesce(sum(stored), 0)::bigint FROM api_request_counts
        WHERE environment_id = $1 AND ($2::text IS NULL OR function_name = $2)
        """,
        environment_id,
        function_name,
    )
    return stored


def _count(source: str, shard: str, by: str) -> str:
    return f"""
        INSERT INTO api_request_counts AS c (environment_id, function_name, shard, stored)
        SELECT environment_id, function_name, {shard}, {by}
        FROM {source} GROUP BY environment_id, function_name ORDER BY environment_id, function_name
        ON CONFLICT (environment_id, function_name, shard) DO UPDATE SET stored = c.stored + excluded.stored
    """  # noqa: S608 - built from constants
