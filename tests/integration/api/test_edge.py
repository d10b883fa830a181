"""The edge: ids, slashes, wrong methods, broken requests, probes, both address families (over real sockets)."""

import asyncio
import json
import logging
import re
import socket
from contextlib import closing

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.api.app import ApiService
from services.api.server import Server
from shared.database import replicas
from shared.domain.errors import UnavailableError
from shared.domain.outcome import Outcome
from tests.integration.api.harness import API_KEY, Running, echo
from tests.integration.api.test_functions import create, error_of
from tests.support.eventually import eventually

PROTECTED = [
    ("GET", ""), ("POST", ""), ("GET", "/greet"), ("PUT", "/greet"), ("DELETE", "/greet"), ("POST", "/greet/invoke"),
    ("GET", "/greet/executions"), ("GET", "/greet/executions/exec_1"), ("GET", "/greet/environment"),
    ("PUT", "/greet/environment"), ("PUT", "/greet/secrets"),
]  # fmt: skip


async def raw(api: Running, request: bytes, *, until: bytes = b"") -> bytes:
    """Send bytes, return what comes back until the connection ends or ``until`` is in it."""
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    try:
        writer.write(request)
        await writer.drain()
        received = b""
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                received += chunk
                if until and until in received:
                    break
        return received
    finally:
        writer.close()
        await writer.wait_closed()


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {API_KEY}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("credential", [{}, {"X-API-Key": ""}, {"X-API-Key": "sl_" + "f" * 64}, {"X-API-Key": "é"}])
async def test_every_route_wants_a_valid_key(api: Running, credential: dict[str, str]) -> None:
    headers = {name.encode(): value.encode() for name, value in credential.items()}
    async with httpx.AsyncClient(base_url=api.address, verify=False) as anonymous:
        for method, path in PROTECTED:
            answer = await anonymous.request(method, f"/v1/functions{path}", headers=headers)
            assert answer.status_code == 401, path
            assert answer.json() == {
                "success": False,
                "error": {"code": "unauthorized", "message": "API key missing or not valid"},
            }
        assert (await anonymous.get("/v1/health")).status_code == 200


async def test_health_tells_the_version_that_really_runs_each_runtime(api: Running) -> None:
    async def told() -> list[tuple[str, str | None, bool]]:
        runtimes = (await api.http.get("/v1/health")).json()["data"]["runtimes"]
        return [(each["name"], each["version"], each["real"]) for each in runtimes]

    assert await told() == [("node16", None, False), ("node18", None, False)]
    one = {"runtimes": {"node16": {"version": "16.20.2"}, "node18": {"version": "18.20.8"}}}
    other = {"runtimes": {"node16": {"version": "24.19.0"}, "node18": {"version": "18.20.8"}}}
    await replicas.beat(api.db, "one", "invoker", one)
    await replicas.beat(api.db, "other", "invoker", other)

    assert await told() == [("node16", "24.19.0", False), ("node16", "16.20.2", True), ("node18", "18.20.8", True)]


async def test_a_bearer_key_counts_and_the_header_of_its_own_wins(api: Running) -> None:
    async with httpx.AsyncClient(base_url=api.address, verify=False) as client:
        bearer = {"Authorization": f"Bearer {API_KEY}"}

        assert (await client.get("/v1/functions", headers=bearer)).status_code == 200
        assert (await client.get("/v1/functions", headers={**bearer, "X-API-Key": "sl_wrong"})).status_code == 401
        wrong = {"Authorization": "Bearer wrong", "X-API-Key": API_KEY}
        assert (await client.get("/v1/functions", headers=wrong)).status_code == 200


async def test_a_key_does_what_it_may_and_is_told_what_is_missing(api: Running) -> None:
    await create(api)
    needs = dict.fromkeys(PROTECTED, "read") | {
        ("POST", ""): "write", ("PUT", "/greet"): "write", ("PUT", "/greet/environment"): "write",
        ("PUT", "/greet/secrets"): "write", ("POST", "/greet/invoke"): "execute", ("DELETE", "/greet"): "admin",
    }  # fmt: skip
    for permission in ("read", "write", "execute"):
        key = await api.new_key(permission)
        for (method, path), needed in needs.items():
            answer = await api.http.request(method, f"/v1/functions{path}", headers={"X-API-Key": key})
            if needed == permission:
                assert answer.status_code != 403, (permission, path)
            else:
                assert (answer.status_code, error_of(answer)["code"]) == (403, "forbidden")
                assert error_of(answer)["details"] == {"required": needed}


