"""What callers may send and do, and the server goes on (contracts/neo.md 3.12; check 33)."""

import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.neo.conftest import Account
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform

DEEP = b'{"params":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001
WAIT = "module.exports = async ({ params }) => { await new Promise(r => setTimeout(r, 400)); return params }"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="cut off"),
        pytest.param(b'{"params": {"a": "\xff\xfe"}}', 400, id="bad UTF-8"),
        pytest.param(b'{"params": {"a": "\xed\xa0\x80"}}', 400, id="half a surrogate pair in UTF-8"),
        pytest.param(b'{"params": {"a": "\\ud800"}}', 400, id="half a surrogate pair"),
        pytest.param(b"[" * 100_000, 400, id="brackets"),
        pytest.param(b'{"params":' + b"[" * 100_000, 400, id="brackets in params"),
        pytest.param(DEEP, 400, id="nested too deeply"),
        pytest.param(b'{"params": {"a": 1e999}}', 400, id="infinite"),
        pytest.param(b'{"params": {"a": NaN}}', 400, id="not a number"),
        pytest.param(b"\x1f\x8b\x08\x00\x00", 400, id="compressed"),
        pytest.param('{"params": {}}'.encode("utf-16"), 400, id="UTF-16"),
        pytest.param(b'"' + b"x" * (10 << 20) + b'"', 413, id="ten megabytes"),
    ],
)
def test_a_body_that_cannot_be_taken_is_an_invalid_request_and_nothing_runs(
    account: Account, body: bytes, status: int
) -> None:
    name = account.functions.create_neo("module.exports = ({ params }) => params")

    answer = account.neo.post(f"/v1/functions/{name}/invoke", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "invalid_request")
    assert account.functions.invoke(name, {"n": 1}).json()["data"]["result"] == {"n": 1}
    assert account.neo.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]["failed"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {"text": "a\x00b", "\x00": "\x1f"},
        {"__proto__": {"polluted": True}, "constructor": 1, "toString": None},
        {"big": 123456789012345678, "small": -0.0, "float": 0.1, "exponent": 1e300},
        {"emoji": "\U0001f30a", "line": "\u2028\u2029", "mixed": ["\u00e9", "e\u0301"]},
        {"a" * 10_000: "b" * 10_000, "": ""},
    ],
)
def test_what_json_can_say_arrives_as_it_was_sent_and_is_recorded(account: Account, params: dict[str, Any]) -> None:
    name = account.functions.create_neo("module.exports = ({ params }) => JSON.stringify(params)")

    answer = account.functions.invoke(name, params)

    assert answer.status_code == 200, answer.text
    arrived = httpx.Response(200, text=answer.json()["data"]["result"]).json()
    assert arrived == {**params, "big": 123456789012345680} if "big" in params else arrived == params
    record = eventually_sync(lambda: account.functions.execution(name, answer.headers["X-Execution-Id"]))
    assert record["params"] == params


def hang_up(platform: Platform, request: bytes) -> None:
    """Send a request and close the connection at once."""
    address = urlsplit(platform.address)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(request)


def test_a_run_whose_client_hangs_up_goes_on_to_its_end(platform: Platform, account: Account) -> None:
    name = account.functions.create_neo(WAIT)
    account.functions.invoke(name)
    body = b'{"params":{"left":true}}'
    head = (
        f"POST /v1/functions/{name}/invoke HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {account.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()

    hang_up(platform, head + body)
    hang_up(platform, head + body[:5])

    def recorded() -> dict[str, Any]:
        listed = account.neo.get(f"/v1/functions/{name}/executions").json()
        assert listed["pagination"]["total"] == 2
        item: dict[str, Any] = listed["data"][0]
        assert item["params"] == {"left": True}
        return item

    assert eventually_sync(recorded, within_s=10)["status"] == "completed"
    assert account.functions.invoke(name).status_code == 200


def test_a_million_log_lines_harm_nobody(account: Account, threads: ThreadPoolExecutor) -> None:
    flood = account.functions.create_neo(
        "module.exports = ({ log }) => { for (let n = 0; n < 1e6; n += 1) log.info('line', n); return 'written' }",
        timeout=60,
    )
    other = account.functions.create_neo("module.exports = () => 1")
    account.functions.invoke(other)
    flooding = threads.submit(account.functions.invoke, flood)

    waits = []
    while not flooding.done():
        began = time.monotonic()
        assert account.functions.invoke(other).status_code == 200
        waits.append(time.monotonic() - began)
    answer = flooding.result()

    assert (answer.status_code, answer.json()["data"]["result"]) == (200, "written")
    assert statistics.median(waits) < 1

    def logged() -> list[dict[str, str]]:
        lines: list[dict[str, str]] = account.functions.execution(flood, answer.headers["X-Execution-Id"])["logs"]
        assert len(lines) > 1000
        return lines

    *kept, last = eventually_sync(logged, within_s=10)
    assert [line["message"] for line in kept] == [f"line {n}" for n in range(1000)]
    assert last["level"] == "warn"
    assert "999000" in last["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/v1/functions//executions", 404, "not_found"),
        ("GET", "/v1/functions/%00", 404, "function_not_found"),
        ("GET", "/v1/functions/%2e%2e", 404, "function_not_found"),
        ("GET", "/v1/functions/f%2Fexecutions", 404, "function_not_found"),
        ("PATCH", "/v1/functions", 405, "method_not_allowed"),
        ("GET", "/v1/functions/f/invoke", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/functions/f", 405, "method_not_allowed"),
        ("DELETE", "/v1/health", 405, "method_not_allowed"),
    ],
)
def test_paths_and_methods_that_are_not_offered_are_told_apart(
    account: Account, method: str, path: str, status: int, code: str
) -> None:
    answer = account.neo.request(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert ("Allow" in answer.headers) is (status == 405)


def test_ids_may_be_percent_encoded_and_paths_may_end_with_a_slash(account: Account) -> None:
    name = account.functions.create_neo("module.exports = () => 1")
    encoded = "".join(f"%{ord(character):02x}" for character in name)

    for path in (f"/v1/functions/{encoded}", f"/v1/functions/{name}/", f"/v1/functions/{encoded}/executions/"):
        assert account.neo.get(path).status_code == 200, path
    assert account.neo.post(f"/v1/functions/{encoded}/invoke/").json()["data"]["result"] == 1
    head = account.neo.head(f"/v1/functions/{name}")
    assert (head.status_code, head.content) == (200, b"")
