"""Calling a function directly (contracts/gateways.md section 3.7; check 51)."""

import orjson
import pytest

from shared.domain.errors import ThrottledError
from shared.domain.outcome import LogLine, Outcome, Raised, Returned, TimedOut
from tests.integration.gateways_functions.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_payload_goes_in_and_the_result_comes_out_with_the_log(shop: Shop) -> None:
    number = (await shop.create())["id"]
    shop.api.script.lines = [LogLine(timestamp_ms=1, level="info", message="INFO\thello", text="hello")]

    answer = await shop.send("POST", f"functions/{number}/invoke", {"payload": {"a": [1, None, "ü"]}})

    assert answer["message"] == "Function invoked successfully"
    told = answer["data"]
    assert isinstance(told.pop("durationMs"), int)
    assert told == {
        "statusCode": 200,
        "hasError": False,
        "functionError": None,
        "payload": {"a": [1, None, "ü"]},
        "logs": "INFO\thello\n",
    }
    activity = (await shop.owner.get("/api/activities?action=invoke"))["data"][0]
    assert (activity["resourceId"], activity["metadata"]) == (number, {"statusCode": 200, "hasError": False})


async def test_without_a_payload_the_event_is_an_empty_object(shop: Shop) -> None:
    number = (await shop.create())["id"]

    for body in (None, {}, {"other": 1}):
        assert (await shop.send("POST", f"functions/{number}/invoke", body))["data"]["payload"] == {}
    assert (await shop.send("POST", f"functions/{number}/invoke", {"payload": None}))["data"]["payload"] is None
    assert orjson.loads(shop.api.script.calls[-1].payload) is None


async def test_what_the_function_did_wrong_is_told_with_200(shop: Shop) -> None:
    number = (await shop.create())["id"]

    async def throw(_event: bytes) -> Outcome:
        return Raised(name="TypeError", message="x is not a function", stack="at f\nat g")

    async def loop(_event: bytes) -> Outcome:
        return TimedOut(limit_s=3)

    shop.api.script.run = throw
    thrown = (await shop.send("POST", f"functions/{number}/invoke"))["data"]
    assert (thrown["hasError"], thrown["functionError"]) == (True, "Unhandled")
    assert thrown["payload"] == {
        "errorType": "TypeError",
        "errorMessage": "x is not a function",
        "stackTrace": ["at f", "at g"],
    }
    shop.api.script.run = loop
    late = (await shop.send("POST", f"functions/{number}/invoke"))["data"]
    assert late["payload"]["errorMessage"] == "Task timed out after 3.00 seconds"
    assert (await shop.owner.get("/api/activities?action=invoke"))["data"][0]["metadata"]["hasError"] is True


async def test_what_is_no_json_object_and_what_is_too_large_is_refused(shop: Shop) -> None:
    number = (await shop.create())["id"]
    path = f"{shop.place}/functions/{number}/invoke"

    assert (await shop.owner.http.post(path, content=b"{")).status_code == 400
    assert (await shop.owner.http.post(path, content=b"[1]")).status_code == 400
    assert (await shop.owner.http.post(path, json={"payload": "x" * (7 << 20)})).status_code == 413
    assert shop.api.script.calls == []


async def test_what_could_not_be_run_is_an_error(shop: Shop) -> None:
    number = (await shop.create())["id"]
    shop.api.script.error = ThrottledError("too many runs of this function at once", limit=10)

    await shop.send("POST", f"functions/{number}/invoke", status=429)


async def test_a_result_of_nothing_is_null(shop: Shop) -> None:
    number = (await shop.create())["id"]

    async def nothing(_event: bytes) -> Outcome:
        return Returned(result=b"null", defined=False)

    shop.api.script.run = nothing
    assert (await shop.send("POST", f"functions/{number}/invoke"))["data"]["payload"] is None
