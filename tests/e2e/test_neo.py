"""A function through the Neo dialect: stored, changed, called now and later, looked at, deleted."""

import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.builders import Functions, neo_function, unique
from tests.support.eventually import eventually_sync

ECHO = "module.exports = async ({ params }) => params"


def test_a_function_lives_from_create_to_delete(neo: httpx.Client) -> None:
    name = unique("life")

    created = neo.post("/v1/functions", json=neo_function(name, ECHO, tags=["demo"], timeout=5))

    assert created.status_code == 201, created.text
    function = created.json()["data"]
    assert re.fullmatch(r"func_[a-z0-9]{10}", function["id"])
    assert {
        "name": name,
        "runtime": "node18",
        "timeout": 5,
        "status": "active",
        "tags": ["demo"],
        "environment": {},
        "secrets": [],
        "code": ECHO,
    }.items() <= function.items()
    invoked = neo.post(f"/v1/functions/{function['id']}/invoke", json={"params": {"n": 1}})
    assert (invoked.status_code, invoked.json()["data"]["result"]) == (200, {"n": 1})
    listed = neo.get("/v1/functions?tag=demo&limit=100").json()["data"]
    assert name in [item["name"] for item in listed]
    deleted = neo.delete(f"/v1/functions/{function['id']}")
    assert deleted.json() == {"success": True, "data": {"id": function["id"], "deleted": True}}
    assert neo.get(f"/v1/functions/{function['id']}").status_code == 404
    assert neo.delete(f"/v1/functions/{function['id']}").status_code == 404


def test_a_function_answers_to_its_name_and_to_its_id(neo: httpx.Client, functions: Functions) -> None:
    name = functions.create_neo(ECHO)
    function_id = neo.get(f"/v1/functions/{name}").json()["data"]["id"]

    answers = [functions.invoke(handle, {"by": handle}).json()["data"]["result"] for handle in (name, function_id)]

    assert answers == [{"by": name}, {"by": function_id}]


@pytest.mark.parametrize(
    ("returned", "result"),
    [("0", 0), ("''", ""), ("false", False), ("null", None), ("undefined", None), ("NaN", None), ("[]", [])],
)
def test_results_that_look_like_nothing_come_back_exactly(functions: Functions, returned: str, result: Any) -> None:
    name = functions.create_neo(f"module.exports = () => ({returned})")

    answer = functions.invoke(name)

    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["result"] == result
    assert type(answer.json()["data"]["result"]) is type(result)


def test_an_error_of_the_function_names_the_line_of_its_author(functions: Functions) -> None:
    name = functions.create_neo("module.exports = async (context) => {\n  const a = undefined\n\n  return a.x\n}")

    answer = functions.invoke(name)

    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "execution_error"
    assert error["details"]["name"] == "TypeError"
    assert "/function/index.js:4" in error["details"]["stack"]
    record = eventually_sync(lambda: functions.execution(name, error["details"]["executionId"]))
    assert record["status"] == "failed"
    assert record["error"]["name"] == "TypeError"


def test_nothing_of_one_run_is_left_for_the_next(functions: Functions) -> None:
    name = functions.create_neo(
        "let calls = 0\n"
        "module.exports = () => { calls += 1; Object.prototype.seen = 1; JSON.stringify = () => 'mine'; return calls }"
    )

    assert [functions.invoke(name).json()["data"]["result"] for _ in range(3)] == [1, 1, 1]
    assert functions.invoke(name).json()["data"]["result"] == 1


