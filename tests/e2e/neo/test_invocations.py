"""Runs and their records (contracts/neo.md 3.6 to 3.8, 5; checks 11, 20, 21, 25)."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.neo.conftest import Account
from tests.support.eventually import eventually_sync

ECHO = "module.exports = async ({ params, execution, log }) => { log.info('ran'); return { params, id: execution.id } }"
WAIT = "module.exports = async ({ params }) => { await new Promise(r => setTimeout(r, params.ms)); return 1 }"
THROWS = "module.exports = ({ params }) => { if (params.bad) throw new RangeError('too far'); return 1 }"
EXECUTION_ID = re.compile(r"exec_[0-9a-f]{24}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ITEM = {"id", "status", "startedAt", "completedAt", "duration", "params", "hasResult", "hasError"}


def executions(account: Account, name: str, query: str = "") -> dict[str, Any]:
    answer = account.neo.get(f"/v1/functions/{name}/executions?{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def counted(account: Account, name: str, total: int) -> dict[str, Any]:
    """Return a function's stats once so many runs are in them."""

    def there() -> dict[str, Any]:
        stats: dict[str, Any] = account.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]
        assert stats["invocations"]["total"] == total
        return stats

    return eventually_sync(there, within_s=10)


def settled(account: Account, name: str, execution_id: str) -> dict[str, Any]:
    def there() -> dict[str, Any]:
        record = account.functions.execution(name, execution_id)
        assert record["status"] != "running"
        return record

    return eventually_sync(there, within_s=10)


def test_a_synchronous_run_answers_with_its_execution_and_result(account: Account) -> None:
    name = account.functions.create_neo(ECHO)

    answer = account.functions.invoke(name, {"text": "\u00fc", "deep": {"list": [1, None, 2.5]}})

    assert answer.status_code == 200
    assert set(answer.json()["data"]) == {"execution", "result"}
    execution = answer.json()["data"]["execution"]
    assert set(execution) == {"id", "status", "startedAt", "completedAt", "duration"}
    assert EXECUTION_ID.fullmatch(execution["id"])
    assert execution["status"] == "completed"
    assert TIME.fullmatch(execution["startedAt"])
    assert execution["startedAt"] <= execution["completedAt"]
    assert isinstance(execution["duration"], int)
    assert answer.headers["X-Execution-Id"] == execution["id"]
    assert answer.json()["data"]["result"] == {
        "params": {"text": "\u00fc", "deep": {"list": [1, None, 2.5]}},
        "id": execution["id"],
    }


@pytest.mark.parametrize("body", [b"", b"{}", b'{"params": null}', b'{"params": {}, "async": false, "other": 1}'])
def test_params_that_are_left_out_are_an_empty_object(account: Account, body: bytes) -> None:
    name = account.functions.create_neo(ECHO)

    answer = account.neo.post(f"/v1/functions/{name}/invoke", content=body)

    assert (answer.status_code, answer.json()["data"]["result"]["params"]) == (200, {})


@pytest.mark.parametrize("params", [[], "x", 3, True])
def test_params_that_are_no_object_are_refused(account: Account, params: Any) -> None:
    name = account.functions.create_neo(ECHO)

    answer = account.neo.post(f"/v1/functions/{name}/invoke", json={"params": params})

    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "params")
    assert executions(account, name)["pagination"]["total"] == 0


def test_an_asynchronous_run_is_seen_running_and_then_what_became_of_it(account: Account) -> None:
    name = account.functions.create_neo(WAIT)

    accepted = account.functions.invoke(name, {"ms": 800}, **{"async": True})

    assert accepted.status_code == 202
    execution = accepted.json()["data"]["execution"]
    assert set(accepted.json()["data"]) == {"execution"}
    assert set(execution) == {"id", "status", "startedAt"}
    assert execution["status"] == "running"
    [listed] = executions(account, name, "status=running")["data"]
    assert set(listed) == ITEM
    assert (listed["id"], listed["completedAt"], listed["duration"]) == (execution["id"], None, None)
    assert (listed["hasResult"], listed["hasError"]) == (False, False)
    detail = account.functions.execution(name, execution["id"])
    assert detail["status"] == "running"
    assert not {"result", "error"} & detail.keys()
    done = settled(account, name, execution["id"])
    assert (done["status"], done["result"], done["hasResult"]) == ("completed", 1, True)
    assert 700 <= done["duration"] < 5000


def test_an_asynchronous_run_that_throws_is_failed_with_its_error(account: Account) -> None:
    name = account.functions.create_neo(THROWS)

    accepted = account.functions.invoke(name, {"bad": True}, **{"async": True})

    assert accepted.status_code == 202
    failed = settled(account, name, accepted.json()["data"]["execution"]["id"])
    assert failed["status"] == "failed"
    assert (failed["hasResult"], failed["hasError"], "result" in failed) == (False, True, False)
    assert (failed["error"]["name"], failed["error"]["message"]) == ("RangeError", "too far")
    assert "/function/index.js:1" in failed["error"]["stack"]


