"""``/v1/secrets``: bodies, pages, bounds and what a change announces."""

from typing import Any

from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.database import functions
from shared.domain.permission import API_KEY_PERMISSIONS
from shared.messages.messages import FunctionChanged, Notice
from tests.integration.api.harness import Running, running

GOOD: dict[str, Any] = {"name": "price-api", "value": "four"}


async def error_of(api: Running, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    answer = await api.http.request(method, path, **request)
    return answer.status_code, answer.json()["error"]


BAD: dict[str, list[Any]] = {
    "name": ["", "-a", ".a", "_a", "a b", "a/b", "ä", "a" * 101, 7, None, ["a"], "sec_0123456789"],
    "value": ["", "x" * 5001, "ä" * 2501, 7, None, {"a": 1}, True],
    "description": ["x" * 501, 7, None, "nul\0"],
    "functions": [
        "func_0123456789",
        [7],
        ["price"],
        ["func_0123456789", None],
        {},
        [f"func_{number:010}" for number in range(101)],
    ],
}


async def test_a_bad_field_is_named_and_nothing_is_kept_or_changed(api: Running) -> None:
    for field, values in BAD.items():
        for bad in values:
            status, error = await error_of(api, "POST", "/v1/secrets", json={**GOOD, field: bad})
            assert (status, error["code"], error["details"]["field"]) == (400, "invalid_request", field), bad
    assert (await api.http.get("/v1/secrets")).json()["data"] == []

    await api.http.post("/v1/secrets", json=GOOD)
    for field in ("value", "description", "functions"):
        for bad in BAD[field]:
            body = {"description": "kept out", "functions": [], field: bad}
            status, error = await error_of(api, "PUT", "/v1/secrets/price-api", json=body)
            assert (status, error["code"], error["details"]["field"]) == (400, "invalid_request", field), bad
    kept = (await api.http.get("/v1/secrets/price-api")).json()["data"]
    assert (kept["description"], kept["version"], kept["functions"]) == ("", 1, None)


async def test_a_body_that_lacks_something_or_is_no_json_object_is_refused(api: Running) -> None:
    for missing in ("name", "value"):
        body = {key: value for key, value in GOOD.items() if key != missing}
        status, error = await error_of(api, "POST", "/v1/secrets", json=body)
        assert (status, error["details"]) == (400, {"field": missing, "issue": "missing"})
    for content in (b"", b"[]", b"{", b"null", b'{"name": "a\xff"}', b'{"name":"a","value":"\\ud800abc"}'):
        status, error = await error_of(api, "POST", "/v1/secrets", content=content)
        assert (status, error["code"]) == (400, "invalid_request"), content
    await api.http.post("/v1/secrets", json=GOOD)
    status, error = await error_of(api, "PUT", "/v1/secrets/price-api", json={})
    assert (status, error["details"]["field"]) == (400, "body")


async def test_the_longest_of_each_field_is_taken(api: Running) -> None:
    longest = {"name": "a" * 100, "value": "x" * 5000, "description": "ä" * 500}

    assert (await api.http.post("/v1/secrets", json=longest)).status_code == 201


async def test_a_name_is_given_once_in_an_account(api: Running) -> None:
    await api.http.post("/v1/secrets", json=GOOD)

    status, error = await error_of(api, "POST", "/v1/secrets", json={**GOOD, "value": "other"})

    assert (status, error["code"]) == (409, "conflict")


async def test_a_list_is_paged_by_name(api: Running) -> None:
    names = [f"secret-{number:02}" for number in range(25)]
    for name in reversed(names):
        assert (await api.http.post("/v1/secrets", json={**GOOD, "name": name})).status_code == 201

    first = (await api.http.get("/v1/secrets")).json()
    second = (await api.http.get("/v1/secrets?offset=20&limit=10")).json()
    beyond = (await api.http.get("/v1/secrets?offset=25")).json()

    assert [each["name"] for each in first["data"] + second["data"]] == names
    assert first["pagination"] == {"total": 25, "limit": 20, "offset": 0, "hasMore": True}
    assert second["pagination"] == {"total": 25, "limit": 10, "offset": 20, "hasMore": False}
    assert (beyond["data"], beyond["pagination"]["hasMore"]) == ([], False)
    for query in ("limit=0", "limit=101", "offset=-1", "limit=x"):
        status, error = await error_of(api, "GET", f"/v1/secrets?{query}")
        assert (status, error["details"]["field"]) == (400, query.partition("=")[0])


async def test_an_account_has_so_many_secrets_and_no_more(database_url: str) -> None:
    async with running(database_url, TIDEMILL_MAX_SECRETS="2") as api:
        for name in ("one", "two"):
            await api.http.post("/v1/secrets", json={**GOOD, "name": name})

        status, error = await error_of(api, "POST", "/v1/secrets", json={**GOOD, "name": "three"})
        assert (status, error["code"], error["details"]["limit"]) == (403, "forbidden", 2)

        await api.http.delete("/v1/secrets/one")
        assert (await api.http.post("/v1/secrets", json={**GOOD, "name": "three"})).status_code == 201


async def test_an_unknown_secret_is_not_found_whatever_is_sent(api: Running) -> None:
    for method in ("GET", "PUT", "DELETE"):
        for handle in ("nobody", "sec_0123456789", "%00", "a%2Fb"):
            status, error = await error_of(api, method, f"/v1/secrets/{handle}", content=b"{")

            assert (status, error["code"]) == (404, "not_found")


NEEDS = [
    ("GET", "/v1/secrets", "read"),
    ("GET", "/v1/secrets/price-api", "read"),
    ("POST", "/v1/secrets", "write"),
    ("PUT", "/v1/secrets/price-api", "write"),
    ("DELETE", "/v1/secrets/price-api", "admin"),
]


async def test_each_call_needs_its_permission(api: Running) -> None:
    await api.http.post("/v1/secrets", json=GOOD)
    keys = {permission: await api.new_key(permission) for permission in API_KEY_PERMISSIONS}
    for method, path, needed in NEEDS:
        anonymous = await api.http.request(method, path, headers={"X-API-Key": ""})
        assert (anonymous.status_code, anonymous.json()["error"]["code"]) == (401, "unauthorized")
        for permission, key in keys.items():
            body = {**GOOD, "name": f"of-{permission}"}
            answer = await api.http.request(method, path, headers={"X-API-Key": key}, json=body)

            if permission in (needed, "admin"):
                assert answer.status_code in (200, 201), answer.text
            else:
                assert (answer.status_code, answer.json()["error"]["details"]) == (403, {"required": needed})


async def test_without_a_master_key_nothing_is_kept_and_the_answer_says_why(database_url: str) -> None:
    async with running(database_url, Envelope(KeyRing(()))) as api:
        answer = await api.http.post("/v1/secrets", json=GOOD)

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
        assert "master key" in answer.json()["error"]["message"]
        assert (await api.http.get("/v1/secrets")).json()["data"] == []


async def test_a_change_is_announced_for_the_functions_that_list_the_secret_and_no_others(api: Running) -> None:
    heard: list[Notice] = []
    await api.bus.subscribe(heard.append, on_gap=heard.clear)
    ids = {}
    for name, granted in (("lists", ["price-api"]), ("lists-more", ["x", "price-api"]), ("does-not", ["price"])):
        body = {"name": name, "code": "module.exports = () => 1", "runtime": "node18", "secrets": granted}
        ids[name] = (await api.http.post("/v1/functions", json=body)).json()["data"]["id"]
    concerned = {ids["lists"], ids["lists-more"]}

    changes_made: list[tuple[str, str, Any]] = [
        ("POST", "/v1/secrets", GOOD),
        ("PUT", "/v1/secrets/price-api", {"value": "other"}),
        ("PUT", "/v1/secrets/price-api", {"functions": []}),
        ("DELETE", "/v1/secrets/price-api", None),
    ]
    for method, path, change in changes_made:
        before = {each: await functions.find_function(api.db, each) for each in ids.values()}
        heard.clear()
        await api.http.request(method, path, json=change)

        changes = [notice for notice in heard if isinstance(notice, FunctionChanged)]
        assert {notice.function_id for notice in changes} == concerned
        for function_id, old in before.items():
            new = await functions.find_function(api.db, function_id)
            assert old is not None
            assert new is not None
            assert new.revision == old.revision + (function_id in concerned)
            assert new.updated_at == old.updated_at
        assert not any(notice.version_changed or notice.deleted for notice in changes)

    heard.clear()
    await api.http.post("/v1/secrets", json=GOOD)
    heard.clear()
    await api.http.put("/v1/secrets/price-api", json={"description": "told, not given"})
    assert heard == []
