"""An invoker that crashes or leaves under load: what was accepted settles exactly once, and the ledger balances."""

import threading
from functools import partial
from typing import Any

from tests.faults.platform.conftest import Told, functions_of, load_on
from tests.support.apps_cluster import Cluster
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

WORKS = "module.exports = async () => { await new Promise(r => setTimeout(r, 100)); return 'done' }"
LONG = "module.exports = async () => { await new Promise(r => setTimeout(r, 4000)); return 'done' }"
SETTLE_S = 60
"""Long enough for a lost invoker to be noticed and its executions to be settled or run by another."""


def test_every_accepted_execution_settles_exactly_once_when_an_invoker_is_killed(two_invokers: Cluster) -> None:
    with functions_of(two_invokers) as functions:
        name = functions.create_neo(WORKS)
        with load_on(functions, name, synchronous=0, asynchronous=6) as told:
            eventually_sync(lambda: len(told.accepted) > 60, within_s=30)
            two_invokers.kill("invoker-0")
            killed_at = len(told.accepted)
            eventually_sync(lambda: len(told.accepted) > killed_at + 60, within_s=30)

        records = eventually_sync(lambda: all_settled(functions, name, told), within_s=SETTLE_S)
        failures = [functions.execution(name, each["id"]) for each in records if each["status"] == "failed"]
        stats = functions.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]

    assert told.broken == []
    assert set(told.answered) == {202}
    assert {each["error"]["name"] for each in failures} <= {"InterruptedError"}
    assert len(failures) <= 32, "no more can be cut off than one invoker holds"
    assert (stats["total"], stats["failed"]) == (len(told.accepted), len(failures))
    assert_balanced(two_invokers, len(told.accepted))


def test_a_run_that_was_cut_off_is_settled_as_interrupted_and_never_started_again(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo(LONG)
        execution_id = functions.invoke(name, **{"async": True}).json()["data"]["execution"]["id"]
        eventually_sync(lambda: running(one_invoker))

        one_invoker.kill("invoker-0")
        one_invoker.start("invoker-0")

        record = eventually_sync(lambda: settled(functions, name, execution_id), within_s=SETTLE_S)
    assert (record["status"], record["error"]["name"]) == ("failed", "InterruptedError")
    assert_balanced(one_invoker, 1)


def test_executions_accepted_while_no_invoker_is_there_wait_for_one(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo(WORKS)
        one_invoker.kill("invoker-0")
        answers = [functions.invoke(name, **{"async": True}) for _ in range(20)]
        assert [answer.status_code for answer in answers] == [202] * 20

        one_invoker.start("invoker-0")

        told = Told(accepted=[answer.json()["data"]["execution"]["id"] for answer in answers])
        records = eventually_sync(lambda: all_settled(functions, name, told), within_s=SETTLE_S)
    assert {each["status"] for each in records} == {"completed"}
    assert_balanced(one_invoker, 20)


def test_a_synchronous_call_without_an_invoker_is_refused_at_once(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo(WORKS)
        api = functions.create_node("exports.handler = async () => ({ statusCode: 204 })")
        one_invoker.kill("invoker-0")

        refused = eventually_sync(lambda: refusal(functions, name), within_s=10)
        called = functions.call(api)

    assert refused == (503, "service_unavailable")
    assert called.status_code in {400, 503}
    assert called.json()["code"] in {4, 1405}


def test_a_rolling_restart_fails_no_accepted_execution_and_no_call_in_another_form(two_invokers: Cluster) -> None:
    with functions_of(two_invokers) as functions:
        name = functions.create_neo(WORKS)
        with load_on(functions, name, synchronous=4, asynchronous=2) as told:
            for invoker in ("invoker-0", "invoker-1"):
                before = told.answered[200]
                eventually_sync(partial(answered_more, told, before + 20), within_s=30)
                two_invokers.stop(invoker)
                two_invokers.start(invoker)

        records = eventually_sync(lambda: all_settled(functions, name, told), within_s=SETTLE_S)

    assert told.broken == []
    assert {each["status"] for each in records} == {"completed"}
    assert {(each.status_code, each.json()["error"]["code"]) for each in told.refusals} <= {
        (503, "service_unavailable"),
        (429, "rate_limit_exceeded"),
    }
    assert len(told.refusals) <= told.answered[200] / 10


def answered_more(told: Told, than: int) -> bool:
    return told.answered[200] > than


def settled(functions: Functions, name: str, execution_id: str) -> dict[str, Any]:
    record = functions.execution(name, execution_id)
    assert record["status"] != "running"
    return record


def all_settled(functions: Functions, name: str, told: Told) -> list[dict[str, Any]]:
    """Return the records of all accepted executions, once none of them is running."""
    records: dict[str, dict[str, Any]] = {}
    offset, more = 0, True
    while more:
        page = functions.neo.get(f"/v1/functions/{name}/executions?limit=100&offset={offset}").json()
        records |= {each["id"]: each for each in page["data"]}
        offset, more = offset + 100, page["pagination"]["hasMore"]
    # Pages are read one after the other while records are still being written: what one read missed the next has.
    assert set(told.accepted) <= set(records)
    accepted = [records[execution_id] for execution_id in told.accepted]
    assert {each["status"] for each in accepted} <= {"completed", "failed"}
    return accepted


def running(cluster: Cluster) -> bool:
    return any(row.running for row in cluster.ledger())


def refusal(functions: Functions, name: str) -> tuple[int, str]:
    """Return how a call is refused; one that was already on its way to the dead invoker may take its time."""
    answers: list[tuple[int, str]] = []
    caller = threading.Thread(target=lambda: answers.append(told_by(functions, name)))
    caller.start()
    caller.join(2)
    assert answers, "the caller was left hanging"
    return answers[0]


def told_by(functions: Functions, name: str) -> tuple[int, str]:
    answer = functions.invoke(name)
    return answer.status_code, answer.json()["error"]["code"]


def assert_balanced(cluster: Cluster, accepted: int) -> None:
    rows = cluster.ledger()
    assert [row.drift for row in rows] == [0] * len(rows)
    assert sum(row.accepted for row in rows) == accepted
