"""What waits for its turn on a platform that runs one task at a time (contracts/extrahorizon.md, 13: 32 and 34)."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.builders import api_function, unique, zipped
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, all_in_one

SLEEPS = zipped({"index.js": "exports.handler = ({data}) => new Promise(done => setTimeout(done, data.ms, data.ms));"})
ENDED = {"complete", "failed"}
MOST_DIRECT = 2


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    environ = {"TIDEMILL_MAX_TASKS_AT_ONCE": "1", "TIDEMILL_MAX_DIRECT_EXECUTIONS": str(MOST_DIRECT)}
    with all_in_one(tmp_path_factory.mktemp("narrow"), environ) as platform:
        yield platform


@pytest.fixture
def horizon(narrow: Platform) -> Iterator[httpx.Client]:
    with narrow.extra_horizon() as client:
        yield client


def sleeper(horizon: httpx.Client) -> str:
    """Make a function that sleeps for ``data.ms`` and returns it; return its name."""
    name = unique("sleeps")
    answer = horizon.post("/tasks/v1/functions/", json=api_function(name, SLEEPS))
    assert answer.status_code == httpx.codes.OK, answer.text
    return name


def planned(horizon: httpx.Client, name: str, ms: int, **fields: Any) -> str:
    answer = horizon.post("/tasks/v1/", json={"functionName": name, "data": {"ms": ms}, **fields})
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.json()["id"])


def test_tasks_that_wait_run_by_priority_then_by_the_time_they_were_due(horizon: httpx.Client) -> None:
    name = sleeper(horizon)
    due = [f"2020-01-01T00:00:0{second}.000Z" for second in range(3)]
    planned(horizon, name, 1500, priority=100)
    wanted = [(0, due[1]), (5, due[2]), (-1, due[0]), (5, due[0]), (0, due[0]), (9, due[2])]
    ids = {
        planned(horizon, name, 1, priority=priority, startTimestamp=moment): (priority, moment)
        for priority, moment in wanted
    }

    def all_ended() -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = horizon.get(f"/tasks/v1?eq(functionName,{name})&limit(50)").json()["data"]
        assert {task["status"] for task in tasks} <= ENDED
        return [task for task in tasks if task["id"] in ids]

    ended = sorted(eventually_sync(all_ended, within_s=20), key=lambda task: str(task["statusChangedTimestamp"]))
    order = [ids[task["id"]] for task in ended]
    assert order == sorted(wanted, key=lambda each: (-each[0], each[1]))


def test_one_direct_execution_too_many_is_refused_at_once(horizon: httpx.Client) -> None:
    path = f"/tasks/v1/functions/{sleeper(horizon)}/execute"

    def execute(ms: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        return horizon.post(path, content=json.dumps({"data": {"ms": ms}})), time.monotonic() - began

    execute(0)
    with ThreadPoolExecutor(MOST_DIRECT + 1) as callers:
        answers = sorted(callers.map(execute, [1500] * (MOST_DIRECT + 1)), key=lambda answer: answer[0].status_code)
    after, _ = execute(1)

    assert [answer.status_code for answer, _ in answers] == [200, 200, 400]
    refused, took_s = answers[-1]
    assert (refused.json()["code"], refused.json()["name"]) == (1403, "CONCURRENT_EXECUTION_LIMIT_EXCEPTION")
    assert took_s < 1
    assert after.json()["result"] == 1
