"""The broker restarts, the database stalls: what is promised stays promised, and all is well again by itself."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster, cluster
from tests.support.apps_outage import RestartingBroker, StallingDatabase, restarting_broker, stalling_database
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync
from tests.support.platform import client_of

WORKS = "module.exports = async ({ params }) => { await new Promise(r => setTimeout(r, 50)); return params.n }"
STALL_S = 6.0
"""Shorter than what makes an invoker count as gone."""


@pytest.fixture
def fragile_broker(directory: Path, request: pytest.FixtureRequest) -> Iterator[RestartingBroker]:
    with restarting_broker(directory, request) as running:
        yield running


@pytest.fixture
def fragile_database(database_url: str) -> Iterator[StallingDatabase]:
    with stalling_database(database_url) as way:
        yield way


@pytest.fixture
def on_fragile_broker(directory: Path, fragile_broker: RestartingBroker, database_url: str) -> Iterator[Cluster]:
    with cluster(directory, fragile_broker.url, database_url) as running:
        yield running


@pytest.fixture
def on_fragile_database(directory: Path, amqp_url: str, fragile_database: StallingDatabase) -> Iterator[Cluster]:
    with cluster(directory, amqp_url, fragile_database.url) as running:
        yield running


@pytest.mark.timeout(240)
def test_a_broker_restart_loses_nothing_accepted_and_everything_works_afterwards(
    on_fragile_broker: Cluster, fragile_broker: RestartingBroker
) -> None:
    with functions_of(on_fragile_broker) as functions:
        name = functions.create_neo(WORKS)
        before = [accept(functions, name, n) for n in range(20)]

        fragile_broker.take_away()
        during = [accept(functions, name, n) for n in range(20, 40)]
        began = time.monotonic()
        refused = functions.invoke(name, {"n": 0})
        refused_after_s = time.monotonic() - began
        eventually_sync(lambda: not_ready(on_fragile_broker, "api"), within_s=20)
        eventually_sync(lambda: relay_has_failed(on_fragile_broker), within_s=20)
        fragile_broker.give_back()

        eventually_sync(lambda: all_ready(on_fragile_broker), within_s=60)
        eventually_sync(lambda: answers_again(functions, name), within_s=20)
        eventually_sync(lambda: all_completed(functions, name, before + during), within_s=60)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
    assert refused_after_s < 40
    assert [row.drift for row in on_fragile_broker.ledger()] == [0]


def test_a_stalled_database_delays_only_what_needs_it(
    on_fragile_database: Cluster, fragile_database: StallingDatabase
) -> None:
    with functions_of(on_fragile_database) as functions, ThreadPoolExecutor(4) as callers:
        name = functions.create_neo(WORKS)
        assert functions.invoke(name, {"n": 1}).json()["data"]["result"] == 1
        accepted = [accept(functions, name, n) for n in range(10)]

        fragile_database.stall()
        try:
            stalled_until = time.monotonic() + STALL_S
            later = [callers.submit(functions.invoke, name, {"n": n}, **{"async": True}) for n in range(4)]
            answers = []
            while time.monotonic() < stalled_until:
                began = time.monotonic()
                answers.append((functions.invoke(name, {"n": 2}).status_code, time.monotonic() - began < 2))
        finally:
            fragile_database.heal()

        assert set(answers) == {(200, True)}
        told = [each.result(60) for each in later]
        assert {each.status_code for each in told} <= {202, 503}
        accepted += [ids(each) for each in told if each.status_code == httpx.codes.ACCEPTED]
        eventually_sync(lambda: all_completed(functions, name, accepted), within_s=60)
        eventually_sync(lambda: counted(functions, name) >= len(answers) + len(accepted) + 1, within_s=30)
        eventually_sync(lambda: all_ready(on_fragile_database), within_s=30)

    assert [row.drift for row in on_fragile_database.ledger()] == [0]


def accept(functions: Functions, name: str, number: int) -> str:
    answer = functions.invoke(name, {"n": number}, **{"async": True})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return ids(answer)


def answers_again(functions: Functions, name: str) -> bool:
    answer = functions.invoke(name, {"n": 7})
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["data"]["result"] == 7
    return True


def relay_has_failed(cluster: Cluster) -> bool:
    """Tell whether the invoker has tried in vain to send what was accepted: that must not count as sent."""
    return '"chore":"Keeper.relay"' in cluster.platform.processes["invoker-0"].log_text()


def ids(answer: httpx.Response) -> str:
    return str(answer.json()["data"]["execution"]["id"])


def all_completed(functions: Functions, name: str, accepted: list[str]) -> bool:
    records: list[dict[str, Any]] = [functions.execution(name, each) for each in accepted]
    assert {each["status"] for each in records} == {"completed"}
    return True


def counted(functions: Functions, name: str) -> int:
    return int(functions.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]["total"])


def ready(cluster: Cluster, name: str) -> int:
    with client_of(cluster.platform.processes[name].address) as client:
        return client.get("/ready", timeout=10).status_code


def not_ready(cluster: Cluster, name: str) -> bool:
    return ready(cluster, name) == httpx.codes.SERVICE_UNAVAILABLE


def all_ready(cluster: Cluster) -> bool:
    return all(ready(cluster, name) == httpx.codes.OK for name in cluster.platform.processes)
