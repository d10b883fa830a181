"""
A million executions in the database of a running all-in-one, and what reading them costs.

The rows are made by one statement a day, as the logger would have written them: a week of records, most of them of
one function, one in a hundred of them failed. What is measured is the whole request through the Neo dialect.
"""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.plans import plans
from shared.database.executions import list_executions
from shared.database.partitions import ensure_days
from shared.database.pool import Database
from shared.domain.execution import ExecutionKind, ExecutionStatus
from shared.process.embedded_postgres import running_dsn

EXECUTIONS = 1_000_000
DAYS = 7
BUSY_SHARE = 0.6
OTHERS = 20
REQUESTS = 100

_STATUSES = {
    "failed": (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED),
    "running": (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a list of executions: of the dialect (``query``), or of the database (``arguments``)."""

    status: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = 10
    offset: int = 0

    def query(self) -> dict[str, str]:
        given = {"status": self.status, "start_date": _written(self.start), "end_date": _written(self.end)}
        paging = {"limit": str(self.limit), "offset": str(self.offset)}
        return {name: value for name, value in given.items() if value is not None} | paging

    def arguments(self) -> dict[str, Any]:
        statuses = None if self.status is None else _STATUSES[self.status]
        return {"status": statuses, "start": self.start, "end": self.end, "limit": self.limit, "offset": self.offset}


_FILL = """
    INSERT INTO executions (id, function_id, environment_id, version_id, kind, status, params, result, result_defined,
                            failure, accepted_at, started_at, finished_at, duration_ms, timings, log_lines, receipt)
    SELECT to_hex(extract(epoch FROM at)::bigint) || lpad(to_hex($7::integer), 4, '0') || lpad(to_hex(n), 12, '0'),
           $1, $2, $3, 'neo', CASE WHEN failed THEN 'failed' ELSE 'completed' END, '{"n": 1}',
           CASE WHEN failed THEN NULL ELSE '{"ok": true}' END, NOT failed,
           CASE WHEN failed THEN '{"kind": "raised", "name": "Error"}'::jsonb END,
           at, at, at + interval '5 ms', 5, '{"handler_ms": 5}', 0, rpad('{}', 620)
    FROM (SELECT n, n % 100 = 0 AS failed, $4::timestamptz + n * ($5::interval / $6::integer) AS at
          FROM generate_series(0, $6::integer - 1) AS n) AS made
"""
_COUNT = """
    INSERT INTO function_stats (function_id, kind, shard, accepted, completed, failed, duration_ms_sum, last_started_at)
    SELECT function_id, kind, 0, count(*), count(*) FILTER (WHERE status = 'completed'),
           count(*) FILTER (WHERE status = 'failed'), sum(duration_ms), max(started_at)
    FROM executions GROUP BY function_id, kind
"""


async def store(directory: Path) -> None:
    """Store the executions in the database of the all-in-one that keeps its data in ``directory``."""
    dsn = running_dsn(directory / "postgres")
    assert dsn is not None
    db = await Database.connect(dsn, max_size=2)
    try:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [today - timedelta(days=back) for back in range(1, DAYS + 1)]
        await ensure_days(db, [day.date() for day in days])
    finally:
        await db.close()
    connection = await asyncpg.connect(dsn)
    try:
        functions = await connection.fetch("SELECT id, environment_id, active_version_id FROM functions ORDER BY name")
        for number, function in enumerate(functions):
            share = BUSY_SHARE if number == 0 else (1 - BUSY_SHARE) / OTHERS
            for day in days:
                rows = round(EXECUTIONS * share / DAYS)
                await connection.execute(_FILL, *function, day, timedelta(hours=23), rows, number)
        await connection.execute(_COUNT)
        await connection.execute("VACUUM ANALYZE executions")
        await connection.execute("ANALYZE function_stats")
    finally:
        await connection.close()


def lists() -> Mapping[str, Wanted]:
    """Return what is asked of the list of the busy function, by what it is called in the table."""
    three_days_ago = datetime.now(UTC) - timedelta(days=3)
    return {
        "newest": Wanted(),
        "100 of them, 1,000 deep": Wanted(limit=100, offset=1000),
        "failed": Wanted(status="failed"),
        "running": Wanted(status="running"),
        "of one hour": Wanted(start=three_days_ago, end=three_days_ago + timedelta(hours=1)),
    }


def list_p50_ms(client: httpx.Client, name: str, wanted: Wanted) -> float:
    """Return the median time of a list of a function's executions, in ms."""
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        client.get(f"/v1/functions/{name}/executions", params=wanted.query()).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def list_plans(directory: Path, name: str) -> str:
    """Return how PostgreSQL reads the lists of the function of this name."""
    dsn = running_dsn(directory / "postgres")
    assert dsn is not None
    connection = await asyncpg.connect(dsn)
    try:
        function_id = await connection.fetchval("SELECT id FROM functions WHERE name = $1", name)
    finally:
        await connection.close()
    return await plans(
        directory,
        {
            title: partial(list_executions, function_id=function_id, kind=ExecutionKind.NEO, **wanted.arguments())
            for title, wanted in lists().items()
        },
    )


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