def test_executions_are_listed_newest_first_by_status_by_date_and_in_pages(account: Account) -> None:
    name = account.functions.create_neo(THROWS)
    ids = [
        account.functions.invoke(name, {"n": n, "bad": n == 1}).headers["X-Execution-Id"]
        for n in range(3)
    ]  # fmt: skip
    counted(account, name, 3)

    whole = executions(account, name)
    assert [item["id"] for item in whole["data"]] == ids[::-1]
    assert all(set(item) == ITEM for item in whole["data"])
    assert [item["params"]["n"] for item in whole["data"]] == [2, 1, 0]
    assert [item["hasError"] for item in whole["data"]] == [False, True, False]
    assert whole["pagination"] == {"total": 3, "limit": 10, "offset": 0, "hasMore": False}
    assert [item["id"] for item in executions(account, name, "status=failed")["data"]] == [ids[1]]
    assert executions(account, name, "status=completed")["pagination"]["total"] == 2
    second = executions(account, name, "limit=1&offset=1")
    assert [item["id"] for item in second["data"]] == [ids[1]]
    assert second["pagination"] == {"total": 3, "limit": 1, "offset": 1, "hasMore": True}
    oldest, newest = whole["data"][-1]["startedAt"], whole["data"][0]["startedAt"]
    assert executions(account, name, f"start_date={oldest}&end_date={newest}")["pagination"]["total"] == 3
    assert executions(account, name, "start_date=2999-01-01")["data"] == []
    assert executions(account, name, "end_date=2000-01-01T00:00:00%2B02:00")["data"] == []
    assert executions(account, name, f"start_date={newest}&end_date={oldest[:4]}-01-01")["data"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "offset=x", "status=done", "start_date=yesterday", "end_date=2026-13-01"]
)
def test_a_bad_parameter_of_executions_is_refused_and_named(account: Account, query: str) -> None:
    name = account.functions.create_neo(ECHO)

    answer = account.neo.get(f"/v1/functions/{name}/executions?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert answer.json()["error"]["details"]["field"] == query.partition("=")[0]


def test_an_execution_shows_its_logs_and_its_result(account: Account) -> None:
    name = account.functions.create_neo(ECHO)
    answer = account.functions.invoke(name, {"n": 1})
    execution_id = answer.json()["data"]["execution"]["id"]

    def logged() -> dict[str, Any]:
        record = account.functions.execution(name, execution_id)
        assert record["logs"]
        return record

    record = eventually_sync(logged)
    assert set(record) == ITEM | {"functionId", "logs", "result", "receipt"}
    assert record["functionId"] == account.neo.get(f"/v1/functions/{name}").json()["data"]["id"]
    assert record["result"] == answer.json()["data"]["result"]
    [line] = record["logs"]
    assert (line["level"], line["message"]) == ("info", "ran")
    assert TIME.fullmatch(line["timestamp"])


def test_an_execution_of_another_function_or_none_is_not_found(account: Account) -> None:
    one, other = account.functions.create_neo(ECHO), account.functions.create_neo(ECHO)
    execution_id = account.functions.invoke(one).headers["X-Execution-Id"]
    eventually_sync(lambda: account.functions.execution(one, execution_id))

    def asked(name: str, execution: str) -> tuple[int, str]:
        answer = account.neo.get(f"/v1/functions/{name}/executions/{execution}")
        return answer.status_code, answer.json()["error"]["code"]

    assert asked(other, execution_id) == (404, "execution_not_found")
    assert asked(one, "exec_" + "0" * 24) == (404, "execution_not_found")
    assert asked(one, "nonsense") == (404, "execution_not_found")
    assert asked("nowhere", execution_id) == (404, "function_not_found")


def test_stats_count_three_good_runs_and_a_bad_one(account: Account) -> None:
    name = account.functions.create_neo(THROWS)
    before = account.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]
    runs = [account.functions.invoke(name, {"bad": bad}) for bad in (False, False, True, False)]
    assert [run.status_code for run in runs] == [200, 200, 500, 200]

    stats = counted(account, name, 4)

    assert before == {
        "invocations": {"total": 0, "success": 0, "failed": 0, "last24Hours": 0},
        "averageExecutionTime": 0,
        "lastInvocation": None,
    }
    assert stats["invocations"] == {"total": 4, "success": 3, "failed": 1, "last24Hours": 4}
    durations = [item["duration"] for item in executions(account, name)["data"]]
    assert isinstance(stats["averageExecutionTime"], int)
    assert abs(stats["averageExecutionTime"] - sum(durations) / 4) <= 1
    assert stats["lastInvocation"] == executions(account, name)["data"][0]["startedAt"]
    [item] = account.neo.get("/v1/functions").json()["data"]
    assert item["lastInvocation"] == stats["lastInvocation"]


def test_deleting_a_function_ends_what_it_runs(account: Account, threads: ThreadPoolExecutor) -> None:
    name = account.functions.create_neo(WAIT, timeout=60)
    assert account.functions.invoke(name, {"ms": 1}).status_code == 200
    waiting = threads.submit(account.functions.invoke, name, {"ms": 50_000})
    account.functions.invoke(name, {"ms": 50_000}, **{"async": True})
    eventually_sync(lambda: executions(account, name, "status=running")["pagination"]["total"] == 1)
    began = time.monotonic()

    assert account.neo.delete(f"/v1/functions/{name}").status_code == 200
    answer: httpx.Response = waiting.result(timeout=20)

    assert time.monotonic() - began < 10
    if answer.status_code == httpx.codes.NOT_FOUND:  # the deletion came before the call had a worker
        assert answer.json()["error"]["code"] == "function_not_found"
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "execution_error")
        assert answer.json()["error"]["details"]["name"] == "InterruptedError"