async def test_another_account_sees_nothing_of_it(api: Running) -> None:
    made = await create(api)
    await api.http.post("/v1/functions/greet/invoke")
    other = {"X-API-Key": await api.new_key("admin", environment=await api.other_account())}

    for reference in (made["id"], "greet"):
        for method, path in PROTECTED[2:]:
            body = {"timeout": 3, "environment": {}, "secrets": []} if method == "PUT" else None
            answer = await api.http.request(
                method, f"/v1/functions{path.replace('greet', reference)}", headers=other, json=body
            )
            assert (answer.status_code, error_of(answer)["code"]) == (404, "function_not_found"), path
    assert (await api.http.get("/v1/functions", headers=other)).json()["pagination"]["total"] == 0
    own = await api.http.post("/v1/functions", headers=other, json={"name": "greet", "code": "1", "runtime": "node18"})
    assert own.status_code == 201


async def test_a_revoked_or_expired_key_does_not_count(api: Running) -> None:
    key = await api.new_key("read")
    assert (await api.http.get("/v1/functions", headers={"X-API-Key": key})).status_code == 200
    await api.db.execute("UPDATE api_keys SET revoked_at = now() WHERE name = 'test'")
    api.api.platform.credentials.clear()
    assert (await api.http.get("/v1/functions", headers={"X-API-Key": key})).status_code == 401

    await api.db.execute(
        "UPDATE api_keys SET revoked_at = NULL, expires_at = now() - interval '1 second' WHERE name = 'test'"
    )
    api.api.platform.credentials.clear()
    assert (await api.http.get("/v1/functions", headers={"X-API-Key": key})).status_code == 401


async def test_every_answer_has_a_request_id_the_callers_own_if_it_is_sound(api: Running) -> None:
    made = await api.http.get("/v1/functions")
    given = await api.http.get("/nothing", headers={"X-Request-Id": "abc-1.2:3"})
    forged = await api.http.get("/v1/functions", headers={"X-Request-Id": "a b"})

    assert re.fullmatch(r"[0-9a-f]{24}", made.headers["X-Request-Id"])
    assert given.headers["X-Request-Id"] == "abc-1.2:3"
    assert re.fullmatch(r"[0-9a-f]{24}", forged.headers["X-Request-Id"])
    assert "aiohttp" not in made.headers["Server"]


@pytest.mark.parametrize("path", ["/v1/functions", "/v1/health", "/health", "/docs"])
async def test_a_slash_at_the_end_is_no_redirect(api: Running, path: str) -> None:
    assert [(await api.http.get(path + slash)).status_code for slash in ("", "/")] == [200, 200]


async def test_unknown_paths_and_wrong_methods_are_told_apart(api: Running) -> None:
    unknown = await api.http.get("/v1/nothing")
    outside = await api.http.get("/nothing")
    wrong = await api.http.patch("/v1/functions")

    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "not_found")
    assert (outside.status_code, error_of(outside)["code"]) == (404, "not_found")
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")
    assert wrong.headers["Allow"] == "GET, HEAD, POST"


async def test_head_is_get_without_the_body(api: Running) -> None:
    answer = await api.http.head("/v1/functions")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b'{"name":"\xff"}', b"\x1f\x8b\x08\x00", b'{"name":"a"} trailing']
)
async def test_a_body_that_is_no_json_object_is_refused(api: Running, body: bytes) -> None:
    answer = await api.http.post("/v1/functions", content=body)

    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_request")


