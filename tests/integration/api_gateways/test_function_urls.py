"""Functions of this installation called through their URLs: open to anybody and to every origin."""

from dataclasses import replace

import httpx
import orjson
import pytest
import pytest_asyncio

from shared.database import functions
from shared.domain.errors import UnavailableError
from shared.domain.function import VersionSpec
from shared.domain.outcome import LogLine, Outcome, Raised, Returned
from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import Citizen, Town
from tests.integration.api_gateways.places import SPEC, keep_function
from tests.support.builders import unique

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def a_function(api: Running, ada: Citizen, spec: VersionSpec = SPEC) -> tuple[str, int, str]:
    """Make a project and a function in it, on this installation; return the function's id and number, and the slug."""
    project = await ada.project()
    home = (await ada.get(f"/api/projects/{project}"))["data"]["connectedCloudId"]
    return (*await keep_function(api.db, project, unique("thumbs"), connection=home, spec=spec), project)


@pytest_asyncio.fixture(loop_scope="session")
async def function_id(api: Running, ada: Citizen) -> str:
    return (await a_function(api, ada))[0]


@pytest_asyncio.fixture(loop_scope="session")
async def nobody(town: Town) -> httpx.AsyncClient:
    """A client without credentials."""
    return await town.client()


def answers(api: Running, result: object) -> None:
    async def run(_event: bytes) -> Outcome:
        return Returned(result=orjson.dumps(result))

    api.script.run = run


async def test_anybody_calls_a_function_by_its_url(api: Running, function_id: str, nobody: httpx.AsyncClient) -> None:
    answers(api, {"statusCode": 201, "headers": {"X-A": "b"}, "cookies": ["a=1", "b=2"], "body": "made"})

    answer = await nobody.post(
        f"/fn/{function_id}/v1/things%2Fx?q=a%20b&q=c", json={"a": 1}, headers={"Cookie": "k=v", "X-Two": "1"}
    )

    assert (answer.status_code, answer.text, answer.headers["X-A"]) == (201, "made", "b")
    assert answer.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    [call] = api.script.calls
    assert (call.function_id, call.kind) == (function_id, "gateways")
    event = orjson.loads(call.payload)
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/v1/things%2Fx", "q=a%20b&q=c")
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["requestId"] == call.record_id
    assert orjson.loads(event["body"]) == {"a": 1}
    assert event["cookies"] == ["k=v"]


@pytest.mark.parametrize("path", ["", "/"])
async def test_the_root_of_a_url_is_a_slash(
    api: Running, function_id: str, nobody: httpx.AsyncClient, path: str
) -> None:
    await nobody.get(f"/fn/{function_id}{path}")

    assert orjson.loads(api.script.calls[0].payload)["rawPath"] == "/"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_is_the_functions(
    api: Running, function_id: str, nobody: httpx.AsyncClient, method: str
) -> None:
    answers(api, {"statusCode": 200, "body": "done"})

    answer = await nobody.request(method, f"/fn/{function_id}/x")

    assert (answer.status_code, answer.text) == (200, "done")
    assert orjson.loads(api.script.calls[0].payload)["requestContext"]["http"]["method"] == method


async def test_a_head_has_the_headers_of_the_answer_and_no_body(
    api: Running, function_id: str, nobody: httpx.AsyncClient
) -> None:
    answers(api, {"statusCode": 200, "headers": {"X-A": "b"}, "body": "done"})

    answer = await nobody.head(f"/fn/{function_id}/x")

    assert (answer.status_code, answer.headers["X-A"], answer.content) == (200, "b", b"")


async def test_pages_of_every_origin_may_call_and_read(
    api: Running, function_id: str, nobody: httpx.AsyncClient
) -> None:
    asked = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, x-a",
    }
    answers(api, {"statusCode": 200, "headers": {"access-control-allow-origin": "https://b.example"}, "body": ""})

    may = await nobody.options(f"/fn/{function_id}/x", headers=asked)

    assert may.status_code == 200
    assert may.headers["Access-Control-Allow-Origin"] == "*"
    assert may.headers["Access-Control-Allow-Methods"] == "PUT"
    assert may.headers["Access-Control-Allow-Headers"] == "authorization, x-a"
    assert api.script.calls == []
    answer = await nobody.get(f"/fn/{function_id}/x", headers={"Origin": "https://a.example"})
    assert answer.headers.get_list("Access-Control-Allow-Origin") == ["*"]
    missing = await nobody.get("/fn/func_0000000000/", headers={"Origin": "https://a.example"})
    assert (missing.status_code, missing.headers["Access-Control-Allow-Origin"]) == (404, "*")


