"""The logger gone for a while costs nobody an answer and loses no record."""

from typing import Any

from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync

CALLS = 30


def test_records_and_lines_written_while_the_logger_was_dead_appear_when_it_is_back(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        neo = functions.create_neo(
            "module.exports = ({ params, log }) => { log.info('n ' + params.n); return params.n }"
        )
        api = functions.create_node(
            "exports.handler = async (e) => { console.log(e.rawPath); return { statusCode: 200, body: 'ok' } }"
        )
        one_invoker.kill("logger")

        ids = [functions.invoke(neo, {"n": n}).json()["data"]["execution"]["id"] for n in range(CALLS)]
        assert [functions.call(api, f"/{n}").text for n in range(CALLS)] == ["ok"] * CALLS
        assert functions.requests(api) == []

        one_invoker.start("logger")
        eventually_sync(lambda: all_recorded(functions, neo, api, ids), within_s=30)


def all_recorded(functions: Functions, neo: str, api: str, ids: list[str]) -> bool:
    for number, execution_id in enumerate(ids):
        record = functions.execution(neo, execution_id)
        assert (record["status"], record["result"]) == ("completed", number)
        assert [line["message"] for line in record["logs"]] == [f"n {number}"]
    requests = functions.requests(api)
    assert {each["path"] for each in requests} == {f"/{n}" for n in range(CALLS)}
    assert all(line_of(functions, each) == each["path"] for each in requests)
    return True


def line_of(functions: Functions, request: dict[str, Any]) -> str:
    [line] = functions.request_logs(request["id"])
    return line.rstrip("\n").rpartition("\t")[2]
