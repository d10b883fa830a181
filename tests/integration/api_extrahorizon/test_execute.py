"""Direct execution over HTTP (contracts/extrahorizon.md sections 3.1, 5 and 7; acceptance 20, 34 and 35)."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from shared.domain.errors import (
    DeadlineExceededError,
    PlatformError,
    StartFailedError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.outcome import LogLine, Raised, TimedOut
from tests.integration.api_extrahorizon.conftest import Horizon
from tests.integration.api_extrahorizon.script import FailsError, RefusesError
from tests.support.eventually import eventually

LINE = LogLine(timestamp_ms=1_700_000_000_000, level="info", message="said", text="said")


def path_of(name: str) -> str:
    return f"/tasks/v1/functions/{name}/execute"


def refusal(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


async def tasks_of(horizon: Horizon) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await horizon.admin.get("/tasks/v1/?limit(50)")).json()["data"]
    return listed


async def test_34_the_finished_task_comes_back_with_the_result(horizon: Horizon) -> None:
    await horizon.create(executionOptions={"defaultPriority": 9})
    horizon.script.handler = lambda event: {"hi": event["data"]["who"], "keys": list(event["data"])}
    horizon.script.lines = (LINE,)
    data = {"who": "Bo", "b": 1, "aa": [1.0, None]}

    answer = await horizon.admin.post(path_of("greeter") + "/", json={"data": data})

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown.pop("result") == {"hi": "Bo", "keys": ["who", "b", "aa"]}
    assert (shown["status"], shown["data"], shown["tags"], shown["priority"]) == ("complete", data, [], 0)
    assert (shown["createdByUserId"], shown["createdByApplicationId"]) == (
        horizon.first.user_id,
        horizon.first.application_id,
    )
    assert await tasks_of(horizon) == [shown]
    (event,) = horizon.script.events
    began = shown["creationTimestamp"]
    assert event == {**shown, "status": "inProgress", "updateTimestamp": began, "statusChangedTimestamp": began}

    async def written() -> list[dict[str, Any]]:
        answer = await horizon.admin.get(f"/tasks/v1/{shown['id']}/logs")
        lines: list[dict[str, Any]] = answer.json().get("data", [])
        return lines

    assert [line["message"] for line in await eventually(written)] == ["said\n"]


async def test_34_data_may_be_missing(horizon: Horizon) -> None:
    await horizon.create()
    horizon.script.handler = lambda event: "data" in event

    for content in ("", "{}", '{"data":null}', '{"other":1}'):
        answer = await horizon.admin.post(path_of("greeter"), content=content)
        assert (answer.status_code, answer.json()["result"]) == (200, False)
        assert "data" not in answer.json()


async def test_34_data_and_result_may_be_any_json(horizon: Horizon) -> None:
    await horizon.create()
    horizon.script.handler = lambda event: event["data"]

    anything: tuple[Any, ...] = ("text", 5, False, [1, {"x": 2}], {})
    for data in anything:
        answer = await horizon.admin.post(path_of("greeter"), json={"data": data})
        assert (answer.json()["result"], answer.json()["data"]) == (data, data)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Raised(name="CONNECTION_ERROR", message="no", stack="secret"), {"name": "CONNECTION_ERROR", "message": "no"}),
        (TimedOut(limit_s=3), {"name": "Sandbox.Timedout", "message": "Task timed out after 3.00 seconds"}),
    ],
)
async def test_34_what_the_function_did_wrong_is_told_with_its_task(
    horizon: Horizon, outcome: Any, error: dict[str, str]
) -> None:
    await horizon.create(retryPolicy={"enabled": True})

    def fail(_event: dict[str, Any]) -> None:
        raise FailsError(outcome)

    horizon.script.handler = fail
    answer = await horizon.admin.post(path_of("greeter"), json={"data": {}})

    assert refusal(answer) == (400, 1406)
    assert answer.json()["runtimeError"] == error
    (task,) = await tasks_of(horizon)
    assert (task["id"], task["status"]) == (answer.json()["taskId"], "failed")
    assert task["error"] == {"type": "runtime", **error}


async def test_34_a_run_that_could_not_be_started_or_was_lost_is_told_with_its_task(horizon: Horizon) -> None:
    await horizon.create()
    lost = ("runtime", "zombieTaskCleaned")
    for error, status, code, told in (
        (StartFailedError("no sandbox"), 400, 1405, ("invocation", "LAMBDA_INVOCATION_EXCEPTION")),
        (ThrottledError("too many"), 400, 1403, ("invocation", "CONCURRENT_EXECUTION_LIMIT_EXCEPTION")),
        (UnavailableError("no invoker"), 503, 4, ("invocation", "SERVICE_UNREACHABLE_EXCEPTION")),
        (DeadlineExceededError("no answer"), 400, 1405, lost),
    ):
        horizon.script.handler = partial(refuse, error)
        answer = await horizon.admin.post(path_of("greeter"))

        assert refusal(answer) == (status, code)
        task = (await tasks_of(horizon))[0]
        assert (task["id"], task["status"]) == (answer.json()["taskId"], "failed")
        assert (task["error"]["type"], task["error"]["name"]) == told
        found = await horizon.admin.get(f"/tasks/v1/?eq(error.name,{told[1]})&select(id)")
        assert {"id": task["id"]} in found.json()["data"]


def refuse(error: PlatformError, _event: dict[str, Any]) -> None:
    raise RefusesError(error)


async def test_what_is_refused_before_it_begins_leaves_no_task(horizon: Horizon) -> None:
    await horizon.create()
    await horizon.create("slow", timeLimit=31)
    await horizon.create("off")
    await horizon.admin.post("/tasks/v1/functions/off/disable", json={})
    too_large = json.dumps({"data": "x" * 6 * 1024 * 1024})

    assert refusal(await horizon.admin.post(path_of("nobody"))) == (404, 16)
    assert refusal(await horizon.admin.post(path_of("slow"))) == (400, 1404)
    assert refusal(await horizon.admin.post(path_of("off"))) == (400, 27)
    assert refusal(await horizon.admin.post(path_of("greeter"), content=too_large)) == (400, 1405)
    assert refusal(await horizon.admin.post(path_of("greeter"), content="{")) == (400, 22)
    assert refusal(await horizon.admin.post(path_of("greeter"), json={"data": {"x": "\0"}})) == (400, 15)
    assert await tasks_of(horizon) == []


@pytest.mark.parametrize("environ", [{"TIDEMILL_MAX_DIRECT_EXECUTIONS": "3"}])
async def test_so_many_at_once_and_one_more_is_refused(horizon: Horizon) -> None:
    await horizon.create()
    go, began = asyncio.Event(), asyncio.Semaphore(0)

    async def held(_event: dict[str, Any]) -> None:
        began.release()
        await go.wait()

    horizon.script.handler = held
    async with asyncio.TaskGroup() as running:
        calls = [running.create_task(horizon.admin.post(path_of("greeter"))) for _ in range(3)]
        async with asyncio.timeout(10):
            for _ in calls:
                await began.acquire()
        refused = await horizon.admin.post(path_of("greeter"))
        go.set()
    again = await horizon.admin.post(path_of("greeter"))

    assert refusal(refused) == (400, 1403)
    assert {call.result().status_code for call in calls} == {again.status_code} == {200}
    assert {task["status"] for task in await tasks_of(horizon)} == {"complete"}


async def test_35_the_functions_mode_says_who_may_execute(horizon: Horizon) -> None:
    await horizon.create("open", executionOptions={"permissionMode": "public"})
    await horizon.create("users", executionOptions={"permissionMode": "allUsers"})
    await horizon.create("closed")
    horizon.script.handler = lambda _event: None

    opened = await horizon.anonymous.post(path_of("open"))
    assert opened.status_code == 200, opened.text
    assert "createdByUserId" not in opened.json()
    for name in ("users", "closed"):
        assert refusal(await horizon.anonymous.post(path_of(name))) == (401, 104)
    async with horizon.client(await horizon.user_token("EXECUTE_API_FUNCTION")) as user:
        assert (await user.post(path_of("users"))).status_code == 200
        assert refusal(await user.post(path_of("closed"))) == (401, 10)
    async with horizon.client(await horizon.user_token("EXECUTE_TASK_FUNCTION:closed")) as user:
        assert (await user.post(path_of("closed"))).status_code == 200
