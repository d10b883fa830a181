"""What is there after the platform was killed and started again (contracts/neo.md 5; check 32)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.support.backends import open_directory
from tests.support.builders import neo_function
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, all_in_one

CODE = """module.exports = async ({ params, secrets, log }) => {
  log.info('run', params.n)
  if (params.bad) throw new RangeError('too far')
  if (params.ms) await new Promise(resolve => setTimeout(resolve, params.ms))
  return secrets.word === 'confidential'
}"""
FUNCTION = neo_function("kept", CODE, secrets=["word"], environment={"A": "1"}, tags=["t"], timeout=300)


def data_of(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["data"]


def stats_of(neo: httpx.Client) -> dict[str, int]:
    invocations: dict[str, int] = data_of(neo.get("/v1/functions/kept"))["stats"]["invocations"]
    return invocations


def first_life(platform: Platform) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Make and run a function, leave one run going; return the function, what had ended, and the run that had not."""
    with platform.neo() as neo:
        data_of(neo.post("/v1/secrets", json={"name": "word", "value": "confidential"}))
        data_of(neo.post("/v1/functions", json=FUNCTION))
        for n, bad in enumerate((False, True, False)):
            neo.post("/v1/functions/kept/invoke", json={"params": {"n": n, "bad": bad}})
        eventually_sync(lambda: stats_of(neo)["total"] == 3)
        accepted = neo.post("/v1/functions/kept/invoke", json={"params": {"n": 3, "ms": 200_000}, "async": True})
        running = data_of(accepted)["execution"]["id"]
        path = f"/v1/functions/kept/executions/{running}"
        assert data_of(neo.get(path))["status"] == "running"
        # One that waits reads "running" too, and would be run in the second life.
        eventually_sync(lambda: "\ntidemill_invocations_in_flight 1.0\n" in neo.get("/metrics").text)
        function = data_of(neo.get("/v1/functions/kept?include_code=true"))
        ended = data_of(neo.get("/v1/functions/kept/executions"))[1:]
        return function, [details(neo, each["id"]) for each in ended], running


def details(neo: httpx.Client, execution_id: str) -> dict[str, Any]:
    def complete() -> dict[str, Any]:
        record: dict[str, Any] = data_of(neo.get(f"/v1/functions/kept/executions/{execution_id}"))
        assert record["logs"]
        assert record["receipt"]
        return record

    return eventually_sync(complete)


def check_second_life(neo: httpx.Client, function: dict[str, Any], ended: list[dict[str, Any]], cut_off: str) -> None:
    def settled() -> dict[str, Any]:
        record: dict[str, Any] = data_of(neo.get(f"/v1/functions/kept/executions/{cut_off}"))
        assert record["status"] == "failed"
        return record

    record = eventually_sync(settled, within_s=20)
    assert (record["error"]["name"], record["hasError"]) == ("InterruptedError", True)
    now = data_of(neo.get("/v1/functions/kept?include_code=true"))
    assert {**now, "stats": None} == {**function, "stats": None}
    assert {key: stats_of(neo)[key] for key in ("total", "success", "failed")} == {
        "total": 4,
        "success": 2,
        "failed": 2,
    }
    assert [details(neo, each["id"]) for each in ended] == ended
    [secret] = data_of(neo.get("/v1/secrets"))
    assert secret["name"] == "word"
    assert data_of(neo.post("/v1/functions/kept/invoke", json={"params": {"n": 4}}))["result"] is True


def lived(directory: Path, live: Callable[[Platform], Any], *, killed: bool) -> Any:
    with all_in_one(directory, {"TIDEMILL_STEM_CELLS_PYTHON": "0"}) as platform:
        seen = live(platform)
        if killed:
            platform.processes["tidemill"].kill()
        return seen


def test_functions_history_stats_and_secrets_outlive_a_kill_and_a_run_cut_off_is_failed() -> None:
    with open_directory() as directory:
        function, ended, cut_off = lived(directory, first_life, killed=True)

        def second_life(platform: Platform) -> None:
            with platform.neo() as neo:
                check_second_life(neo, function, ended, cut_off)

        lived(directory, second_life, killed=False)
