"""The records of API calls and their logs (contracts/extrahorizon.md sections 6 and 8; acceptance 26 and 27)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from shared.database import api_requests, logs
from shared.domain.ids import is_record_id, new_record_id
from shared.domain.outcome import Failure, LogLine
from shared.messages.messages import ApiCall, ApiRequestFinished
from tests.integration.api_extrahorizon.conftest import Horizon
from tests.support.eventually import eventually

REQUESTS = "/tasks/v1/apiRequests"
NOW = datetime.now(UTC).replace(microsecond=0)


def twice_encoded(value: str) -> str:
    """Encode a value as the SDK does: also what URLs need not have encoded, and all of it again."""
    once = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in value.encode())
    return quote(once, safe="")


def minutes_ago(minutes: float) -> str:
    moment = NOW - timedelta(minutes=minutes)
    return twice_encoded(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


@pytest.fixture
async def recorded(horizon: Horizon) -> dict[str, str]:
    """Five calls, a minute apart, oldest first: a to e."""
    user, application = horizon.first.user_id, horizon.first.application_id
    known = {"user_id": user, "application_id": application}
    kinds: dict[str, dict[str, Any]] = {
        "a": {"name": "greeter", "call": ApiCall(method="GET", path="/", **known)},
        "b": {"name": "greeter", "call": ApiCall(method="POST", path="/orders/7?full=1", **known), "status": 201},
        "c": {"name": "my fn(1)", "call": ApiCall(method="GET", path="/"), "status": 404},
        "d": {
            "name": "12345",
            "call": ApiCall(method="DELETE", path="/orders/8", **known),
            "status": 400,
            "failure": Failure(kind="raised", name="RangeError", message="qty too big", stack="secret"),
        },
        "e": {
            "name": "greeter",
            "call": ApiCall(method="GET", path="/caf\u00e9"),
            "status": 401,
            "failure": Failure(kind="refused", name="access.unauthenticated", message="nobody"),
        },
    }
    ids = {letter: new_record_id() for letter in kinds}
    events = [
        ApiRequestFinished(
            request_id=ids[letter],
            function_id="func_0123456789",
            environment_id=horizon.first.environment.id,
            function_name=kind["name"],
            call=kind["call"],
            status_code=kind.get("status", 200),
            failure=kind.get("failure"),
            started_at_ms=int((NOW - timedelta(minutes=4 - number)).timestamp() * 1000),
            duration_ms=10.0 * (number + 1),
        )
        for number, (letter, kind) in enumerate(kinds.items())
    ]
    await api_requests.insert_finished(horizon.db, events)
    return ids


async def found(horizon: Horizon, ids: dict[str, str], query: str) -> str:
    """Return the letters of the records a query finds, in its order."""
    answer = await horizon.admin.get(f"{REQUESTS}?{query}")
    assert answer.status_code == 200, answer.text
    letters = {record_id: letter for letter, record_id in ids.items()}
    return "".join(letters[record["id"]] for record in answer.json()["data"])


async def test_26_a_record_has_every_field_and_those_of_nobody_are_absent(
    horizon: Horizon, recorded: dict[str, str]
) -> None:
    answer = (await horizon.admin.get(REQUESTS + "?sort(timestamp)")).json()

    assert answer["page"] == {"total": 5, "offset": 0, "limit": 20}
    assert answer["data"][1] == {
        "id": recorded["b"],
        "functionName": "greeter",
        "method": "POST",
        "path": "/orders/7?full=1",
        "userId": horizon.first.user_id,
        "applicationId": horizon.first.application_id,
        "timestamp": (NOW - timedelta(minutes=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "statusCode": 201,
        "duration": 0.02,
    }
    assert not {"userId", "applicationId", "error"} & answer["data"][2].keys()
    assert answer["data"][3]["error"] == {"type": "runtime", "name": "RangeError", "message": "qty too big"}
    assert answer["data"][4]["error"] == {
        "type": "invocation",
        "name": "USER_NOT_AUTHENTICATED_EXCEPTION",
        "message": "nobody",
    }


async def test_26_a_call_that_was_cut_off_is_found_by_the_error_it_shows(horizon: Horizon) -> None:
    cut_off = ApiRequestFinished(
        request_id=new_record_id(),
        function_id="func_0123456789",
        environment_id=horizon.first.environment.id,
        function_name="greeter",
        call=ApiCall(method="GET", path="/"),
        status_code=400,
        failure=Failure(kind="interrupted", name="InterruptedError", message="deleted"),
        started_at_ms=int(NOW.timestamp() * 1000),
        duration_ms=1.0,
    )
    await api_requests.insert_finished(horizon.db, [cut_off])

    query = "eq(error.type,invocation)&eq(error.name,LAMBDA_INVOCATION_EXCEPTION)"
    (record,) = (await horizon.admin.get(f"{REQUESTS}?{query}")).json()["data"]

    assert record["error"] == {"type": "invocation", "name": "LAMBDA_INVOCATION_EXCEPTION", "message": "deleted"}
    assert (await horizon.admin.get(f"{REQUESTS}?eq(error.name,InterruptedError)")).json()["data"] == []


async def test_26_every_operator_finds_what_it_says(horizon: Horizon, recorded: dict[str, str]) -> None:
    for query, letters in (
        ("", "edcba"),
        ("eq(functionName,greeter)", "eba"),
        ("ne(functionName,greeter)", "dc"),
        (f"eq(functionName,{twice_encoded('my fn(1)')})", "c"),
        ("eq(functionName,12345)", "d"),
        (f"eq(path,{twice_encoded('/orders/7?full=1')})", "b"),
        (f"eq(path,{twice_encoded('/café')})", "e"),
        (f"eq(id,{recorded['c']})", "c"),
        ("gt(statusCode,400)", "ec"),
        ("ge(statusCode,400)", "edc"),
        ("lt(duration,0.03)", "ba"),
        ("le(duration,0.03)", "cba"),
        (f"gt(timestamp,{minutes_ago(2)})", "ed"),
        (f"ge(timestamp,{minutes_ago(2)})", "edc"),
        (f"ge(timestamp,{minutes_ago(3)})&lt(timestamp,{minutes_ago(1)})", "cb"),
        ("in(statusCode,200,201)", "ba"),
        ("out(statusCode,200,201)", "edc"),
        ("like(path,orders)", "db"),
        ("like(path,_rders)", ""),
        ("like(statusCode,2)", ""),
        ("and(eq(method,GET),eq(statusCode,200))", "a"),
        ("or(eq(method,POST),eq(method,DELETE))", "db"),
        ("method=POST|method=DELETE", "db"),
        ("statusCode>=400&method=GET", "ec"),
        ("contains(userId)", "dba"),
        ("excludes(userId)", "ec"),
        ("eq(userId,null)", "ec"),
        ("ne(userId,null)", "dba"),
        ("contains(error)", "ed"),
        ("excludes(error)", "cba"),
        ("eq(error.type,runtime)", "d"),
        ("ne(error.type,runtime)", "ecba"),
        ("eq(error.name,RangeError)", "d"),
        ("eq(error.name,USER_NOT_AUTHENTICATED_EXCEPTION)", "e"),
        ("ne(error.name,USER_NOT_AUTHENTICATED_EXCEPTION)", "dcba"),
        ("like(error.name,NOT_AUTHENTICATED)", "e"),
        ("eq(statusCode,abc)", ""),
        ("ge(timestamp,0001-01-01T00:00:00+14:00)", ""),
    ):
        assert await found(horizon, recorded, query) == letters, query


async def test_26_pages_are_sorted_cut_counted_and_narrowed(horizon: Horizon, recorded: dict[str, str]) -> None:
    assert await found(horizon, recorded, "sort(timestamp)") == "abcde"
    assert await found(horizon, recorded, "sort(+timestamp)") == "abcde"
    assert await found(horizon, recorded, "sort(-method,timestamp)") == "baced"
    assert await found(horizon, recorded, "sort(timestamp)&limit(2,1)") == "bc"

    cut = (await horizon.admin.get(REQUESTS + "?limit(2,1)")).json()
    assert cut["page"] == {"total": 5, "offset": 1, "limit": 2}
    assert (await horizon.admin.get(REQUESTS + "/?limit(500)")).json()["page"]["limit"] == 50
    uncounted = (await horizon.admin.get(REQUESTS + "?skipCount()")).json()
    assert uncounted["page"] == {"offset": 0, "limit": 20}
    narrowed = (await horizon.admin.get(REQUESTS + "?select(method,error.type,nothing)")).json()["data"]
    assert narrowed[1] == {"method": "DELETE", "error": {"type": "runtime"}}
    assert narrowed[4] == {"method": "GET"}


async def test_26_broken_rql_is_refused(horizon: Horizon) -> None:
    for query in ("eq(method", "unheard_of(a,b)", "limit(-1)", "eq(nonsense,1)", "sort(nonsense)", "eq(path,%ff)"):
        answer = await horizon.admin.get(f"{REQUESTS}?{query}")

        assert (answer.status_code, answer.json()["code"]) == (400, 19), query
        assert answer.json()["name"] == "INVALID_RQL_EXCEPTION"


async def test_26_nothing_of_another_environment_is_found(horizon: Horizon, recorded: dict[str, str]) -> None:
    await horizon.db.execute("UPDATE api_requests SET environment_id = 'another' WHERE id = $1", recorded["a"])

    assert await found(horizon, recorded, "sort(timestamp)") == "bcde"
    assert (await horizon.admin.get(f"{REQUESTS}/{recorded['a']}/logs")).status_code == 404


async def test_26_reading_needs_its_permission(horizon: Horizon) -> None:
    path = f"{REQUESTS}/{new_record_id()}/logs"
    async with horizon.client(await horizon.user_token("VIEW_API_FUNCTION_REQUESTS")) as reader:
        assert (await reader.get(REQUESTS)).status_code == 200
        assert (await reader.get(path)).json()["code"] == 10
    async with horizon.client(await horizon.user_token("VIEW_API_FUNCTION_REQUEST_LOGS")) as reader:
        assert (await reader.get(REQUESTS)).json()["code"] == 10
        assert (await reader.get(path)).json()["code"] == 16
    assert (await horizon.anonymous.get(REQUESTS)).json()["code"] == 104


async def test_27_log_lines_are_shown_as_written_oldest_first_from_a_moment_on(
    horizon: Horizon, recorded: dict[str, str]
) -> None:
    run = "5b0c8c1e-0d3a-4f55-9d0e-7f6a1b2c3d4e"
    began = NOW - timedelta(minutes=4)
    messages = []
    for number, (level, text) in enumerate([("INFO", "starting"), ("ERROR", "two\rlines"), ("DEBUG", "done")]):
        moment = (began + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        messages.append((f"{moment}\t{run}\t{level}\t{text}", moment))
    lines = [
        LogLine(timestamp_ms=int(began.timestamp() * 1000) + number * 1000, level="info", message=message, text="x")
        for number, (message, _) in enumerate(messages)
    ]
    await logs.insert_lines(horizon.db, [(recorded["a"], number, line) for number, line in enumerate(lines)])

    async def shown(query: str) -> dict[str, Any]:
        answer = await horizon.admin.get(f"{REQUESTS}/{recorded['a']}/logs{query}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = json.loads(answer.content)
        return body

    everything = await shown("")
    assert everything["data"] == [{"message": message + "\n", "timestamp": moment} for message, moment in messages]
    assert "total" not in everything["page"]
    assert (await shown(f"?ge(timestamp,{minutes_ago(10)})"))["data"] == everything["data"]
    assert (await shown(f"?timestamp>={twice_encoded(messages[1][1])}"))["data"] == everything["data"][1:]
    late = await horizon.admin.get(f"{REQUESTS}/{recorded['a']}/logs?ge(timestamp,{minutes_ago(1)})")
    assert (late.status_code, late.json()["code"], late.json()["name"]) == (400, 1413, "NO_API_REQUEST_LOGS_FOUND")


async def test_27_the_last_line_says_how_many_are_missing_and_why(horizon: Horizon, recorded: dict[str, str]) -> None:
    began = NOW - timedelta(minutes=4)
    path = f"{REQUESTS}/{recorded['a']}/logs"
    line = LogLine(timestamp_ms=int(began.timestamp() * 1000), level="info", message="t\tid\tINFO\thi", text="hi")

    async def shown(query: str = "") -> list[dict[str, str]]:
        answer = await horizon.admin.get(path + query)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, str]] = answer.json()["data"]
        return data

    def note(text: str) -> dict[str, str]:
        moment = (began + timedelta(milliseconds=10)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"message": f"{moment}\t{recorded['a']}\tWARN\t{text}\n", "timestamp": moment}

    await horizon.db.execute("UPDATE api_requests SET log_lines = 3, dropped_log_lines = 5")
    everything = note("8 more lines are not shown: 5 dropped beyond the limit of one run, 3 not stored, or not yet")
    assert await shown() == [everything]
    await logs.insert_lines(horizon.db, [(recorded["a"], 0, line)])
    both = note("7 more lines are not shown: 5 dropped beyond the limit of one run, 2 not stored, or not yet")
    assert [each["message"] for each in await shown()] == ["t\tid\tINFO\thi\n", both["message"]]
    assert await shown(f"?ge(timestamp,{both['timestamp']})") == [both]
    late = await horizon.admin.get(f"{path}?ge(timestamp,{minutes_ago(1)})")
    assert late.json()["code"] == 1413


async def test_27_a_full_page_is_not_the_last_and_says_nothing_of_missing_lines(
    horizon: Horizon, recorded: dict[str, str]
) -> None:
    await horizon.db.execute("UPDATE api_requests SET log_lines = 10001, dropped_log_lines = 5")
    await horizon.db.execute(
        "INSERT INTO log_lines SELECT $1, n, 1000 * n, 'info', 'm', NULL FROM generate_series(1, 10001) n",
        recorded["a"],
    )

    full = (await horizon.admin.get(f"{REQUESTS}/{recorded['a']}/logs")).json()["data"]
    rest = await horizon.admin.get(f"{REQUESTS}/{recorded['a']}/logs?ge(timestamp,1970-01-01T02:46:41.000Z)")

    assert [len(full), full[-1]["message"]] == [10_000, "m\n"]
    assert [line["message"].rpartition("\t")[2] for line in rest.json()["data"]] == [
        "m\n",
        "5 more lines are not shown: 5 dropped beyond the limit of one run\n",
    ]


async def test_27_logs_take_no_other_rql_and_no_other_id(horizon: Horizon, recorded: dict[str, str]) -> None:
    for record_id, query, expected in (
        (recorded["b"], "?lt(timestamp,2024-01-01)", (400, 19)),
        (recorded["b"], "?ge(message,a)", (400, 19)),
        (recorded["b"], "?limit(5)", (400, 19)),
        (recorded["b"], "", (400, 1413)),
        (new_record_id(), "", (404, 16)),
        ("not-an-id", "", (400, 12)),
    ):
        answer = await horizon.admin.get(f"{REQUESTS}/{record_id}/logs{query}")

        assert (answer.status_code, answer.json()["code"]) == expected, query


async def test_27_lines_a_function_writes_are_readable_soon_after_its_answer(horizon: Horizon) -> None:
    await horizon.create("greeter")
    horizon.script.lines = (
        LogLine(timestamp_ms=1_714_557_600_131, level="info", message="t\tid\tINFO\thi", text="hi"),
    )
    answer = await horizon.call("greeter/orders/7?full=1", "POST", json={"qty": 2})
    record = (await horizon.records(1))[0]

    async def lines() -> dict[str, Any]:
        # They may come with the next batch.
        found = await horizon.admin.get(f"{REQUESTS}/{record['id']}/logs")
        assert found.status_code == 200, found.text
        told: dict[str, Any] = found.json()
        return told

    shown = await eventually(lines)
    assert answer.status_code == 200
    assert is_record_id(record["id"])
    assert (record["path"], record["method"], record["statusCode"]) == ("/orders/7?full=1", "POST", 200)
    assert record["duration"] == 0.0125
    assert shown["data"] == [{"message": "t\tid\tINFO\thi\n", "timestamp": "2024-05-01T10:00:00.131Z"}]


async def test_records_outlive_their_function(horizon: Horizon) -> None:
    await horizon.create("greeter")
    await horizon.call("greeter")
    await horizon.records(1)
    await horizon.admin.delete("/tasks/v1/functions/greeter")

    assert (await horizon.records(1))[0]["functionName"] == "greeter"