def test_an_update_is_what_runs_next_and_a_refused_one_changes_nothing(neo: httpx.Client, functions: Functions) -> None:
    name = functions.create_neo("module.exports = () => 'old'")
    assert functions.invoke(name).json()["data"]["result"] == "old"

    assert neo.put(f"/v1/functions/{name}", json={"code": "module.exports = () => 'new'"}).status_code == 200
    assert functions.invoke(name).json()["data"]["result"] == "new"

    refused = neo.put(f"/v1/functions/{name}", json={"code": "module.exports = () => {", "description": "never"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_function_code")
    assert functions.invoke(name).json()["data"]["result"] == "new"
    assert neo.get(f"/v1/functions/{name}").json()["data"]["description"] == ""


def test_an_asynchronous_run_is_accepted_at_once_and_completed_later(functions: Functions) -> None:
    name = functions.create_neo(
        "module.exports = async ({ params, log }) => {"
        " log.info('working'); await new Promise(r => setTimeout(r, 200)); return params }"
    )

    accepted = functions.invoke(name, {"n": 7}, **{"async": True})

    assert accepted.status_code == 202, accepted.text
    execution = accepted.json()["data"]["execution"]
    assert execution["status"] == "running"
    assert "result" not in accepted.json()["data"]
    record = eventually_sync(lambda: settled(functions, name, execution["id"]), within_s=10)
    assert (record["status"], record["result"], record["params"]) == ("completed", {"n": 7}, {"n": 7})
    logged = eventually_sync(lambda: functions.execution(name, execution["id"])["logs"])
    assert [line["message"] for line in logged] == ["working"]


def test_an_asynchronous_run_that_throws_is_seen_as_failed(functions: Functions) -> None:
    name = functions.create_neo("module.exports = () => { throw new RangeError('too far') }")

    accepted = functions.invoke(name, **{"async": True})

    assert accepted.status_code == 202
    execution_id = accepted.json()["data"]["execution"]["id"]
    record = eventually_sync(lambda: settled(functions, name, execution_id), within_s=10)
    assert record["status"] == "failed"
    assert (record["error"]["name"], record["error"]["message"]) == ("RangeError", "too far")


def test_fifty_parallel_calls_each_get_their_own_answer(
    neo: httpx.Client, functions: Functions, threads: ThreadPoolExecutor
) -> None:
    name = functions.create_neo(
        "module.exports = async ({ params, execution }) => {"
        " await new Promise(r => setTimeout(r, 20)); return { n: params.n, id: execution.id } }"
    )

    answers = list(threads.map(lambda n: functions.invoke(name, {"n": n}), range(50)))

    assert [answer.status_code for answer in answers] == [200] * 50, [a.text for a in answers if a.status_code != 200]
    data = [answer.json()["data"] for answer in answers]
    assert [each["result"]["n"] for each in data] == list(range(50))
    assert len({each["execution"]["id"] for each in data}) == 50
    assert all(each["result"]["id"] == each["execution"]["id"] for each in data)
    stats = eventually_sync(lambda: counted(neo, name, 50))
    assert (stats["total"], stats["success"], stats["failed"]) == (50, 50, 0)


def test_one_idempotency_key_is_one_execution_under_concurrency(
    neo: httpx.Client, functions: Functions, threads: ThreadPoolExecutor
) -> None:
    name = functions.create_neo("module.exports = () => 'once'")
    headers = {"Idempotency-Key": "order-1"}

    def accept(key: dict[str, str]) -> str:
        answer = neo.post(f"/v1/functions/{name}/invoke", json={"async": True}, headers=key)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["data"]["execution"]["id"])

    ids = set(threads.map(lambda _: accept(headers), range(24)))
    other = accept({"Idempotency-Key": "order-2"})

    assert len(ids) == 1
    assert other not in ids
    eventually_sync(lambda: counted(neo, name, 2), within_s=10)
    listed = neo.get(f"/v1/functions/{name}/executions").json()
    assert sorted(item["id"] for item in listed["data"]) == sorted({*ids, other})
    assert listed["pagination"]["total"] == 2


def test_an_execution_can_be_read_within_250_ms_of_its_answer(functions: Functions) -> None:
    name = functions.create_neo(ECHO)

    delays = []
    for _ in range(7):
        execution_id = functions.invoke(name).json()["data"]["execution"]["id"]
        answered = time.perf_counter()
        eventually_sync(partial(functions.execution, name, execution_id))
        delays.append(time.perf_counter() - answered)

    assert statistics.median(delays) <= 0.25, delays


def test_lists_are_paged_newest_first(functions: Functions, neo: httpx.Client) -> None:
    name = functions.create_neo(ECHO)
    ids = [functions.invoke(name, {"n": n}).json()["data"]["execution"]["id"] for n in range(3)]
    eventually_sync(lambda: counted(neo, name, 3))

    first = neo.get(f"/v1/functions/{name}/executions?limit=2").json()
    second = neo.get(f"/v1/functions/{name}/executions?limit=2&offset=2").json()

    assert [item["id"] for item in first["data"] + second["data"]] == ids[::-1]
    assert first["pagination"] == {"total": 3, "limit": 2, "offset": 0, "hasMore": True}
    assert second["pagination"] == {"total": 3, "limit": 2, "offset": 2, "hasMore": False}


def settled(functions: Functions, name: str, execution_id: str) -> dict[str, Any]:
    record = functions.execution(name, execution_id)
    assert record["status"] != "running"
    return record


def counted(neo: httpx.Client, name: str, total: int) -> dict[str, int]:
    invocations: dict[str, int] = neo.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]
    assert invocations["total"] >= total
    return invocations
