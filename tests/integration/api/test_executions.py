"""The Neo dialect over HTTP: runs are listed and read, and counted (contracts/neo.md 3.3, 3.7, 3.8)."""

import pytest

from shared.domain.outcome import LogLine, Raised
from tests.integration.api.harness import Running
from tests.integration.api.runs import recorded, returning
from tests.integration.api.test_functions import create, error_of


async def test_executions_are_listed_newest_first_in_pages(api: Running) -> None:
    await create(api)
    ids = [(await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"] for _ in range(5)]
    for execution_id in ids:
        await recorded(api, execution_id)

    first = (await api.http.get("/v1/functions/greet/executions?limit=2")).json()
    last = (await api.http.get("/v1/functions/greet/executions?limit=2&offset=4")).json()

    assert [item["id"] for item in first["data"]] == ids[:2:-1]
    assert first["pagination"] == {"total": 5, "limit": 2, "offset": 0, "hasMore": True}
    assert [item["id"] for item in last["data"]] == ids[:1]
    assert last["pagination"] == {"total": 5, "limit": 2, "offset": 4, "hasMore": False}
    assert set(first["data"][0]) == {
        "id", "status", "startedAt", "completedAt", "duration", "params", "hasResult", "hasError",
    }  # fmt: skip


async def test_executions_are_filtered_by_status_and_by_date_at_the_printed_precision(api: Running) -> None:
    await create(api)
    good = (await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"]
    api.script.run = returning(Raised(name="Error", message="no"))
    bad = (await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"]
    started = (await recorded(api, good))["startedAt"]
    await recorded(api, bad)

    async def ids(**query: str) -> set[str]:
        answer = await api.http.get("/v1/functions/greet/executions", params=query)
        assert answer.status_code == 200, answer.text
        return {item["id"] for item in answer.json()["data"]}

    assert await ids(status="completed") == {good}
    assert await ids(status="failed") == {bad}
    assert await ids(status="running") == set()
    assert good in await ids(start_date=started, end_date=started)
    assert good in await ids(start_date=started.replace("Z", "+00:00"))
    assert good in await ids(start_date=started[:10])
    assert await ids(end_date=started[:10]) == set()
    assert await ids(start_date="2999-01-01", end_date="2000-01-01") == set()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"), ("limit=0", "limit"), ("start_date=yesterday", "start_date"),
        ("end_date=2026-13-01", "end_date"), ("end_date=", "end_date"),
    ],
)  # fmt: skip
async def test_a_bad_execution_parameter_is_refused_and_named(api: Running, query: str, field: str) -> None:
    await create(api)

    answer = await api.http.get(f"/v1/functions/greet/executions?{query}")

    assert answer.status_code == 400
    assert error_of(answer)["details"]["field"] == field


async def test_an_execution_shows_what_its_author_logged(api: Running) -> None:
    await create(api)
    api.script.lines = [
        LogLine(timestamp_ms=1_700_000_000_123, level="info", message="…\tINFO\tstart { n: 1 }", text="start { n: 1 }"),
        LogLine(timestamp_ms=1_700_000_001_000, level="error", message="…\tERROR\toh", text="oh"),
    ]

    answer = await api.http.post("/v1/functions/greet/invoke")

    record = await recorded(api, answer.headers["X-Execution-Id"])
    assert record["logs"] == [
        {"timestamp": "2023-11-14T22:13:20Z", "level": "info", "message": "start { n: 1 }"},
        {"timestamp": "2023-11-14T22:13:21Z", "level": "error", "message": "oh"},
    ]


async def test_an_execution_says_how_many_of_its_lines_are_missing_and_why(api: Running) -> None:
    await create(api)
    api.script.lines = [LogLine(timestamp_ms=n, level="info", message=f"m{n}", text=f"line {n}") for n in range(3)]
    execution_id = (await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"]
    assert len((await recorded(api, execution_id))["logs"]) == 3

    async def logs() -> list[tuple[str, str]]:
        return [(line["level"], line["message"]) for line in (await recorded(api, execution_id))["logs"]]

    await api.db.execute("DELETE FROM log_lines WHERE number > 0")
    await api.db.execute("UPDATE executions SET finished_at = now() + interval '1 minute'")
    assert await logs() == [("info", "line 0")]
    await api.db.execute("UPDATE executions SET finished_at = now() - interval '3 seconds'")
    assert await logs() == [
        ("info", "line 0"),
        ("warn", "2 more lines are not shown: 2 not stored, or not yet"),
    ]
    await api.db.execute("UPDATE executions SET dropped_log_lines = 5")
    assert (await logs())[1:] == [
        ("warn", "7 more lines are not shown: 5 dropped beyond the limit of one run, 2 not stored, or not yet"),
    ]
    await api.db.execute(
        "INSERT INTO log_lines SELECT record_id, n, 1, 'info', 'm', NULL FROM log_lines, generate_series(1, 10004) n"
    )
    shown = await logs()
    assert len(shown) == 10_001
    assert shown[-1] == (
        "warn",
        "10 more lines are not shown: 5 dropped beyond the limit of one run, 5 beyond what is shown at once",
    )


async def test_an_execution_of_another_function_or_none_is_not_found(api: Running) -> None:
    await create(api)
    await create(api, "other")
    execution_id = (await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"]
    await recorded(api, execution_id)

    for path in (f"other/executions/{execution_id}", "greet/executions/exec_nothing", f"greet/executions/{'f' * 24}"):
        answer = await api.http.get(f"/v1/functions/{path}")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "execution_not_found")
    answer = await api.http.get(f"/v1/functions/none/executions/{execution_id}")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "function_not_found")


async def test_stats_count_good_and_bad_runs(api: Running) -> None:
    await create(api)
    for _ in range(3):
        await api.http.post("/v1/functions/greet/invoke")
    api.script.run = returning(Raised(name="Error", message="no"))
    last = (await api.http.post("/v1/functions/greet/invoke")).headers["X-Execution-Id"]
    record = await recorded(api, last)

    shown = (await api.http.get("/v1/functions/greet")).json()["data"]["stats"]
    [listed] = (await api.http.get("/v1/functions")).json()["data"]

    assert shown["invocations"] == {"total": 4, "success": 3, "failed": 1, "last24Hours": 4}
    assert isinstance(shown["averageExecutionTime"], int)
    assert shown["lastInvocation"] == listed["lastInvocation"] == record["startedAt"]
