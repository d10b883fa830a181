"""Invokers that die under tasks and schedules: what waits is run once, what was cut off is told so, nothing twice."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster, cluster
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

TELLS = """
const http = require('http');
exports.handler = async ({ id, startTimestamp, data }) => {
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
    """What functions said of themselves when they began: ids of tasks, or the moments they were planned for."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def handler(told) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the request below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.counts[self.path.partition("?")[2]] += 1
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
