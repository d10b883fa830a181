"""The Neo dialect over HTTP: functions are called now and later, runs are read (contracts/neo.md 3.6 to 3.8)."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from shared.database import executions
from shared.domain.errors import (
    DeadlineExceededError,
    PlatformError,
    StartFailedError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.outcome import Crashed, Outcome, OutOfMemory, Oversized, Raised, Returned, TimedOut
from tests.integration.api.harness import Running, decoded
from tests.integration.api.runs import recorded, returning
from tests.integration.api.test_functions import create, error_of
from tests.support.eventually import eventually

MEGABYTE = 1024 * 1024


async def test_a_run_answers_with_its_execution_and_its_result(api: Running) -> None:
    made = await create(api)

    answer = await api.http.post(f"/v1/functions/{made['id']}/invoke", json={"params": {"hello": "Neo"}})

    assert answer.status_code == 200
    data = answer.json()["data"]
    execution = data["execution"]
    assert set(execution) == {"id", "status", "startedAt", "completedAt", "duration"}
    assert re.fullmatch(r"exec_[0-9a-f]{24}", execution["id"])
    assert answer.headers["X-Execution-Id"] == execution["id"]
    assert execution["status"] == "completed"
    assert isinstance(execution["duration"], int)
    assert data["result"] == {"hello": "Neo"}
    record = await recorded(api, execution["id"])
    assert record == {
        "id": execution["id"],
        "functionId": made["id"],
        "status": "completed",
        "startedAt": execution["startedAt"],
        "completedAt": execution["completedAt"],
        "duration": execution["duration"],
        "params": {"hello": "Neo"},
        "hasResult": True,
        "hasError": False,
        "result": {"hello": "Neo"},
        "logs": [],
        "receipt": None,
    }


@pytest.mark.parametrize("body", [b"", b"{}", b'{"params":null}', b'{"params":{},"async":false,"unknown":[1]}'])
async def test_params_default_to_an_empty_object(api: Running, body: bytes) -> None:
    await create(api)

    answer = await api.http.post("/v1/functions/greet/invoke", content=body)

    assert answer.json()["data"]["result"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"params":[1]}', "params"), (b'{"params":"x"}', "params"), (b'{"params":0}', "params"),
        (b'{"async":"true"}', "async"), (b'{"async":null}', "async"), (b'{"async":1}', "async"),
        (b"[1]", None), (b"{", None), (b'{"params":{"a":"\xff"}}', None), (b"null", None),
    ],
)  # fmt: skip
async def test_a_bad_invocation_body_is_refused_and_runs_nothing(api: Running, body: bytes, field: str | None) -> None:
    await create(api)

    answer = await api.http.post("/v1/functions/greet/invoke", content=body)

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalid_request"
    assert error_of(answer).get("details", {}).get("field") == field
    assert api.script.calls == []


async def test_a_body_over_a_megabyte_is_refused(api: Running) -> None:
    await create(api)

    fits = await api.http.post("/v1/functions/greet/invoke", content=b'{"params":{}}'.ljust(MEGABYTE))
    announced = await api.http.post("/v1/functions/greet/invoke", content=b" " * (MEGABYTE + 1))

    async def chunks() -> Any:
        for _ in range(3):
            yield b" " * (MEGABYTE // 2)

    streamed = await api.http.post("/v1/functions/greet/invoke", content=chunks())

    assert fits.status_code == 200
    assert [(answer.status_code, error_of(answer)["code"]) for answer in (announced, streamed)] == [
        (413, "invalid_request")
    ] * 2


@pytest.mark.parametrize("result", [b"0", b'""', b"false", b"null", b"[]", b'{"a":[1.5,"\\u0000"]}', b"1e400"])
async def test_results_come_back_exactly_as_the_worker_wrote_them(api: Running, result: bytes) -> None:
    await create(api)
    api.script.run = returning(Returned(result=result))

    answer = await api.http.post("/v1/functions/greet/invoke")

    assert answer.content.endswith(b'"result":' + result + b"}}")


async def test_undefined_is_null_and_no_result(api: Running) -> None:
    await create(api)
    api.script.run = returning(Returned(result=b"null", defined=False))

    answer = await api.http.post("/v1/functions/greet/invoke")

    assert answer.json()["data"]["result"] is None
    record = await recorded(api, answer.headers["X-Execution-Id"])
    assert (record["hasResult"], record["hasError"], record["result"]) == (False, False, None)


@pytest.mark.parametrize(
    ("outcome", "name", "says"),
    [
        (Raised(name="TypeError", message="boom", stack="TypeError: boom\n at x"), "TypeError", "boom"),
        (Raised(name="PaymentError", message="no money"), "PaymentError", "no money"),
        (TimedOut(limit_s=3), "TimeoutError", "3 seconds"),
        (OutOfMemory(limit_mb=128), "MemoryLimitError", "128 MB"),
        (Crashed(exit_code=7), "RuntimeExitError", "exit status 7"),
        (Crashed(signal=9), "RuntimeExitError", "signal: 9"),
        (Oversized(size_bytes=MEGABYTE + 1, limit_bytes=MEGABYTE), "ResultTooLargeError", str(MEGABYTE)),
    ],
)
async def test_a_failed_run_answers_500_and_is_recorded_alike(
    api: Running, outcome: Outcome, name: str, says: str
) -> None:
    await create(api)
    api.script.run = returning(outcome)

    answer = await api.http.post("/v1/functions/greet/invoke")

    assert answer.status_code == 500
    error = error_of(answer)
    assert error["code"] == "execution_error"
    assert error["message"] == "An error occurred during function execution"
    details = error["details"]
    assert details["name"] == name
    assert says in details["message"]
    assert details["executionId"] == answer.headers["X-Execution-Id"]
    record = await recorded(api, details["executionId"])
    assert (record["status"], record["hasResult"], record["hasError"]) == ("failed", False, True)
    assert record["error"] == {key: details[key] for key in ("name", "message", "stack")}
    assert "result" not in record


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ThrottledError("too many", limit=16), 429, "rate_limit_exceeded"),
        (UnavailableError("the queue is full"), 503, "service_unavailable"),
        (DeadlineExceededError("no answer"), 503, "service_unavailable"),
        (StartFailedError("no sandbox"), 500, "internal_error"),
    ],
)
async def test_a_run_that_could_not_start_is_our_failure(
    api: Running, error: PlatformError, status: int, code: str
) -> None:
    await create(api)
    api.script.error = error

    answer = await api.http.post("/v1/functions/greet/invoke")

    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert answer.headers["X-Execution-Id"] == error_of(answer)["details"]["executionId"]
    assert ("Retry-After" in answer.headers) is (status in (429, 503))


async def test_an_inactive_function_is_not_run(api: Running) -> None:
    await create(api)
    await api.http.post("/v1/functions/greet/invoke")  # now it is in the cache
    await api.http.put("/v1/functions/greet", json={"status": "inactive"})

    answers = [await api.http.post("/v1/functions/greet/invoke", json={"async": later}) for later in (False, True)]

    assert [(answer.status_code, error_of(answer)["code"]) for answer in answers] == [(400, "invalid_request")] * 2
    await api.http.put("/v1/functions/greet", json={"status": "active"})
    assert (await api.http.post("/v1/functions/greet/invoke")).status_code == 200


async def test_an_accepted_run_is_running_at_once_and_completes_later(api: Running) -> None:
    await create(api)
    go = asyncio.Event()

    async def patient(event: bytes) -> Outcome:
        await go.wait()
        return Returned(result=event)

    api.script.run = patient
    answer = await api.http.post("/v1/functions/greet/invoke", json={"async": True, "params": {"n": 1}})

    assert answer.status_code == 202
    execution = answer.json()["data"]["execution"]
    assert set(answer.json()["data"]) == {"execution"}
    assert set(execution) == {"id", "status", "startedAt"}
    assert execution["status"] == "running"
    assert answer.headers["X-Execution-Id"] == execution["id"]
    [listed] = (await api.http.get("/v1/functions/greet/executions?status=running")).json()["data"]
    assert (listed["id"], listed["completedAt"], listed["duration"]) == (execution["id"], None, None)
    assert (listed["hasResult"], listed["hasError"]) == (False, False)
    go.set()
    record = await eventually(lambda: _with_status(api, execution["id"], "completed"))
    assert record["result"] == {"n": 1}


async def _with_status(api: Running, execution_id: str, status: str) -> dict[str, Any]:
    record = await recorded(api, execution_id)
    assert record["status"] == status
    return record


async def test_a_failing_accepted_run_is_seen_on_its_execution_only(api: Running) -> None:
    await create(api)
    api.script.run = returning(Raised(name="Error", message="later"))

    answer = await api.http.post("/v1/functions/greet/invoke", json={"async": True})

    assert answer.status_code == 202
    record = await eventually(lambda: _with_status(api, answer.headers["X-Execution-Id"], "failed"))
    assert record["error"] == {"name": "Error", "message": "later", "stack": ""}


async def test_an_accepted_run_is_on_disk_before_its_id_is_told(api: Running) -> None:
    await create(api)
    await api.bus.close()  # the command cannot go out any more

    answer = await api.http.post("/v1/functions/greet/invoke", json={"async": True})

    assert answer.status_code == 202
    kept = await executions.find_execution(api.db, answer.headers["X-Execution-Id"].removeprefix("exec_"))
    assert kept is not None
    assert kept.status == "queued"
    stamped = await api.db.fetchval("SELECT dispatched_at FROM executions WHERE id = $1", kept.id)
    assert stamped is None  # so the relay will send it


async def test_the_command_of_an_accepted_run_is_stamped_as_sent(api: Running) -> None:
    await create(api)
    answers = await asyncio.gather(
        *(api.http.post("/v1/functions/greet/invoke", json={"async": True}) for _ in range(20))
    )
    ids = [answer.headers["X-Execution-Id"].removeprefix("exec_") for answer in answers]

    async def ran() -> bool:
        return sorted(api.script.works) == sorted(ids)

    await eventually(ran)
    [ledger] = await executions.ledger(api.db)
    assert (ledger.accepted, ledger.drift) == (20, 0)


async def test_an_idempotency_key_gives_the_first_execution_again_under_concurrency_too(api: Running) -> None:
    await create(api)
    await create(api, "other")

    async def post(name: str, key: str) -> str:
        answer = await api.http.post(
            f"/v1/functions/{name}/invoke", json={"async": True}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 202
        return answer.headers["X-Execution-Id"]

    same = set(await asyncio.gather(*(post("greet", "k-1") for _ in range(10))))

    assert len(same) == 1
    assert {await post("greet", "k-1")} == same
    assert await post("greet", "k-2") not in same
    assert await post("other", "k-1") not in same
    await eventually(lambda: len(set(api.script.works)) == 3)
    assert len(api.script.works) == 3


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
async def test_a_malformed_idempotency_key_is_refused(api: Running, key: str) -> None:
    await create(api)

    answer = await api.http.post("/v1/functions/greet/invoke", json={"async": True}, headers={"Idempotency-Key": key})

    assert answer.status_code == 400
    assert error_of(answer)["details"]["field"] == "Idempotency-Key"


async def test_fifty_calls_at_once_get_their_own_answers(api: Running) -> None:
    await create(api)

    async def call(number: int) -> httpx.Response:
        return await api.http.post("/v1/functions/greet/invoke", json={"params": {"n": number}})

    answers = await asyncio.gather(*(call(number) for number in range(50)))

    assert [answer.json()["data"]["result"]["n"] for answer in answers] == list(range(50))
    assert len({answer.headers["X-Execution-Id"] for answer in answers}) == 50


async def test_a_call_names_the_revision_it_saw_and_a_deadline_beyond_the_time_limit(api: Running) -> None:
    await create(api, timeout=3)
    await api.http.put("/v1/functions/greet", json={"code": "module.exports = 2"})

    await api.http.post("/v1/functions/greet/invoke", json={"params": {"a": 1}})

    [command] = api.script.calls
    assert (command.kind, command.revision, decoded(command.payload)) == ("neo", 2, {"a": 1})


async def test_a_caller_who_hangs_up_does_not_stop_the_run(api: Running, caplog: pytest.LogCaptureFixture) -> None:
    await create(api)
    began, go = asyncio.Event(), asyncio.Event()

    async def patient(event: bytes) -> Outcome:
        began.set()
        await go.wait()
        return Returned(result=event)

    api.script.run = patient
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    head = f"POST /v1/functions/greet/invoke HTTP/1.1\r\nHost: x\r\nX-API-Key: {api.http.headers['X-API-Key']}\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    async with asyncio.timeout(5):
        await began.wait()
    writer.close()
    await writer.wait_closed()
    go.set()

    async def listed() -> list[dict[str, Any]]:
        return list((await api.http.get("/v1/functions/greet/executions?status=completed")).json()["data"])

    assert len(await eventually(listed)) == 1
    assert reader is not None
    assert [record for record in caplog.records if record.exc_info] == []
