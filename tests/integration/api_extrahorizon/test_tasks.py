"""Tasks over HTTP: made, listed, called off, and their logs (contracts/extrahorizon.md sections 3.4 and 8)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.database import logs, task_queue, tasks
from shared.database.tasks import TaskSettlement
from shared.domain.ids import is_record_id, new_function_id, new_record_id
from shared.domain.outcome import Failure, LogLine
from shared.domain.task import Task
from shared.messages.messages import Notice, TasksWaiting
from tests.integration.api_extrahorizon.conftest import Horizon
from tests.support.eventually import eventually

TASKS = "/tasks/v1/"
HOLDER = "invoker-1"
UNKNOWN = "ffffffffffffffffffffffff"
NAMES = ("eq", "ne", "in", "out", "like", "gt", "and", "or", "contains", "excludes", "sort", "limit", "select", "x")
FIELDS = ("id", "tags", "data", "data.x", "data.0.1", "data..", "priority", "startTimestamp", "error.name", "error")
VALUES = (
    "1",
    "5e999",
    "null",
    "true",
    "date:2024-01-01",
    "number:x",
    "%2500",
    "%25",
    "2024-01-01",
    "(a,b)",
    "re:x",
    "",
)
QUERIES = st.lists(
    st.sampled_from(["(", ")", ",", "&", "|", "=", "!=", "=ge=", *NAMES, *FIELDS, *VALUES]), max_size=12
).map("".join) | st.builds(
    "{}({},{})".format, st.sampled_from(NAMES), st.sampled_from(FIELDS), st.sampled_from([*VALUES, *FIELDS, "eq(x,1)"])
)


async def made(horizon: Horizon, **fields: Any) -> dict[str, Any]:
    """Make a task; return what is shown of it."""
    answer = await horizon.admin.post(TASKS, json={"functionName": "greeter", **fields})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def claimed(horizon: Horizon) -> Task:
    """Begin the only waiting task, as an invoker does."""
    (task,) = await task_queue.claim(horizon.db, holder=HOLDER, lease_s=60, at_once=5, limit=5)
    return task


async def listed(horizon: Horizon, query: str) -> dict[str, Any]:
    answer = await horizon.admin.get(f"/tasks/v1?{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def refusal(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


async def test_28_a_new_task_is_shown_with_every_field(horizon: Horizon) -> None:
    data = {"who": "Bo", "list": [1, 2.5, None, {"ä": "\u2028"}]}
    task = await made(
        horizon, data=data, tags=["nightly", "x"], priority=7, startTimestamp="2099-05-01T12:00:05.1239+02:00", more=1
    )

    assert is_record_id(task["id"])
    now = datetime.now(UTC)
    for field in ("creationTimestamp", "updateTimestamp", "statusChangedTimestamp"):
        assert abs(datetime.fromisoformat(task.pop(field)) - now) < timedelta(seconds=10)
    assert task == {
        "id": task["id"],
        "functionName": "greeter",
        "status": "new",
        "data": data,
        "tags": ["nightly", "x"],
        "priority": 7,
        "startTimestamp": "2099-05-01T10:00:05.123Z",
        "createdByUserId": horizon.first.user_id,
        "createdByApplicationId": horizon.first.application_id,
    }


async def test_28_what_a_task_is_not_told_has_its_default(horizon: Horizon) -> None:
    task = await made(horizon, data=None, tags=None, startTimestamp=None)

    assert (task["tags"], task["priority"]) == ([], 0)
    assert task["startTimestamp"] == task["creationTimestamp"]
    assert "data" not in task
    assert "error" not in task


async def test_32_a_task_has_its_own_priority_or_its_functions(horizon: Horizon) -> None:
    await horizon.create("urgent", executionOptions={"defaultPriority": 12})

    assert (await made(horizon, functionName="urgent"))["priority"] == 12
    assert (await made(horizon, functionName="urgent", priority=0))["priority"] == 0
    assert (await made(horizon, functionName="urgent", priority=-(2**53 - 1)))["priority"] == -(2**53 - 1)


async def test_invokers_are_told_of_a_task_that_is_due(horizon: Horizon) -> None:
    heard: list[Notice] = []
    await horizon.script.bus.subscribe(heard.append, on_gap=heard.clear)

    await made(horizon, startTimestamp="2099-01-01T00:00:00Z")
    await made(horizon)

    await eventually(lambda: TasksWaiting() in heard)


async def test_a_task_with_a_wrong_field_is_refused(horizon: Horizon) -> None:
    for content, code in (("", 13), ("{", 22), ("{}", 14), ('{"functionName":5}', 15)):
        assert refusal(await horizon.admin.post(TASKS, content=content)) == (400, code)

    assert (await listed(horizon, ""))["page"]["total"] == 0


async def test_a_task_takes_data_of_250_kb_and_what_looks_like_a_nul(horizon: Horizon) -> None:
    text = "y" * (250 * 1024 - len('{"x":"","z":"\\\\u0000"}'))
    task = await made(horizon, data={"x": text, "z": "\\u0000"})

    (found,) = (await listed(horizon, f"eq(id,{task['id']})"))["data"]
    assert found["data"] == {"x": text, "z": "\\u0000"}


async def test_an_idempotency_key_gives_the_first_task_again_under_concurrency_too(horizon: Horizon) -> None:
    async def post(key: str, function_name: str = "greeter", client: httpx.AsyncClient = horizon.admin) -> str:
        answer = await client.post(
            TASKS, json={"functionName": function_name, "data": {"try": 1}}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 200, answer.text
        shown: str = answer.json()["id"]
        return shown

    same = set(await asyncio.gather(*(post("k-1") for _ in range(10))))

    assert len(same) == 1
    assert {await post("k-1")} == same
    others = [await post("k-2"), await post("k-1", "other"), await post("k" * 255, 'ü",' * 40)]
    async with horizon.client(await horizon.user_token("CREATE_TASKS")) as somebody:
        others.append(await post("k-1", client=somebody))
    assert len({*same, *others}) == 5 == (await listed(horizon, ""))["page"]["total"]


async def test_a_repeated_task_is_answered_as_it_is_now(horizon: Horizon) -> None:
    keyed: dict[str, Any] = {"json": {"functionName": "greeter"}, "headers": {"Idempotency-Key": "k"}}
    first = (await horizon.admin.post(TASKS, **keyed)).json()
    await claimed(horizon)

    again = (await horizon.admin.post(TASKS, **keyed)).json()

    assert (again["id"], first["status"], again["status"]) == (first["id"], "new", "inProgress")


async def test_keys_of_tasks_are_told_apart_from_those_of_executions(horizon: Horizon) -> None:
    await horizon.admin.post(TASKS, json={"functionName": "greeter"}, headers={"Idempotency-Key": "k"})

    # That of an execution begins with the id of its function.
    key = await horizon.db.fetchval("SELECT key FROM idempotency_keys")
    assert key == f'task:["{horizon.first.user_id}","greeter","k"]'
    assert not new_function_id().startswith("task:")


@pytest.mark.parametrize("key", ["x" * 256, "", "a\tb", "\xe9"])
async def test_a_malformed_idempotency_key_is_refused(horizon: Horizon, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = await horizon.admin.post(TASKS, json={"functionName": "greeter"}, headers=headers)

    assert refusal(answer) == (400, 15)
    assert "Idempotency-Key" in answer.json()["message"]
    assert (await listed(horizon, ""))["page"]["total"] == 0


async def test_28_tasks_are_found_by_rql(horizon: Horizon) -> None:
    first = await made(horizon, data={"x": {"y": "5"}, "list": [{"a": 1}]}, tags=["red", "dark blue"])
    second = await made(horizon, data={"x": {"y": 5}}, tags=["blue"], priority=3)

    async def ids(query: str) -> list[str]:
        page = await listed(horizon, query)
        assert page["page"]["total"] == len(page["data"])
        return [each["id"] for each in page["data"]]

    assert await ids("") == [second["id"], first["id"]]
    assert await ids(f"eq(id,{first['id']})") == [first["id"]]
    assert await ids(f"eq(id,{new_record_id()})") == []
    assert await ids("eq(tags,dark%2520blue)") == [first["id"]]
    assert await ids("ne(tags,blue)") == [first["id"]]
    assert await ids("eq(data.x.y,string%3A5)") == [first["id"]]
    assert await ids("eq(data.x.y,number:5)") == [second["id"]]
    assert await ids("data.x.y=5&sort(creationTimestamp)") == [first["id"], second["id"]]
    assert await ids("contains(data.list,and(eq(a,1)))") == [first["id"]]
    assert await ids("gt(priority,0)") == [second["id"]]
    assert await ids("eq(status,new)&excludes(error)&sort(-priority)") == [second["id"], first["id"]]
    assert await listed(horizon, "select(id)&limit(1,1)&skipCount()") == {
        "page": {"offset": 1, "limit": 1},
        "data": [{"id": first["id"]}],
    }
    for broken in ("eq(nonsense,1)", "limit(x)", "eq(data..x,1)"):
        assert refusal(await horizon.admin.get(f"/tasks/v1/?{broken}")) == (400, 19)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(query=QUERIES)
async def test_whatever_is_asked_is_answered_or_refused(horizon: Horizon, query: str) -> None:
    for path in ("/tasks/v1", "/tasks/v1/schedules", f"/tasks/v1/{UNKNOWN}/logs"):
        head = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = await horizon.raw(f"{head}Authorization: {horizon.admin.headers['Authorization']}\r\n\r\n".encode())
        status = answer.split(b" ", 2)[1]
        assert status in {b"200", b"400", b"404"}, answer
        assert status != b"400" or b'"code":19' in answer, answer


async def test_30_a_task_is_called_off_before_it_begins_and_never_after(horizon: Horizon) -> None:
    waiting = await made(horizon, startTimestamp="2099-01-01T00:00:00Z")

    canceled = await horizon.admin.post(f"/tasks/v1/{waiting['id']}/cancel", json={})
    again = await horizon.admin.post(f"/tasks/v1/{waiting['id']}/cancel/", json={})
    await made(horizon)
    running = await horizon.admin.post(f"/tasks/v1/{(await claimed(horizon)).id}/cancel")

    assert (canceled.status_code, canceled.json()) == (200, {"affectedRecords": 1})
    assert refusal(again) == refusal(running) == (400, 27)
    assert (await listed(horizon, f"eq(id,{waiting['id']})"))["data"][0]["status"] == "canceled"
    assert refusal(await horizon.admin.post(f"/tasks/v1/{new_record_id()}/cancel", json={})) == (404, 16)
    assert refusal(await horizon.admin.post("/tasks/v1/nonsense/cancel", json={})) == (400, 12)


async def test_28_a_tasks_lines_are_shown_once_it_has_run(horizon: Horizon) -> None:
    shown = await made(horizon)
    path = f"/tasks/v1/{shown['id']}/logs"
    assert refusal(await horizon.admin.get(path)) == (400, 27)
    task = await claimed(horizon)
    assert refusal(await horizon.admin.get(path)) == (400, 1408)
    assert task.run_id is not None
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    lines = [LogLine(timestamp_ms=now_ms + n * 1000, level="info", message=f"line {n}", text="") for n in range(2)]
    await logs.insert_lines(horizon.db, [(task.run_id, number, line) for number, line in enumerate(lines)])
    await tasks.settle(horizon.db, [TaskSettlement(id=task.id, holder=HOLDER, failure=None, log_lines=2)])

    page = (await horizon.admin.get(path + "/")).json()
    since = datetime.fromtimestamp(lines[1].timestamp_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    later = (await horizon.admin.get(f"{path}?ge(timestamp,{since})")).json()

    assert "total" not in page["page"]
    assert [line["message"] for line in page["data"]] == ["line 0\n", "line 1\n"]
    assert [line["message"] for line in later["data"]] == ["line 1\n"]
    assert refusal(await horizon.admin.get(f"{path}?ge(timestamp,2099-01-01)")) == (400, 1408)
    assert refusal(await horizon.admin.get(f"{path}?lt(timestamp,{since})")) == (400, 19)
    assert refusal(await horizon.admin.get(f"/tasks/v1/{new_record_id()}/logs")) == (404, 16)
    assert refusal(await horizon.admin.get("/tasks/v1/nonsense/logs")) == (400, 12)


FAILURES = [
    (
        Failure(kind="raised", name="TypeError", message="no", stack="secret"),
        {"type": "runtime", "name": "TypeError", "message": "no"},
    ),
    (
        Failure(kind="refused", name="function.not_found", message="no"),
        {"type": "invocation", "name": "RESOURCE_UNKNOWN_EXCEPTION", "message": "no"},
    ),
    (
        Failure(kind="interrupted", name="InterruptedError", message="no"),
        {"type": "runtime", "name": "zombieTaskCleaned", "message": "no"},
    ),
]


async def test_29_a_failed_task_tells_why_and_is_found_by_it(horizon: Horizon) -> None:
    for failure, error in FAILURES:
        made_task = await made(horizon)
        task = await claimed(horizon)
        await tasks.settle(horizon.db, [TaskSettlement(id=task.id, holder=HOLDER, failure=failure)])

        (shown,) = (await listed(horizon, f"eq(error.name,{error['name']})&eq(error.type,{error['type']})"))["data"]

        assert (shown["id"], shown["status"], shown["error"]) == (made_task["id"], "failed", error)


ENDPOINTS = [
    ("GET", "", "VIEW_TASKS"),
    ("POST", "", "CREATE_TASKS"),
    ("POST", "64f0c2a1b7e94d0012ab34cd/cancel", "CANCEL_TASKS"),
    ("GET", "64f0c2a1b7e94d0012ab34cd/logs", "VIEW_TASK_LOGS"),
    ("GET", "schedules", "VIEW_TASK_SCHEDULES"),
    ("POST", "schedules", "CREATE_TASK_SCHEDULE"),
    ("DELETE", "schedules/64f0c2a1b7e94d0012ab34cd", "DELETE_TASK_SCHEDULE"),
]


async def test_each_endpoint_needs_a_user_with_its_permission(horizon: Horizon) -> None:
    for method, path, permission in ENDPOINTS:
        assert refusal(await horizon.anonymous.request(method, TASKS + path)) == (401, 104)
        async with horizon.client(await horizon.user_token()) as nobody:
            assert refusal(await nobody.request(method, TASKS + path)) == (401, 10)
        async with horizon.client(await horizon.user_token(permission)) as somebody:
            allowed = await somebody.request(method, TASKS + path)
        assert allowed.status_code in {200, 400, 404}, allowed.text


async def test_a_page_of_large_tasks_holds_fewer_and_says_so_until_all_were_shown(horizon: Horizon) -> None:
    ids = [(await made(horizon, data={"n": number}))["id"] for number in range(7)]
    huge = "UPDATE tasks SET data = jsonb_build_object('x', repeat('y', $2)) WHERE id = any($1::text[])"
    await horizon.db.execute(huge, ids[1:5], 3 * 1024 * 1024)
    await horizon.db.execute(huge, ids[5:6], 9 * 1024 * 1024)

    shown: list[str] = []
    limits: list[int] = []
    limit, offset, total = 50, 0, 7
    while offset < total:  # as the SDK does it: the limit of the answer is that of the next request
        page = await listed(horizon, f"sort(id)&limit({limit},{offset})")
        shown += [task["id"] for task in page["data"]]
        limit, total = page["page"]["limit"], page["page"]["total"]
        limits.append(limit)
        offset += limit

    assert shown == ids
    assert limits[0] == 3
    assert (await listed(horizon, "limit(50)&eq(data.n,0)"))["page"] == {"total": 1, "offset": 0, "limit": 50}
