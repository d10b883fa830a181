"""The services as processes of their own, two invokers and two apis, RabbitMQ and PostgreSQL between them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from shared.crypto.master_keys import new_master_key
from tests.support.backends import Broker, DatabaseServer, open_directory
from tests.support.builders import Functions, functions_on
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, client_of, separate

MASTER_KEY = new_master_key()
ENVIRON = {"TIDEMILL_MASTER_KEY": MASTER_KEY, "TIDEMILL_LOG_LEVEL": "debug"}


@pytest.fixture(scope="module")
def apart(broker: Broker, database_server: DatabaseServer) -> Iterator[Platform]:
    database_url = database_server.create(migrated=False)
    try:
        with (
            open_directory() as directory,
            broker.virtual_host() as amqp_url,
            separate(directory, amqp_url, database_url, ENVIRON, invokers=2, apis=2) as running,
        ):
            yield running
    finally:
        database_server.drop(database_url)


@pytest.fixture
def made(apart: Platform) -> Iterator[Functions]:
    with apart.neo() as neo, apart.extra_horizon() as exh, functions_on(neo, exh) as functions:
        yield functions


def test_a_synchronous_call_crosses_the_broker_and_comes_back(made: Functions) -> None:
    name = made.create_neo("module.exports = ({ params }) => params")

    assert made.invoke(name, {"n": 1}).json()["data"]["result"] == {"n": 1}


def test_an_api_function_is_deployed_called_and_recorded(made: Functions) -> None:
    name = made.create_node(
        "exports.handler = async (e) => { console.log('seen'); return { statusCode: 200, body: e } }"
    )

    event = made.call(name, "/orders/7?full=1", "POST", json={"qty": 2}).json()

    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/orders/7", "?full=1", '{"qty":2}')
    [record] = eventually_sync(lambda: made.requests(name))
    assert record["path"] == "/orders/7?full=1"
    [line] = eventually_sync(lambda: made.request_logs(record["id"]))
    assert line.rstrip("\n").endswith("\tINFO\tseen")


def test_parallel_calls_each_get_their_own_answer(made: Functions) -> None:
    name = made.create_node("exports.handler = async (e) => ({ statusCode: 200, body: e.rawPath })")

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda n: made.call(name, f"/{n}"), range(200)))

    assert [answer.text for answer in answers] == [f"/{n}" for n in range(200)]


def test_all_processes_sign_with_one_key_and_each_api_tells_of_both_invokers(apart: Platform, made: Functions) -> None:
    name = made.create_neo("module.exports = ({ params }) => params.n")
    receipts = [_signed(made, name, accept(made, name, number)) for number in range(8)]

    for service in ("api", "api-1"):
        with client_of(apart.processes[service].address) as anybody:
            document = anybody.get("/v1/attestation").json()["data"]
            [known] = document["keys"]
            assert {known["keyId"]} == {document["keyId"], *(receipt["keyId"] for receipt in receipts)}
            assert sum(invoker["replicas"] for invoker in document["invokers"]) == 2
            for each in (document, *receipts):
                verdict = anybody.post("/v1/attestation/verify", json={"document": each}).json()["data"]
                assert verdict == {"valid": True, "reason": None, "simulated": True}


def _signed(made: Functions, name: str, execution_id: str) -> dict[str, Any]:
    return eventually_sync(lambda: made.execution(name, execution_id)["receipt"], within_s=15)


def test_tasks_and_direct_executions_run_once_each_whichever_api_takes_them(apart: Platform, made: Functions) -> None:
    name = made.create_node("exports.handler = async ({ id, data }) => { console.log(id); return data }")
    ids = []
    for number in range(20):
        token = {"Authorization": made.exh.headers["Authorization"]}
        with client_of(apart.processes["api" if number % 2 else "api-1"].address, token) as exh:
            ids.append(exh.post("/tasks/v1/", json={"functionName": name, "data": {"n": number}}).json()["id"])
            executed = exh.post(f"/tasks/v1/functions/{name}/execute", json={"data": {"n": number}}).json()
        assert (executed["status"], executed["result"]) == ("complete", {"n": number})
        ids.append(executed["id"])

    def complete() -> list[str]:
        query = f"eq(functionName,{name})&eq(status,complete)&select(id)&limit(50)"
        found = [task["id"] for task in made.exh.get(f"/tasks/v1?{query}").json()["data"]]
        assert sorted(found) == sorted(ids)
        return found

    eventually_sync(complete, within_s=15)
    for task_id in ids:
        [line] = eventually_sync(partial(_lines, made, task_id))
        assert line.endswith(f"\tINFO\t{task_id}\n")


def _lines(made: Functions, task_id: str) -> list[str]:
    answer = made.exh.get(f"/tasks/v1/{task_id}/logs").json()
    return [line["message"] for line in answer.get("data", [])]


def test_accepted_executions_all_complete(made: Functions) -> None:
    name = made.create_neo("module.exports = ({ params }) => params.n * 2")

    with ThreadPoolExecutor(16) as threads:
        accepted = list(threads.map(lambda n: accept(made, name, n), range(100)))

    eventually_sync(lambda: total(made, name) == 100, within_s=30)
    for number, execution_id in enumerate(accepted[:10]):
        record = made.execution(name, execution_id)
        assert (record["status"], record["result"]) == ("completed", number * 2)


def test_every_invoker_runs_the_new_code_after_an_update(made: Functions) -> None:
    name = made.create_neo(version("one"))
    with ThreadPoolExecutor(16) as threads:
        before = set(threads.map(lambda _: result(made, name), range(60)))
        assert made.neo.put(f"/v1/functions/{name}", json={"code": version("two")}).status_code == 200
        after = set(threads.map(lambda _: result(made, name), range(60)))

    assert (before, after) == ({"one"}, {"two"})


def test_a_deleted_function_is_gone_for_every_replica(made: Functions) -> None:
    name = made.create_neo(version("one"))
    assert result(made, name) == "one"

    assert made.neo.delete(f"/v1/functions/{name}").status_code == 200

    assert [made.invoke(name).status_code for _ in range(10)] == [404] * 10


def test_a_change_of_a_secret_counts_from_the_next_run_on_in_every_invoker(made: Functions) -> None:
    name = made.create_neo("module.exports = ({ secrets }) => secrets.key ?? null", secrets=["key"])

    def seen() -> set[str]:
        return set(threads.map(lambda _: result(made, name), range(40)))

    with ThreadPoolExecutor(16) as threads:
        assert seen() == {None}
        assert made.neo.post("/v1/secrets", json={"name": "key", "value": "the first value"}).status_code == 201
        assert seen() == {"the first value"}
        assert made.neo.put("/v1/secrets/key", json={"value": "the second value"}).status_code == 200
        assert seen() == {"the second value"}
        assert made.neo.put(f"/v1/functions/{name}/secrets", json={"secrets": []}).status_code == 200
        assert seen() == {None}
    assert made.neo.delete("/v1/secrets/key").status_code == 200


def test_a_revoked_key_is_refused_by_the_other_api_too(apart: Platform, made: Functions) -> None:
    key = made.neo.post("/v1/api-keys", json={"name": "short-lived"}).json()["data"]
    with client_of(apart.processes["api-1"].address, {"X-API-Key": key["key"]}) as other:
        assert other.get("/v1/functions").status_code == 200

        assert made.neo.delete(f"/v1/api-keys/{key['id']}").status_code == 200

        eventually_sync(lambda: other.get("/v1/functions").status_code == 401, within_s=5)


def test_no_service_tells_its_master_key_or_a_secret_in_its_log(apart: Platform, made: Functions) -> None:
    value = "the value nobody else sees"
    assert made.neo.post("/v1/secrets", json={"name": "confided", "value": value}).status_code == 201
    name = made.create_neo("module.exports = ({ secrets, log }) => log.info(secrets.confided)", secrets=["confided"])
    assert made.invoke(name).status_code == 200
    assert made.neo.delete("/v1/secrets/confided").status_code == 200

    for process in apart.processes.values():
        assert MASTER_KEY not in process.log_text(), process.name
        assert value not in process.log_text(), process.name


def test_every_service_answers_health_ready_and_metrics(apart: Platform) -> None:
    for process in apart.processes.values():
        with client_of(process.address) as client:
            for path in ("/health", "/ready", "/metrics"):
                assert client.get(path, timeout=5).status_code == 200, (process.name, path)
            assert "tidemill_" in client.get("/metrics", timeout=5).text


def test_a_request_is_not_answered_later_than_its_time_limit(made: Functions) -> None:
    name = made.create_neo("module.exports = () => { while (true); }", timeout=1)
    began = time.monotonic()

    answer = made.invoke(name)

    assert answer.json()["error"]["details"]["name"] == "TimeoutError"
    assert time.monotonic() - began < 4


def version(text: str) -> str:
    """Return the source of a function that takes long enough to keep both invokers busy."""
    return f"module.exports = async () => {{ await new Promise(r => setTimeout(r, 15)); return '{text}' }}"


def result(functions: Functions, name: str) -> Any:
    answer = functions.invoke(name)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def accept(functions: Functions, name: str, number: int) -> str:
    answer = functions.invoke(name, {"n": number}, **{"async": True})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["execution"]["id"])


def total(functions: Functions, name: str) -> int:
    return int(functions.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]["total"])
