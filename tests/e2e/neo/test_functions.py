"""Functions as they are stored: create, list, read, change, delete (contracts/neo.md 3; checks 2 to 10, 23)."""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.neo.conftest import Account
from tests.support.builders import neo_function

SAMPLE = {
    "name": "hello-world",
    "code": """
  module.exports = async function(context) {
    const { params } = context;
    return {
      message: `Hello, ${params.name || 'World'}!`,
      timestamp: new Date().toISOString()
    };
  };
""",
    "runtime": "node16",
    "description": "A simple hello world function",
    "environment": {"LOG_LEVEL": "info"},
    "secrets": ["api-key-1"],
    "tags": ["example", "demo"],
}
"""The body of the create sample on the published page."""
LISTED = {"id", "name", "description", "runtime", "status", "createdAt", "updatedAt", "tags", "lastInvocation"}
DETAILS = (LISTED - {"lastInvocation"}) | {"timeout", "environment", "secrets", "stats"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FINE = "module.exports = () => 'old'"


def create(account: Account, name: str, code: str = FINE, **fields: Any) -> dict[str, Any]:
    answer = account.neo.post("/v1/functions", json=neo_function(name, code, **fields))
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def names(account: Account, query: str = "") -> list[str]:
    answer = account.neo.get(f"/v1/functions?{query}")
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["data"]]


def result(account: Account, name: str) -> Any:
    answer = account.neo.post(f"/v1/functions/{name}/invoke")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def test_the_sample_of_the_published_page_is_created_as_it_shows(account: Account) -> None:
    answer = account.neo.post("/v1/functions", json=SAMPLE)

    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert set(answer.json()) == {"success", "data"}
    made = answer.json()["data"]
    assert made.pop("createdAt") == made.pop("updatedAt")
    assert re.fullmatch(r"func_[a-z0-9]{10}", made.pop("id"))
    assert made == {**SAMPLE, "timeout": 30, "status": "active"}
    greeting = account.neo.post("/v1/functions/hello-world/invoke", json={"params": {"name": "Neo"}, "async": False})
    assert greeting.json()["data"]["result"]["message"] == "Hello, Neo!"


def test_a_name_of_64_characters_is_taken_once(account: Account) -> None:
    name = "n" * 64

    assert create(account, name)["name"] == name
    assert refusal(account.neo.post("/v1/functions", json=neo_function(name, "1"))) == (409, "conflict")
    assert names(account) == [name]


@pytest.mark.parametrize(
    "code", ["module.exports = () => {", "}); x(); (function(){", "import a from 'a'", "x" * 100_001]
)
def test_code_that_does_not_compile_is_refused_at_create_and_at_update(account: Account, code: str) -> None:
    create(account, "kept")

    created = account.neo.post("/v1/functions", json=neo_function("never", code))
    updated = account.neo.put("/v1/functions/kept", json={"code": code, "description": "never"})

    assert refusal(created) == refusal(updated) == (400, "invalid_function_code")
    assert created.json()["error"]["details"]["message"]
    assert names(account) == ["kept"]
    assert account.neo.get("/v1/functions/kept").json()["data"]["description"] == ""
    assert result(account, "kept") == "old"


def test_a_list_has_its_defaults_and_says_if_there_is_more(account: Account) -> None:
    made = [create(account, f"f{number:02}")["name"] for number in range(12)]

    def page(query: str) -> tuple[list[str], dict[str, Any]]:
        answer = account.neo.get(f"/v1/functions?{query}").json()
        return [item["name"] for item in answer["data"]], answer["pagination"]

    assert page("") == (made[:1:-1], {"total": 12, "limit": 10, "offset": 0, "hasMore": True})
    assert page("offset=10") == (made[1::-1], {"total": 12, "limit": 10, "offset": 10, "hasMore": False})
    assert page("offset=12") == ([], {"total": 12, "limit": 10, "offset": 12, "hasMore": False})
    assert page("limit=5&offset=5&order=asc") == (
        made[5:10],
        {"total": 12, "limit": 5, "offset": 5, "hasMore": True},
    )
    assert page("limit=100&sort=name&order=desc")[0] == made[::-1]


def test_a_list_is_filtered_and_sorted(account: Account) -> None:
    create(account, "b", runtime="node16", tags=["Demo", "x"])
    create(account, "a", tags=["demo"])
    create(account, "c", tags=["demo-2"])
    assert account.neo.put("/v1/functions/b", json={"status": "inactive"}).status_code == 200

    assert names(account, "tag=demo") == ["a"]
    assert names(account, "runtime=node16") == ["b"]
    assert names(account, "status=active&sort=name&order=asc") == ["a", "c"]
    assert names(account, "status=inactive") == ["b"]
    assert names(account, "sort=name&order=asc") == ["a", "b", "c"]
    assert names(account, "sort=createdAt&order=asc") == ["b", "a", "c"]
    assert names(account, "sort=updatedAt&order=desc") == ["b", "c", "a"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=x", "offset=-1", "offset=1.5", "runtime=node20", "status=gone",
        "sort=id", "order=up",
    ],
)  # fmt: skip
def test_a_bad_parameter_of_a_list_is_refused_and_named(account: Account, query: str) -> None:
    answer = account.neo.get(f"/v1/functions?{query}")

    assert refusal(answer) == (400, "invalid_request")
    assert answer.json()["error"]["details"]["field"] == query.partition("=")[0]