async def test_ten_megabytes_are_refused_and_the_server_goes_on(api: Running) -> None:
    big = b" " * (10 * 1024 * 1024)

    answer = await api.http.post("/v1/functions", content=big)

    assert (answer.status_code, error_of(answer)["code"]) == (413, "invalid_request")
    assert (await api.http.get("/v1/functions")).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
     b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n"],
)  # fmt: skip
async def test_what_is_not_http_is_answered_400_and_is_no_incident(
    api: Running, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    received = await raw(api, garbage + b"\r\n\r\n")

    assert received.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert (await api.http.get("/v1/functions")).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/v1/é", {"success", "error"}), ("/tasks/v1/é", {"code", "name", "message"}), ("/api/é", {"error", "message"})],
)
async def test_what_is_not_http_is_answered_in_the_words_of_its_dialect(
    api: Running, path: str, fields: set[str]
) -> None:
    received = await raw(api, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400")
    assert b"\r\nX-Request-Id: " in head
    assert b"\r\nContent-Type: application/json" in head
    assert fields <= set(json.loads(body))


async def test_a_refusal_does_not_cost_the_connection(api: Running) -> None:
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    for _ in range(3):
        writer.write(head("/v1/functions/none/invoke", "Content-Length: 2") + b"{}")
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"function_not_found" in body
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_asks_first_is_told_to_continue(api: Running) -> None:
    await create(api)
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    writer.write(head("/v1/functions/greet/invoke", "Content-Length: 2", "Expect: 100-continue", "Connection: close"))
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_client_that_leaves_inside_its_body_leaves_no_trace(
    api: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await create(api)
    reader, writer = await asyncio.open_connection("localhost", api.api.port)
    writer.write(head("/v1/functions/greet/invoke", "Content-Length: 1000") + b"{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await api.http.get("/v1/functions")).status_code == 200
    await eventually(lambda: api.api.front.in_flight == 0)
    assert reader is not None
    assert api.script.calls == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_connection_that_says_nothing_is_closed(api: Running) -> None:
    server = Server(api.api.front, first_head_s=0.2)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        silent, halting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        halting[1].write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n")
        talking = await asyncio.open_connection("127.0.0.1", port)
        talking[1].write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert await silent[0].read() == b""
            assert await halting[0].read() == b""
        talking[1].write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await talking[0].read()).count(b"HTTP/1.1 200") == 2
        for _, writer in (silent, halting, talking):
            writer.close()
            await writer.wait_closed()


async def test_both_address_families_of_localhost_answer(api: Running) -> None:
    families = [(socket.AF_INET, "127.0.0.1")]
    with closing(socket.socket(socket.AF_INET6)) as probe:
        if probe.connect_ex(("::1", api.api.port)) == 0:
            families.append((socket.AF_INET6, "[::1]"))
    async with httpx.AsyncClient(verify=False) as client:
        for _, host in families:
            assert (await client.get(f"http://{host}:{api.api.port}/v1/health")).status_code == 200


async def test_a_bug_is_an_incident_whose_text_is_not_shown(api: Running) -> None:
    await api.db.execute("ALTER TABLE functions RENAME TO hidden_functions")

    answer = await api.http.get("/v1/functions")

    assert answer.status_code == 500
    error = error_of(answer)
    assert error["code"] == "internal_error"
    assert "functions" not in error["message"]
    assert re.fullmatch(r"[0-9a-f]{24}", error["details"]["incident"])


async def test_an_outage_of_the_database_is_unavailable_and_shows_no_address(api: Running) -> None:
    await api.http.get("/v1/functions")
    await api.db.close()

    answer = await api.http.get("/v1/functions")

    assert (answer.status_code, error_of(answer)["code"]) == (503, "service_unavailable")
    assert "database" not in error_of(answer)["message"]
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_synchronous_call_touches_no_database(api: Running) -> None:
    await create(api)
    await api.http.post("/v1/functions/greet/invoke")
    api.script.error = UnavailableError("this is what the invoker said")
    await api.db.close()

    answer = await api.http.post("/v1/functions/greet/invoke")

    assert error_of(answer)["message"] == "this is what the invoker said"


async def test_the_pages_of_the_platform_are_there(api: Running) -> None:
    async with httpx.AsyncClient(base_url=api.address, verify=False) as anonymous:
        health, ready, metrics = [await anonymous.get(path) for path in ("/health", "/ready", "/metrics")]
        landing, docs, openapi = [await anonymous.get(path) for path in ("/", "/docs", "/openapi.json")]

    assert (health.status_code, ready.status_code) == (200, 200)
    assert ready.json()["checks"]["database"]["status"] == "ok"
    assert "tidemill_http_request_seconds_bucket" in metrics.text
    assert landing.json()["docs"] == "/docs"
    assert docs.headers["Content-Type"].startswith("text/html")
    assert not re.search(r"(src|href)=\"(https?:)?//", docs.text)
    assert list(OpenAPIV31SpecValidator(openapi.json()).iter_errors()) == []


async def test_an_api_without_its_database_is_not_ready_but_alive(api: Running) -> None:
    await api.db.close()

    assert (await api.http.get("/ready")).status_code == 503
    health = await api.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_draining_answers_what_came_in_and_takes_nothing_new(api: Running) -> None:
    await create(api)
    began, go = asyncio.Event(), asyncio.Event()

    async def patient(event: bytes) -> Outcome:
        began.set()
        await go.wait()
        return await echo(event)

    api.script.run = patient
    service: ApiService = api.api
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(api.http.post("/v1/functions/greet/invoke", json={"params": {"n": 1}}))
        await began.wait()
        drain = tasks.create_task(service.drain())
        await eventually(lambda: service.ports.health.draining)
        go.set()
        answer = await call
        async with asyncio.timeout(5):
            await drain

    assert answer.json()["data"]["result"] == {"n": 1}
    async with httpx.AsyncClient(verify=False) as late:
        with pytest.raises(httpx.ConnectError):
            await late.get(f"{api.address}/health")
