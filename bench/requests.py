"""
A million API requests with five log lines each in the database of a running all-in-one, and what reading them costs.

The rows are made by a statement a day, as the logger would have written them: a week of records, most of them of one
function, one in a hundred of them failed. What is measured is the whole request through the Extra Horizon dialect.
"""

import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import asyncpg
import httpx

from bench.plans import plans
from services.api.dialects.extrahorizon.rql_query import read_listing
from shared.database.api_requests import list_api_requests
from shared.database.logs import lines_of
from shared.database.partitions import ensure_days
from shared.database.pool import Connection, Database
from shared.process.embedded_postgres import running_dsn

REQUESTS = 1_000_000
LINES = 5
DAYS = 7
BUSY = "stored-00"
BUSY_SHARE = 0.6
OTHERS = 20
ASKED = 100

_FILL = """
    INSERT INTO api_requests (id, environment_id, function_id, function_name, method, path, user_id, application_id,
                              timestamp, status_code, duration_s, error_type, failure, timings, log_lines,
                              dropped_log_lines)
    SELECT to_hex(extract(epoch FROM at)::bigint) || lpad(to_hex($4::integer), 4, '0') || lpad(to_hex(n), 12, '0'),
           $1, $2, $3, 'GET', '/orders/' || n || '?full=1', repeat('a', 24), repeat('b', 24),
           at, CASE WHEN failed THEN 400 ELSE 200 END, 0.005, CASE WHEN failed THEN 'runtime' END,
           CASE WHEN failed THEN '{"kind": "raised", "name": "RangeError", "message": "qty too big"}'::jsonb END,
           '{"handler_ms": 5}', $8, 0
    FROM (SELECT n, n % 100 = 0 AS failed, $5::timestamptz + n * ($6::interval / $7::integer) AS at
          FROM generate_series(0, $7::integer - 1) AS n) AS made
"""
_LINES = """
    INSERT INTO log_lines (record_id, number, timestamp_ms, level, message, text)
    SELECT id, number, extract(epoch FROM timestamp)::bigint * 1000 + number, 'INFO',
           concat_ws(chr(9), '2026-01-01T00:00:00.000Z', '5b0c8c1e-0d3a-4f55-9d0e-7f6a1b2c3d4e', 'INFO', text), text
    FROM api_requests, generate_series(0, $3::integer - 1) AS number,
         LATERAL (SELECT 'line ' || number || ' of ' || path AS text) AS written
    WHERE timestamp >= $1 AND timestamp < $2 ORDER BY id, number
"""
_COUNT = """
    INSERT INTO api_request_counts (environment_id, function_name, shard, stored)
    SELECT environment_id, function_name, 0, count(*) FROM api_requests GROUP BY environment_id, function_name
"""


async def store(directory: Path) -> None:
    """Store the requests and their lines in the database of the all-in-one that keeps its data in ``directory``."""
    dsn = running_dsn(directory / "postgres")
    assert dsn is not None
    db = await Database.connect(dsn, max_size=1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(1, DAYS + 1)]
    try:
        await ensure_days(db, [day.date() for day in days])
    finally:
        await db.close()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET synchronous_commit = off")
        functions = await connection.fetch("SELECT environment_id, id, name FROM functions ORDER BY name")
        for day in days:
            for number, function in enumerate(functions):
                share = BUSY_SHARE if number == 0 else (1 - BUSY_SHARE) / OTHERS
                rows = round(REQUESTS * share / DAYS)
                await connection.execute(_FILL, *function, number, day, timedelta(hours=23), rows, LINES)
            await connection.execute(_LINES, day, day + timedelta(days=1), LINES)
        await connection.execute(_COUNT)
        await connection.execute("VACUUM ANALYZE api_requests, log_lines, api_request_counts")
    finally:
        await connection.close()


def lists() -> Mapping[str, str]:
    """Return what is asked of the list of requests, in RQL, by what it is called in the table."""
    began = datetime.now(UTC) - timedelta(days=3)
    since, until = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (began, began + timedelta(hours=1)))
    busy = f"eq(functionName,{BUSY})"
    return {
        "newest twenty": f"{busy}&sort(-timestamp)&limit(20)",
        "fifty of them, 1,000 deep": f"{busy}&sort(-timestamp)&limit(50,1000)",
        "failed": f"{busy}&eq(error.type,runtime)&sort(-timestamp)&limit(20)",
        "of one hour": f"{busy}&ge(timestamp,{since})&lt(timestamp,{until})&sort(-timestamp)",
        "of all functions": "sort(-timestamp)",
    }


def list_p50_ms(client: httpx.Client, rql: str) -> float:
    """Return the median time of a list of requests, in ms."""
    return _p50_ms(client, f"/tasks/v1/apiRequests?{rql}")


def logs_p50_ms(client: httpx.Client) -> float:
    """Return the median time of the lines of one request, in ms."""
    [request] = client.get(f"/tasks/v1/apiRequests?eq(functionName,{BUSY})&limit(1,300000)").json()["data"]
    path = f"/tasks/v1/apiRequests/{request['id']}/logs"
    assert len(client.get(path).json()["data"]) == LINES
    return _p50_ms(client, path)


async def list_plans(directory: Path) -> str:
    """Return how PostgreSQL reads these lists, and the lines of one request."""
    dsn = running_dsn(directory / "postgres")
    assert dsn is not None
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow("SELECT environment_id, id FROM api_requests OFFSET 300000 LIMIT 1")
    finally:
        await connection.close()
    assert row is not None
    asks = {
        title: partial(list_api_requests, environment_id=row["environment_id"], query=read_listing(rql).query)
        for title, rql in lists().items()
    }

    async def lines(connection: Connection) -> object:
        return await lines_of(connection, row["id"], limit=10_001)

    return await plans(directory, {**asks, "lines of one": lines})


def _p50_ms(client: httpx.Client, url: str) -> float:
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        client.get(url).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
