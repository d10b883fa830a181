"""Processes that die under tasks and schedules: what waits is run once, what was cut off is told so, nothing twice."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.database.pool import Database
from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster, cluster
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

TELLS = """
const http = require('http');
exports.handler = async ({ id, startTimestamp, data }) => {
  console.log(`began ${id}`);
  const told = `${data.to}?${data.planned ? startTimestamp : id}`;
  await new Promise((done, failed) => {
    http.get(told, answer => answer.resume().on('end', done)).on('error', failed);
  });
  await new Promise(done => setTimeout(done, data.ms));
};
"""
AT_ONCE = 6
ENVIRON = {"TIDEMILL_NETWORK": "host", "TIDEMILL_MAX_TASKS_AT_ONCE": str(AT_ONCE)}
SETTLE_S = 60
"""Long enough for a lost invoker to be noticed and for everything that waits to be run."""

Page = list[dict[str, Any]]


class Told:
    """
    What functions said of themselves when they began: ids of tasks, or the moments they were planned for.

    They go on once ``go`` is set, as it is unless a test clears it.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.go = threading.Event()
        self.go.set()

    def handler(told) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the request below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.counts[self.path.partition("?")[2]] += 1
                told.go.wait(SETTLE_S)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the counts are what is looked at."""

        return Handler


@pytest.fixture
def told() -> Iterator[tuple[Told, str]]:
    """Give what is told, and the address to tell it to."""
    told = Told()
    with ThreadingHTTPServer(("127.0.0.1", 0), told.handler()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told, f"http://127.0.0.1:{server.server_port}/"
        told.go.set()
        server.shutdown()
        thread.join(10)


@contextmanager
def running(directory: Path, amqp_url: str, database_url: str, invokers: int) -> Iterator[tuple[Cluster, Functions]]:
    with (
        cluster(directory, amqp_url, database_url, ENVIRON, invokers=invokers) as made,
        functions_of(made) as functions,
    ):
        yield made, functions


def post(functions: Functions, path: str, **body: Any) -> str:
    answer = functions.exh.post(f"/tasks/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    made: str = answer.json()["id"]
    return made


def tasks_of(functions: Functions, name: str, *, planned: bool = False) -> Page:
    """Return the tasks of a function that were asked for, or those its schedule made, oldest first."""
    found: Page = []
    while True:
        query = f"eq(functionName,{name})&eq(data.planned,{str(planned).lower()})&sort(+id)&limit(50,{len(found)})"
        page: Page = functions.exh.get(f"/tasks/v1/?{query}").raise_for_status().json()["data"]
        found += page
        if len(page) < 50:
            return found


def ended(functions: Functions, name: str, count: int) -> Page:
    found = tasks_of(functions, name)
    assert len(found) == count
    assert {each["status"] for each in found} <= {"complete", "failed"}
    return found


def test_each_task_runs_once_and_each_schedule_fires_once_an_interval_when_one_of_two_invokers_is_killed(
    directory: Path, amqp_url: str, database_url: str, told: tuple[Told, str]
) -> None:
    heard, address = told
    with running(directory, amqp_url, database_url, 2) as (platform, functions):
        name = functions.create_node(TELLS)
        schedule_id = post(
            functions,
            "schedules",
            functionName=name,
            interval=1,
            priority=1,
            data={"to": address, "ms": 0, "planned": True},
        )
        for _ in range(60):
            post(functions, "", functionName=name, data={"to": address, "ms": 200, "planned": False})
        eventually_sync(lambda: len(heard.counts) >= 15, within_s=30)
        platform.kill("invoker-0")

        found = eventually_sync(lambda: ended(functions, name, 60), within_s=SETTLE_S)
        assert functions.exh.delete(f"/tasks/v1/schedules/{schedule_id}").json() == {"affectedRecords": 1}
        fired = tasks_of(functions, name, planned=True)

    failed = [each for each in found if each["status"] == "failed"]
    assert {each["error"]["name"] for each in failed} <= {"zombieTaskCleaned"}
    assert len(failed) <= AT_ONCE, "no more can be cut off than are in progress at once"
    assert {heard.counts[each["id"]] for each in found if each["status"] == "complete"} == {1}
    assert {heard.counts[each["id"]] for each in failed} <= {0, 1}
    moments = [datetime.fromisoformat(each["startTimestamp"]) for each in fired]
    apart = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) >= 3
    assert all(each >= timedelta(seconds=1) and each % timedelta(seconds=1) == timedelta(0) for each in apart)
    assert {heard.counts[each["startTimestamp"]] for each in fired} <= {0, 1}


def test_what_waits_while_no_invoker_is_there_runs_when_one_is_and_what_was_cut_off_never_again(
    directory: Path, amqp_url: str, database_url: str, told: tuple[Told, str]
) -> None:
    heard, address = told
    with running(directory, amqp_url, database_url, 1) as (platform, functions):
        name = functions.create_node(TELLS)
        cut_off = post(functions, "", functionName=name, data={"to": address, "ms": 20_000, "planned": False})
        eventually_sync(lambda: heard.counts[cut_off], within_s=30)
        platform.kill("invoker-0")

        for _ in range(20):
            post(functions, "", functionName=name, data={"to": address, "ms": 0, "planned": False})
        planned = {"to": address, "ms": 0, "planned": True}
        post(functions, "schedules", functionName=name, interval=3600, data=planned)
        platform.start("invoker-0")

        found = eventually_sync(lambda: ended(functions, name, 21), within_s=SETTLE_S)
        fired = tasks_of(functions, name, planned=True)

        last = post(functions, "", functionName=name, data={"to": address, "ms": 1500, "planned": False})
        eventually_sync(lambda: heard.counts[last])
        platform.stop("invoker-0")
        finished = tasks_of(functions, name)[-1]

    errors = {each["id"]: each["error"] for each in found if each["status"] == "failed"}
    assert {each: error["name"] for each, error in errors.items()} == {cut_off: "zombieTaskCleaned"}
    assert {heard.counts[each["id"]] for each in found} == {1}
    assert [each["status"] for each in fired] == ["complete"]
    assert (finished["id"], finished["status"]) == (last, "complete"), "an invoker that leaves finishes what it holds"


def test_direct_executions_of_an_api_that_is_killed_are_told_as_lost_once_their_lease_is_over(
    directory: Path, amqp_url: str, database_url: str, told: tuple[Told, str]
) -> None:
    heard, address = told
    heard.go.clear()
    with running(directory, amqp_url, database_url, 1) as (platform, functions):
        name = functions.create_node(TELLS, timeLimit=10)
        body = {"data": {"to": address, "ms": 0, "planned": False}}

        def execute(_: int) -> None:
            with pytest.raises(httpx.TransportError):
                functions.exh.post(f"/tasks/v1/functions/{name}/execute", json=body)

        with ThreadPoolExecutor(3) as callers:
            calls = callers.map(execute, range(3))
            eventually_sync(lambda: len(heard.counts) == 3, within_s=30)
            platform.kill("api")
            assert len(list(calls)) == 3
        heard.go.set()
        leases = asyncio.run(end_leases(database_url))

        platform.start("api")
        with functions_of(platform) as again:
            found = eventually_sync(lambda: ended(again, name, 3), within_s=SETTLE_S)
            lines = [eventually_sync(partial(log_of, again, each["id"])) for each in found]
            left = again.exh.get("/tasks/v1/?eq(status,inProgress)").raise_for_status().json()["page"]["total"]

    assert len(leases) == 3
    assert all(10 < lease_s < 60 for lease_s in leases), "a lease outlives the run, but not by much"
    assert [(each["status"], each["error"]["name"]) for each in found] == [("failed", "zombieTaskCleaned")] * 3
    assert {each["id"] for each in found} == set(heard.counts)
    assert set(heard.counts.values()) == {1}
    assert all(f"began {each['id']}" in line for each, line in zip(found, lines, strict=True))
    assert left == 0


async def end_leases(database_url: str) -> list[float]:
    """End the leases of direct tasks in progress, as time would have; return how many seconds they were to last."""
    db = await Database.connect(database_url, max_size=1)
    try:
        rows = await db.fetch(
            """
            UPDATE tasks t SET lease_until = now()
            FROM (SELECT id, lease_until FROM tasks WHERE status = 'inProgress' AND direct) given
            WHERE t.id = given.id
            RETURNING extract(epoch FROM given.lease_until - t.started_at)::double precision AS lease_s
            """
        )
    finally:
        await db.close()
    return [row["lease_s"] for row in rows]


def log_of(functions: Functions, task_id: str) -> str:
    """Return the first line of a task, once it is there."""
    answer = functions.exh.get(f"/tasks/v1/{task_id}/logs")
    assert answer.status_code == 200, answer.text
    line: str = answer.json()["data"][0]["message"]
    return line
