"""
Tasks of the all-in-one: how many are accepted durably, how many run, and how late a planned one begins.

Those that only have to be there are made by one statement, as the api would have written them. When a task began is
read from its row: the API tells when it changed last.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from bench.functions import create_api_function
from bench.load import wrk
from bench.scenarios import Figure
from shared.domain.ids import new_record_id
from shared.domain.moments import iso
from shared.process.embedded_postgres import running_dsn
from tests.support import backends, platform
from tests.support.platform import Platform

LOAD_S = 10
PLANNED = 100_000
DUE = 40
AHEAD_S = 3.0
RAN = 5_000
DRAIN_S = 120.0

_FILL = """
    INSERT INTO tasks (id, environment_id, function_name, status, data, tags, due_at, created_at, updated_at,
                       status_changed_at)
    SELECT id, (SELECT environment_id FROM functions WHERE name = 'no-op'), 'no-op', 'new',
           '{"n": 1}', ARRAY[$3], now() + $2::interval, now(), now(), now()
    FROM unnest($1::text[]) id
"""
_TOOK = """
    SELECT extract(epoch FROM max(finished_at) - min(started_at))::double precision FROM tasks WHERE tags = ARRAY[$1]
"""
_LATE = """
    SELECT extract(epoch FROM started_at - due_at)::double precision * 1000 AS late_ms
    FROM tasks WHERE id = ANY($1::text[]) AND started_at IS NOT NULL ORDER BY 1
"""


def tasks() -> Sequence[Figure]:
    """Measure tasks through the Extra Horizon dialect."""
    with (
        backends.open_directory() as directory,
        platform.all_in_one(directory) as running,
        running.extra_horizon() as client,
    ):
        create_api_function(client, "no-op")
        dsn = running_dsn(directory / "data" / "postgres")
        assert dsn is not None
        return [*_accepted(running, client), *_ran(client, dsn), *_late(client, dsn)]


def _accepted(running: Platform, client: httpx.Client) -> Iterator[Figure]:
    load = wrk(
        f"{running.address}/tasks/v1/",
        connections=32,
        seconds=LOAD_S,
        method="POST",
        headers={"Authorization": client.headers["Authorization"], "Content-Type": "application/json"},
        body='{"functionName":"no-op","data":{"n":1},"startTimestamp":"2100-01-01T00:00:00.000Z"}',
    )
    yield Figure(
        measure="tasks accepted durably, 32 connections",
        value=load.per_second,
        unit="/s",
        target=1000,
        at_least=True,
        digits=0,
    )
    yield Figure(measure="tasks accepted, p99", value=load.p99_ms, unit="ms", digits=1)
    yield Figure(measure="tasks accepted, errors", value=load.errors, unit="", target=0, digits=0)


def _ran(client: httpx.Client, dsn: str) -> Iterator[Figure]:
    """Run tasks of a no-op that are all due at once, as many at a time as the settings say."""
    asyncio.run(_fill(dsn, RAN, timedelta(seconds=1), "ran"))
    deadline = time.monotonic() + DRAIN_S
    while _count(client, "eq(tags,ran)&in(status,new,inProgress)"):
        if time.monotonic() > deadline:
            raise SystemExit(f"tasks were still waiting after {DRAIN_S} s")
        time.sleep(0.5)
    took_s = asyncio.run(_read(dsn, _TOOK, "ran"))[0]
    yield Figure(measure="tasks run, five at once", value=RAN / took_s, unit="/s", digits=0)


def _late(client: httpx.Client, dsn: str) -> Iterator[Figure]:
    asyncio.run(_fill(dsn, PLANNED, timedelta(hours=1), "planned"))
    due_at = datetime.now(UTC) + timedelta(seconds=AHEAD_S)
    ids = []
    for number in range(DUE):
        body = {"functionName": "no-op", "startTimestamp": iso(due_at + timedelta(seconds=0.1 * number))}
        ids.append(client.post("/tasks/v1/", json=body).raise_for_status().json()["id"])
    time.sleep(AHEAD_S + 0.1 * DUE + 1)
    late_ms = asyncio.run(_read(dsn, _LATE, ids))
    if len(late_ms) < DUE:
        raise SystemExit(f"only {len(late_ms)} of {DUE} tasks have begun")
    title = f"a due task begins, {PLANNED:,} others planned"
    yield Figure(measure=f"{title}: p50", value=late_ms[DUE // 2], unit="ms", digits=1)
    yield Figure(measure=f"{title}: latest of {DUE}", value=late_ms[-1], unit="ms", target=250, digits=1)


def _count(client: httpx.Client, query: str) -> int:
    page: dict[str, int] = client.get(f"/tasks/v1/?{query}").raise_for_status().json()["page"]
    return page["total"]


async def _fill(dsn: str, count: int, due_in: timedelta, tag: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_FILL, [new_record_id() for _ in range(count)], due_in, tag)
        await connection.execute("VACUUM ANALYZE tasks")
    finally:
        await connection.close()


async def _read(dsn: str, sql: str, argument: object) -> list[float]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(sql, argument)]
    finally:
        await connection.close()
