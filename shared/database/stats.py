"""
Counting what became of executions, in the statement that makes it so.

A function's counts are rows, one for each kind and shard, and their sum is the truth. A process writes shards of its
own, one for each of the statements that may run beside each other, so that neither they nor replicas wait for one
another's commit. Rows are locked in the order of function ids and kinds: two batches cannot deadlock over them.
"""

import random

_SHARDS = 16

ACCEPT_SHARD, SETTLE_SHARD, RECORD_SHARD = random.sample(range(_SHARDS), 3)


def count_accepted(source: str, shard: str) -> str:
    """Return SQL that counts the rows of ``source`` (function_id, kind) as accepted."""
    return f"""
        INSERT INTO function_stats AS s (function_id, kind, shard, accepted)
        SELECT function_id, kind, {shard}, count(*) FROM {source} GROUP BY function_id, kind ORDER BY function_id, kind
        ON CONFLICT (function_id, kind, shard) DO UPDATE SET accepted = s.accepted + excluded.accepted
    """  # noqa: S608 - built from constants


def count_ended(source: str, shard: str, *, accepted: bool = False) -> str:
    """
    Return SQL that counts the rows of ``source`` (function_id, kind, status, duration_ms, started_at) as ended.

    With ``accepted`` they are counted as accepted too: records that were never queued.
    """
    return f"""
        INSERT INTO function_stats AS s
            (function_id, kind, shard, accepted, completed, failed, cancelled, duration_ms_sum, last_started_at)
        SELECT function_id, kind, {shard}, {"count(*)" if accepted else "0"},
               count(*) FILTER (WHERE status = 'completed'),
               count(*) FILTER (WHERE status = 'failed'),
               count(*) FILTER (WHERE status = 'cancelled'),
               coalesce(sum(duration_ms), 0), max(started_at)
        FROM {source} GROUP BY function_id, kind ORDER BY function_id, kind
        ON CONFLICT (function_id, kind, shard) DO UPDATE SET
            accepted = s.accepted + excluded.accepted,
            completed = s.completed + excluded.completed,
            failed = s.failed + excluded.failed,
            cancelled = s.cancelled + excluded.cancelled,
            duration_ms_sum = s.duration_ms_sum + excluded.duration_ms_sum,
            last_started_at = greatest(s.last_started_at, excluded.last_started_at)
    """  # noqa: S608 - built from constants


def count_gone(source: str, shard: str) -> str:
    """Return SQL that counts the rows of the table ``source``, all of them ended, as kept no longer."""
    return f"""
        INSERT INTO function_stats AS s (function_id, kind, shard, gone_completed, gone_failed, gone_cancelled)
        SELECT function_id, kind, {shard},
               count(*) FILTER (WHERE status = 'completed'),
               count(*) FILTER (WHERE status = 'failed'),
               count(*) FILTER (WHERE status = 'cancelled')
        FROM {source} GROUP BY function_id, kind ORDER BY function_id, kind
        ON CONFLICT (function_id, kind, shard) DO UPDATE SET
            gone_completed = s.gone_completed + excluded.gone_completed,
            gone_failed = s.gone_failed + excluded.gone_failed,
            gone_cancelled = s.gone_cancelled + excluded.gone_cancelled
    """  # noqa: S608 - built from constants