def test_items_of_a_list_show_no_code_environment_secrets_or_timeout(account: Account) -> None:
    create(account, "f", environment={"A": "1"}, secrets=["s"])

    [item] = account.neo.get("/v1/functions").json()["data"]

    assert set(item) == LISTED
    assert item["lastInvocation"] is None
    assert TIME.fullmatch(item["createdAt"])


def test_code_is_shown_when_asked_for_and_exactly(account: Account) -> None:
    code = "// \u00fcnic\u00f6de \U0001f30a \u2028 \\u0041\r\n\tmodule.exports = () => '\u6c34'\n"
    made = create(account, "f", code)

    without = [
        account.neo.get(f"/v1/functions/f?{query}").json()["data"]
        for query in ("", "include_code=false", "include_code=0")
    ]
    with_it = [
        account.neo.get(f"/v1/functions/{made['id']}?include_code={yes}").json()["data"] for yes in ("true", "1")
    ]

    assert all(set(each) == DETAILS for each in without)
    assert all(set(each) == DETAILS | {"code"} for each in with_it)
    assert [each["code"] for each in with_it] == [code, code]
    assert refusal(account.neo.get("/v1/functions/f?include_code=yes")) == (400, "invalid_request")


def test_an_update_changes_what_it_names_and_the_next_run_uses_it(account: Account) -> None:
    made = create(account, "f", tags=["t"], environment={"A": "1"}, timeout=7)
    assert result(account, "f") == "old"

    answer = account.neo.put("/v1/functions/f", json={"code": "module.exports = () => 'new'", "description": "changed"})

    changed = answer.json()["data"]
    assert answer.status_code == 200
    assert changed == {
        **made,
        "code": "module.exports = () => 'new'",
        "description": "changed",
        "updatedAt": changed["updatedAt"],
    }
    assert changed["updatedAt"] >= made["updatedAt"]
    assert result(account, "f") == "new"
    replaced = account.neo.put(f"/v1/functions/{made['id']}", json={"tags": [], "environment": {"B": "2"}}).json()[
        "data"
    ]
    assert (replaced["tags"], replaced["environment"], replaced["timeout"]) == ([], {"B": "2"}, 7)


@pytest.mark.parametrize(
    "body", [{}, {"timeout": 0, "description": "never"}, {"id": "func_other00000"}, {"status": "on"}]
)
def test_an_update_is_all_or_nothing(account: Account, body: dict[str, Any]) -> None:
    create(account, "f")
    before = account.neo.get("/v1/functions/f?include_code=1").json()["data"]

    assert refusal(account.neo.put("/v1/functions/f", json=body)) == (400, "invalid_request")
    assert account.neo.get("/v1/functions/f?include_code=1").json()["data"] == before


def test_an_inactive_function_is_not_run_and_works_again_when_active(account: Account) -> None:
    create(account, "f")

    account.neo.put("/v1/functions/f", json={"status": "inactive"})
    assert refusal(account.neo.post("/v1/functions/f/invoke")) == (400, "invalid_request")
    account.neo.put("/v1/functions/f", json={"status": "active"})

    assert result(account, "f") == "old"


def test_a_deleted_function_is_gone_from_every_route(account: Account) -> None:
    made = create(account, "f")
    execution = account.neo.post("/v1/functions/f/invoke").json()["data"]["execution"]["id"]

    answer = account.neo.delete("/v1/functions/f")

    assert (answer.status_code, answer.json()) == (200, {"success": True, "data": {"id": made["id"], "deleted": True}})
    for reference in ("f", made["id"]):
        for method, path in (
            ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/invoke"), ("GET", "/executions"),
            ("GET", f"/executions/{execution}"), ("GET", "/environment"), ("PUT", "/environment"), ("PUT", "/secrets"),
        ):  # fmt: skip
            gone = account.neo.request(method, f"/v1/functions/{reference}{path}")
            assert refusal(gone) == (404, "function_not_found"), (method, path)
    assert names(account) == []
    assert create(account, "f")["id"] != made["id"]


def test_the_environment_is_replaced_and_reaches_the_next_run(account: Account) -> None:
    create(account, "f", "module.exports = ({ environment }) => environment", environment={"A": "1", "B": "2"})
    assert account.neo.get("/v1/functions/f/environment").json()["data"] == {"environment": {"A": "1", "B": "2"}}

    answer = account.neo.put("/v1/functions/f/environment", json={"environment": {"C": "3"}})

    assert (answer.status_code, answer.json()["data"]) == (200, {"environment": {"C": "3"}})
    assert result(account, "f") == {"C": "3"}
    assert account.neo.get("/v1/functions/f").json()["data"]["environment"] == {"C": "3"}
    assert account.neo.put("/v1/functions/f/environment", json={"D": "4"}).json()["data"] == {"environment": {"D": "4"}}
    assert account.neo.put("/v1/functions/f/environment", json={"environment": {}}).json()["data"] == {
        "environment": {}
    }
    assert result(account, "f") == {}


@pytest.mark.parametrize(
    "body", ["{}", "[]", '{"environment": null}', '{"environment": "A=1"}', '{"environment": {"A": 1}}', '{"A": null}']
)
def test_a_bad_environment_changes_nothing(account: Account, body: str) -> None:
    create(account, "f", environment={"A": "1"})

    assert refusal(account.neo.put("/v1/functions/f/environment", content=body)) == (400, "invalid_request")
    assert account.neo.get("/v1/functions/f/environment").json()["data"] == {"environment": {"A": "1"}}