@pytest.mark.parametrize("outcome", ["raises", "no answer", "no status"])
async def test_a_function_that_fails_is_a_502_that_does_not_say_why(
    api: Running, function_id: str, nobody: httpx.AsyncClient, outcome: str
) -> None:
    async def run(_event: bytes) -> Outcome:
        if outcome == "raises":
            return Raised(name="TypeError", message="the password is wrong", stack="at index.js:1")
        return Returned(result=b'{"statusCode":99}' if outcome == "no answer" else b'{"statusCode":null}')

    api.script.run = run
    api.script.lines = (LogLine(timestamp_ms=1, level="error", message="oh", text="oh"),)

    answer = await nobody.get(f"/fn/{function_id}/")

    assert (answer.status_code, answer.json()) == (502, {"Message": "Internal Server Error"})
    assert "password" not in str(answer.headers)
    assert answer.headers["X-Amzn-RequestId"] == api.script.calls[0].record_id


async def test_an_outage_is_a_503(api: Running, function_id: str, nobody: httpx.AsyncClient) -> None:
    api.script.error = UnavailableError("no invoker")

    answer = await nobody.get(f"/fn/{function_id}/")

    assert (answer.status_code, answer.json()["error"]) == (503, "Service unavailable")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_functions_that_were_not_given_a_place_here_have_no_url(
    api: Running, ada: Citizen, nobody: httpx.AsyncClient
) -> None:
    bare, number = await keep_function(api.db, await ada.project(), "bare")

    for named in (bare, str(number), "func_0000000000", "x"):
        answer = await nobody.get(f"/fn/{named}/")
        assert (answer.status_code, answer.json()["error"]) == (404, "Function not found")
    assert api.script.calls == []


async def test_neither_a_disabled_nor_a_deleted_function_is_called(
    api: Running, function_id: str, nobody: httpx.AsyncClient
) -> None:
    await functions.set_enabled(api.db, function_id, enabled=False)
    assert (await nobody.get(f"/fn/{function_id}/")).status_code == 409

    await functions.delete_function(api.db, function_id)
    api.api.platform.functions.clear()

    assert (await nobody.get(f"/fn/{function_id}/")).status_code == 404
    assert api.script.calls == []


@pytest.mark.parametrize("what", ["environments/master", ""])
async def test_a_function_of_a_place_that_was_deleted_is_not_called(
    api: Running, ada: Citizen, nobody: httpx.AsyncClient, what: str
) -> None:
    function_id, _, project = await a_function(api, ada)
    assert (await nobody.get(f"/fn/{function_id}/")).status_code == 200

    await ada.send("POST", f"/api/projects/{project}/environments", {"name": "Other"}, status=201)
    await ada.send("DELETE", f"/api/projects/{project}/{what}".rstrip("/"))

    api.api.platform.functions.clear()  # what the cache forgets by itself half a minute later
    assert (await nobody.get(f"/fn/{function_id}/")).status_code == 404


async def test_a_body_may_be_six_mebibytes_as_an_event(
    api: Running, function_id: str, nobody: httpx.AsyncClient
) -> None:
    answers(api, "thanks")

    fits = await nobody.post(f"/fn/{function_id}/", content=b"a" * 6_000_000, headers={"Content-Type": "text/plain"})
    larger = await nobody.post(f"/fn/{function_id}/", content=b"a" * 6_000_000)
    too_large = await nobody.post(f"/fn/{function_id}/", content=b"a" * (6 * 1024 * 1024 + 1))

    assert (fits.status_code, fits.text) == (200, "thanks")
    assert larger.status_code == 413
    assert too_large.status_code == 413


@pytest.mark.parametrize("public", ["https://f.example", "https://f.example/base/"])
async def test_the_url_is_below_where_the_api_is_reached_from_outside(database_url: str, public: str) -> None:
    async with running(database_url, TIDEMILL_PUBLIC_URL=public) as api, Town(api) as town:
        ada = await town.citizen()
        function_id, number, project = await a_function(api, ada)

        shown = (await ada.get(f"/api/{project}/master/functions/{number}"))["data"]

        assert shown["endpoint"] == f"{public.rstrip('/')}/fn/{function_id}/"


async def test_variables_of_functions_are_sealed_by_a_running_api(api: Running, ada: Citizen) -> None:
    spec = replace(SPEC, environment={"TOKEN": "hunter2-and-more"})
    function_id, _, _ = await a_function(api, ada, spec)

    rows = await api.db.fetch(
        "SELECT environment, variables_id FROM function_versions WHERE function_id = $1", function_id
    )

    assert [(row["environment"], row["variables_id"] is None) for row in rows] == [({}, False)]
    function = await functions.find_function(api.db, function_id)
    assert function is not None
    assert function.version.spec.environment == spec.environment
