"""The Neo dialect over HTTP: functions are made, read, listed, changed and removed (contracts/neo.md 3.1 to 3.5)."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from services.api.access.authentication import identify_key
from services.api.operations.create_function import NewFunction, Upload, create_function
from shared.domain.function import Convention, VersionSpec
from tests.integration.api.harness import API_KEY, Running, running

CODE = "module.exports = async (c) => c.params"


async def create(api: Running, name: str = "greet", **fields: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/functions", json={"name": name, "code": CODE, "runtime": "node18", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def error_of(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert body["success"] is False
    assert set(body) == {"success", "error"}
    return dict(body["error"])


async def test_a_function_is_created_with_the_fields_of_the_contract(api: Running) -> None:
    made = await create(
        api,
        "hello-world",
        runtime="node16",
        description="A simple hello world function",
        environment={"LOG_LEVEL": "info"},
        secrets=["api-key-1", "api-key-1"],
        tags=["example", "demo", "example"],
    )

    assert re.fullmatch(r"func_[a-z0-9]{10}", made.pop("id"))
    created, updated = made.pop("createdAt"), made.pop("updatedAt")
    assert created == updated
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert made == {
        "name": "hello-world",
        "description": "A simple hello world function",
        "runtime": "node16",
        "timeout": 30,
        "code": CODE,
        "status": "active",
        "tags": ["example", "demo"],
        "environment": {"LOG_LEVEL": "info"},
        "secrets": ["api-key-1"],
    }


async def test_a_taken_name_is_a_conflict_and_leaves_the_first_function(api: Running) -> None:
    first = await create(api, "a" * 64)

    answer = await api.http.post("/v1/functions", json={"name": "a" * 64, "code": "1", "runtime": "node18"})

    assert answer.status_code == 409
    assert error_of(answer)["code"] == "conflict"
    shown = (await api.http.get(f"/v1/functions/{first['id']}?include_code=1")).json()["data"]
    assert shown["code"] == CODE


async def test_code_that_does_not_compile_is_refused_and_nothing_is_left(api: Running) -> None:
    answer = await api.http.post("/v1/functions", json={"name": "bad", "code": "return {!!!", "runtime": "node18"})

    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "invalid_function_code"
    assert error["message"] == "Unexpected token '!'"
    assert error["details"] == {
        "name": "SyntaxError",
        "message": "Unexpected token '!'",
        "line": 1,
        "stack": "/function/index.js:1",
    }
    assert (await api.http.get("/v1/functions/bad")).status_code == 404
    await create(api, "bad")


async def test_an_account_has_its_quota(database_url: str) -> None:
    async with running(database_url, TIDEMILL_MAX_FUNCTIONS="2") as api:
        await create(api, "one")
        await create(api, "two")

        answer = await api.http.post("/v1/functions", json={"name": "three", "code": CODE, "runtime": "node18"})

        assert answer.status_code == 403
        assert error_of(answer)["code"] == "forbidden"
        assert error_of(answer)["details"] == {"limit": 2}


async def test_the_operators_time_limit_holds_below_the_dialects(database_url: str) -> None:
    async with running(database_url, TIDEMILL_MAX_TIMEOUT_S="60") as api:
        await create(api, timeout=60)

        made = await api.http.post(
            "/v1/functions", json={"name": "long", "code": CODE, "runtime": "node18", "timeout": 61}
        )
        changed = await api.http.put("/v1/functions/greet", json={"timeout": 61})

        assert [(answer.status_code, error_of(answer)["details"]["field"]) for answer in (made, changed)] == [
            (400, "timeout")
        ] * 2


async def test_a_function_is_read_by_id_and_by_name_with_code_only_when_asked(api: Running) -> None:
    made = await create(api, code="module.exports = () => 'näïve ✓ 💧'")

    by_id = (await api.http.get(f"/v1/functions/{made['id']}")).json()["data"]
    by_name = (await api.http.get("/v1/functions/greet/")).json()["data"]
    with_code = (await api.http.get("/v1/functions/greet?include_code=true")).json()["data"]

    assert by_id == by_name
    assert "code" not in by_id
    assert with_code["code"] == made["code"]
    assert by_id["stats"] == {
        "invocations": {"total": 0, "success": 0, "failed": 0, "last24Hours": 0},
        "averageExecutionTime": 0,
        "lastInvocation": None,
    }
    assert (await api.http.get("/v1/functions/greet?include_code=yes")).status_code == 400


async def test_pages_of_the_list_never_overlap_and_say_if_there_is_more(api: Running) -> None:
    for number in range(12):
        await create(api, f"f-{number:02}")

    default = (await api.http.get("/v1/functions")).json()
    first = (await api.http.get("/v1/functions?limit=5&sort=name&order=asc")).json()
    last = (await api.http.get("/v1/functions?limit=5&offset=10&sort=name&order=asc")).json()
    beyond = (await api.http.get("/v1/functions?limit=5&offset=12&sort=name&order=asc")).json()

    assert default["pagination"] == {"total": 12, "limit": 10, "offset": 0, "hasMore": True}
    assert [item["name"] for item in default["data"]] == [f"f-{number:02}" for number in range(11, 1, -1)]
    assert [item["name"] for item in first["data"]] == [f"f-{number:02}" for number in range(5)]
    assert first["pagination"]["hasMore"] is True
    assert [item["name"] for item in last["data"]] == ["f-10", "f-11"]
    assert last["pagination"] == {"total": 12, "limit": 5, "offset": 10, "hasMore": False}
    assert beyond["data"] == []
    assert beyond["pagination"]["hasMore"] is False
    assert set(default["data"][0]) == {
        "id", "name", "description", "runtime", "status", "createdAt", "updatedAt", "tags", "lastInvocation",
    }  # fmt: skip


async def test_the_list_is_filtered_and_sorted(api: Running) -> None:
    await create(api, "b", runtime="node16", tags=["Demo"])
    await create(api, "a", tags=["demo"])
    await create(api, "c", tags=["demo", "x"])
    await api.http.put("/v1/functions/c", json={"status": "inactive"})

    async def names(query: str) -> list[str]:
        answer = await api.http.get(f"/v1/functions?{query}")
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["data"]]

    assert await names("tag=demo&sort=name&order=asc") == ["a", "c"]
    assert await names("runtime=node16") == ["b"]
    assert await names("status=inactive") == ["c"]
    assert await names("sort=name") == ["c", "b", "a"]
    assert await names("order=asc") == ["b", "a", "c"]
    assert (await names("sort=updatedAt"))[0] == "c"
    assert await names("tag=nothing&unknown=ignored") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
        ("limit=1.5", "limit"), ("offset=-1", "offset"), ("offset=x", "offset"), ("runtime=node20", "runtime"),
        ("status=paused", "status"), ("sort=size", "sort"), ("order=down", "order"),
    ],
)  # fmt: skip
async def test_a_bad_list_parameter_is_refused_and_named(api: Running, query: str, field: str) -> None:
    answer = await api.http.get(f"/v1/functions?{query}")

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalid_request"
    assert error_of(answer)["details"]["field"] == field


async def test_an_update_changes_only_what_it_names(api: Running) -> None:
    made = await create(api, description="old", tags=["a"], environment={"A": "1", "B": "2"}, timeout=7)

    answer = await api.http.put("/v1/functions/greet", json={"environment": {"C": "3"}, "code": "module.exports = 1"})

    assert answer.status_code == 200, answer.text
    changed = answer.json()["data"]
    assert changed["environment"] == {"C": "3"}
    assert changed["code"] == "module.exports = 1"
    kept = ("id", "name", "description", "runtime", "timeout", "tags", "secrets", "status", "createdAt")
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}


async def test_a_refused_update_changes_nothing(api: Running) -> None:
    await create(api, description="old")

    answer = await api.http.put("/v1/functions/greet", json={"description": "new", "code": "!!!"})

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalid_function_code"
    shown = (await api.http.get("/v1/functions/greet?include_code=1")).json()["data"]
    assert (shown["description"], shown["code"]) == ("old", CODE)


async def test_a_function_can_be_renamed_but_not_to_a_taken_name(api: Running) -> None:
    made = await create(api, "old-name")
    await create(api, "taken")

    renamed = await api.http.put("/v1/functions/old-name", json={"name": "new-name", "timeout": 5})
    refused = [
        await api.http.put("/v1/functions/new-name", json={"name": "taken", **more}) for more in ({}, {"timeout": 9})
    ]

    assert renamed.json()["data"]["id"] == made["id"]
    assert [answer.status_code for answer in refused] == [409, 409]
    assert (await api.http.get("/v1/functions/old-name")).status_code == 404
    assert (await api.http.get("/v1/functions/new-name")).json()["data"]["timeout"] == 5
    assert (await api.http.post("/v1/functions/new-name/invoke")).status_code == 200
    assert (await api.http.post("/v1/functions/old-name/invoke")).status_code == 404


async def test_updates_at_the_same_time_all_take_effect(api: Running) -> None:
    await create(api)
    bodies: list[dict[str, Any]] = [
        {"timeout": 11}, {"environment": {"X": "1"}}, {"secrets": ["s"]}, {"runtime": "node16"}, {"tags": ["t"]},
    ]  # fmt: skip

    answers = await asyncio.gather(*(api.http.put("/v1/functions/greet", json=body) for body in bodies))

    assert [answer.status_code for answer in answers] == [200] * len(bodies)
    shown = (await api.http.get("/v1/functions/greet")).json()["data"]
    assert {name: shown[name] for name in ("timeout", "environment", "secrets", "runtime", "tags")} == {
        "timeout": 11,
        "environment": {"X": "1"},
        "secrets": ["s"],
        "runtime": "node16",
        "tags": ["t"],
    }


@pytest.mark.parametrize("body", [{}, {"unknown": 1}, {"status": "gone"}, {"name": "a b"}, {"timeout": 0}])
async def test_an_update_that_says_nothing_or_wrong_is_refused(api: Running, body: dict[str, Any]) -> None:
    await create(api)

    answer = await api.http.put("/v1/functions/greet", json=body)

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalid_request"


async def test_a_deleted_function_is_gone_everywhere_and_its_name_is_free(api: Running) -> None:
    made = await create(api)
    await api.http.post("/v1/functions/greet/invoke")

    answer = await api.http.delete("/v1/functions/greet")

    assert answer.json() == {"success": True, "data": {"id": made["id"], "deleted": True}}
    path = f"/v1/functions/{made['id']}"
    for method, sub in (
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/invoke"), ("GET", "/executions"),
        ("GET", "/executions/exec_1"), ("GET", "/environment"), ("PUT", "/environment"), ("PUT", "/secrets"),
    ):  # fmt: skip
        gone = await api.http.request(method, path + sub)
        assert (gone.status_code, error_of(gone)["code"]) == (404, "function_not_found"), sub
    assert (await api.http.get("/v1/functions")).json()["data"] == []
    again = await create(api)
    assert again["id"] != made["id"]


async def test_environment_is_replaced_whole(api: Running) -> None:
    await create(api, environment={"A": "1", "B": "2"})

    put = await api.http.put("/v1/functions/greet/environment", json={"environment": {"A": "3"}})
    shown = await api.http.get("/v1/functions/greet/environment")
    bare = await api.http.put("/v1/functions/greet/environment", json={"Z": "bare"})
    emptied = await api.http.put("/v1/functions/greet/environment", json={"environment": {}})
    wrong: list[Any] = [{}, [], "x", {"environment": "x"}, {"environment": {"1A": "x"}}, {"A": 1}]
    refused = [(await api.http.put("/v1/functions/greet/environment", json=body)).status_code for body in wrong]

    assert put.json() == shown.json() == {"success": True, "data": {"environment": {"A": "3"}}}
    assert bare.json()["data"] == {"environment": {"Z": "bare"}}
    assert emptied.json()["data"] == {"environment": {}}
    assert refused == [400] * 6


async def test_secret_grants_are_replaced_whole(api: Running) -> None:
    await create(api, secrets=["one"])

    put = await api.http.put("/v1/functions/greet/secrets", json={"secrets": ["two", "two"]})
    emptied = await api.http.put("/v1/functions/greet/secrets", json={"secrets": []})
    wrong: list[Any] = [{}, {"secrets": "x"}, {"secrets": [1]}, {"secrets": ["-x"]}]
    refused = [(await api.http.put("/v1/functions/greet/secrets", json=body)).status_code for body in wrong]

    assert put.json() == {"success": True, "data": {"secrets": ["two"]}}
    assert emptied.json()["data"] == {"secrets": []}
    assert refused == [400] * 4


async def test_a_packaged_function_shows_no_code_and_takes_none(api: Running) -> None:
    platform = api.api.platform
    spec = VersionSpec(
        runtime="nodejs20.x", convention=Convention.LAMBDA, handler="index.handler", timeout_s=30, memory_mb=256
    )
    wanted = NewFunction(name="packaged", spec=spec, upload=Upload(kind="zip", content=b"PK"))
    await create_function(platform, await identify_key(platform, API_KEY), wanted)

    shown = (await api.http.get("/v1/functions/packaged?include_code=1")).json()["data"]
    invoked = await api.http.post("/v1/functions/packaged/invoke", json={"params": {"n": 1}})
    wrong: list[Any] = [{"code": CODE}, {"runtime": "node18"}]
    refused = [await api.http.put("/v1/functions/packaged", json=body) for body in wrong]
    changed = await api.http.put("/v1/functions/packaged", json={"timeout": 9})

    assert (shown["runtime"], shown["code"]) == ("nodejs20.x", None)
    assert invoked.json()["data"]["result"] == {"n": 1}
    assert [answer.status_code for answer in refused] == [400, 400]
    assert changed.json()["data"]["timeout"] == 9
