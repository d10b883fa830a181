"""A function called as an HTTP API: what it is given, who may call it, what its answer becomes, what is recorded."""

import base64
import re
import socket
import statistics
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import AddUser
from tests.support.builders import Functions, permission_mode
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform

ECHO = "exports.handler = async (event) => ({ statusCode: 200, body: event })"
PICTURE = (
    "{ statusCode: 200, headers: { 'Content-Type': 'image/png', 'Content-Length': '3' },"
    " isBase64Encoded: true, body: 'AAH/' }"
)
HEX_ID = re.compile(r"[0-9a-f]{24}")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_function(functions: Functions, method: str) -> None:
    name = functions.create_node(ECHO)

    event = functions.call(name, "/orders/7", method).json()

    assert event["version"] == "2.0"
    assert event["requestContext"]["http"]["method"] == method
    assert event["rawPath"] == "/orders/7"


def test_head_runs_the_function_and_carries_no_body(functions: Functions) -> None:
    name = functions.create_node("exports.handler = async (e) => ({ statusCode: 202, body: 'unseen' })")

    answer = functions.call(name, "/", "HEAD")

    assert (answer.status_code, answer.content) == (202, b"")


def test_a_method_that_is_not_offered_is_refused(functions: Functions) -> None:
    name = functions.create_node(ECHO)

    answer = functions.call(name, "/", "PROPFIND")

    assert answer.status_code == 404
    assert answer.json()["name"] == "ENDPOINT_EXCEPTION"


@pytest.mark.parametrize(
    ("path", "raw_path", "raw_query"),
    [
        ("", "/", ""),
        ("/", "/", ""),
        ("/a%20b/c%2Fd", "/a%20b/c%2Fd", ""),
        ("/orders/7?full=1&full=2&empty=", "/orders/7", "?full=1&full=2&empty="),
        ("?x=%20y", "/", "?x=%20y"),
    ],
)
def test_path_and_query_arrive_unprocessed(functions: Functions, path: str, raw_path: str, raw_query: str) -> None:
    name = functions.create_node(ECHO)

    event = functions.call(name, path).json()

    assert (event["rawPath"], event["rawQueryString"]) == (raw_path, raw_query)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"qty":2}'),
        ("text/plain; charset=utf-8", "grüße €".encode()),
        ("application/octet-stream", bytes(range(256))),
        ("text/plain", b"\xff\xfe not UTF-8"),
        ("application/json", b""),
    ],
)
def test_a_body_arrives_byte_for_byte(functions: Functions, content_type: str, body: bytes) -> None:
    name = functions.create_node(ECHO)

    event = functions.call(name, "/", "POST", content=body, headers={"Content-Type": content_type}).json()

    assert type(event["body"]) is str
    assert type(event["isBase64Encoded"]) is bool
    received = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    assert received == body
    assert event["headers"]["content-type"] == content_type
    assert event["headers"]["content-length"] == str(len(body))


def test_header_names_are_lower_case_and_values_untouched(functions: Functions) -> None:
    name = functions.create_node(ECHO)

    headers = functions.call(name, headers={"X-My-Header": "My Value"}).json()["headers"]

    assert headers["x-my-header"] == "My Value"
    assert [header for header in headers if header != header.lower()] == []


def test_who_is_calling_cannot_be_forged(functions: Functions, anonymous: httpx.Client) -> None:
    name = functions.create_node(ECHO, **permission_mode("public"))
    forged = {
        "X-EXH-Requesting-User-Id": "aaaaaaaaaaaaaaaaaaaaaaaa",
        "x-exh-requesting-application-id": "bbbbbbbbbbbbbbbbbbbbbbbb",
        "x-exh-requesting-invented": "yes",
    }

    as_admin = functions.call(name, headers=forged).json()["headers"]
    as_nobody = anonymous.get(f"/tasks/v1/api/{name}/", headers=forged).json()["headers"]

    assert HEX_ID.fullmatch(as_admin["x-exh-requesting-user-id"])
    assert HEX_ID.fullmatch(as_admin["x-exh-requesting-application-id"])
    assert not set(forged.values()) & set(as_admin.values())
    assert [header for header in as_nobody if header.startswith("x-exh-requesting-")] == []


def test_each_permission_mode_lets_in_whom_it_names(
    functions: Functions, anonymous: httpx.Client, add_user: AddUser
) -> None:
    public = functions.create_node(ECHO, **permission_mode("public"))
    all_users = functions.create_node(ECHO, **permission_mode("allUsers"))
    required = functions.create_node(ECHO, **permission_mode("permissionRequired"))
    plain = add_user()
    named = add_user(f"EXECUTE_API_FUNCTION:{required}")
    every = add_user("EXECUTE_API_FUNCTION")

    def seen_by(client: httpx.Client) -> list[tuple[int, int | None]]:
        answers = [client.get(f"/tasks/v1/api/{name}/") for name in (public, all_users, required)]
        return [(answer.status_code, answer.json().get("code")) for answer in answers]

    ok = (200, None)
    assert seen_by(anonymous) == [ok, (401, 104), (401, 104)]
    assert seen_by(plain) == [ok, ok, (401, 10)]
    assert seen_by(named) == [ok, ok, ok]
    assert seen_by(every) == [ok, ok, ok]


def test_a_user_without_permissions_can_manage_nothing(functions: Functions, add_user: AddUser) -> None:
    name = functions.create_node(ECHO)
    plain = add_user()

    refused = [
        plain.get("/tasks/v1/apiRequests"),
        plain.post("/tasks/v1/functions/", json={"name": "x"}),
        plain.get(f"/tasks/v1/api/{name}/"),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(401, 10)] * 3


def test_a_bad_token_is_refused_even_where_none_is_needed(functions: Functions, anonymous: httpx.Client) -> None:
    name = functions.create_node(ECHO, **permission_mode("public"))

    answer = anonymous.get(f"/tasks/v1/api/{name}/", headers={"Authorization": "Bearer " + "0" * 40})

    assert (answer.status_code, answer.json()["code"]) == (401, 117)


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        ("{ statusCode: 200, body: { a: [1] } }", 200, "application/json", b'{"a":[1]}'),
        ("{ statusCode: 200, body: 42 }", 200, "application/json", b"42"),
        ("{ statusCode: 499 }", 499, "application/json", b""),
        ("{ statusCode: 404, headers: { 'content-type': 'text/plain' }, body: 'no' }", 404, "text/plain", b"no"),
        (PICTURE, 200, "image/png", b"\x00\x01\xff"),
    ],
)
def test_an_answer_becomes_http(functions: Functions, result: str, status: int, content_type: str, body: bytes) -> None:
    name = functions.create_node(f"exports.handler = async () => ({result})")

    answer = functions.call(name)

    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["content-type"].split(";")[0] == content_type


@pytest.mark.parametrize(
    "result",
    [
        "'text'",
        "null",
        "{ body: 'no status' }",
        "{ statusCode: '200' }",
        "{ statusCode: 199 }",
        "{ statusCode: 500 }",
        "{ statusCode: 200, isBase64Encoded: 'yes' }",
        "{ statusCode: 200, isBase64Encoded: true, body: '!!' }",
        "{ statusCode: 200, headers: { n: 1 } }",
        "{ statusCode: 200, headers: { n: 'a\\r\\nset-cookie: evil=1' } }",
        "{ statusCode: 200, headers: { 'a\\r\\nb': 'c' } }",
        "{ statusCode: 200, headers: { n: 'grüße' } }",
    ],
)
def test_an_answer_http_cannot_carry_is_refused_and_recorded(functions: Functions, result: str) -> None:
    name = functions.create_node(f"exports.handler = async () => ({result})")

    answer = functions.call(name)

    assert (answer.status_code, answer.json()["code"]) == (400, 1409)
    assert "evil" not in str(answer.headers)
    [record] = eventually_sync(lambda: functions.requests(name))
    assert (record["statusCode"], record["error"]["type"]) == (400, "response")


@pytest.mark.parametrize(
    ("code", "error_name"),
    [
        ("exports.handler = async () => { throw new RangeError('qty too big') }", "RangeError"),
        ("exports.handler = async () => { const e = new Error('x'); e.name = 'MY_ERROR'; throw e }", "MY_ERROR"),
        ("exports.handler = async () => {", "Runtime.UserCodeSyntaxError"),
        ("require('not-there')", "Runtime.ImportModuleError"),
        ("exports.other = 1", "Runtime.HandlerNotFound"),
    ],
)
def test_what_the_function_did_wrong_is_told_and_recorded(functions: Functions, code: str, error_name: str) -> None:
    name = functions.create_node(code)

    answer = functions.call(name, "/here?now=1", "POST")

    assert (answer.status_code, answer.json()["code"]) == (400, 1406)
    assert answer.json()["runtimeError"]["name"] == error_name
    [record] = eventually_sync(lambda: functions.requests(name))
    assert record["error"]["type"] == "runtime"
    assert record["error"]["name"] == error_name
    assert (record["method"], record["path"], record["statusCode"]) == ("POST", "/here?now=1", 400)


def test_a_python_exception_keeps_its_class_name(functions: Functions) -> None:
    name = functions.create_python("def handler(event, context):\n    return {}['missing']\n")

    answer = functions.call(name)

    assert (answer.status_code, answer.json()["code"]) == (400, 1406)
    assert answer.json()["runtimeError"] == {"name": "KeyError", "message": "'missing'"}


def test_a_function_too_slow_for_an_api_is_refused_at_the_call(functions: Functions) -> None:
    name = functions.create_node(ECHO, timeLimit=31)

    answer = functions.call(name)

    assert (answer.status_code, answer.json()["code"]) == (400, 1411)


def test_a_request_record_says_who_called_what_and_how_it_ended(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async () => { console.log('starting'); return { statusCode: 201 } }"
    )
    began = time.time()

    functions.call(name, "/orders/7?full=1", "PUT")

    [record] = eventually_sync(lambda: functions.requests(name))
    assert HEX_ID.fullmatch(record["id"])
    assert HEX_ID.fullmatch(record["userId"])
    assert HEX_ID.fullmatch(record["applicationId"])
    assert {
        "functionName": name,
        "method": "PUT",
        "path": "/orders/7?full=1",
        "statusCode": 201,
    }.items() <= record.items()
    assert 0 <= record["duration"] < time.time() - began
    assert "error" not in record
    [line] = eventually_sync(lambda: functions.request_logs(record["id"]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t[0-9a-f-]{36}\tINFO\tstarting\n?", line)


def test_a_request_can_be_read_within_250_ms_of_its_answer(functions: Functions) -> None:
    name = functions.create_node(ECHO)

    delays = []
    for number in range(1, 8):
        functions.call(name)
        answered = time.perf_counter()
        eventually_sync(partial(recorded, functions, name, number))
        delays.append(time.perf_counter() - answered)

    assert statistics.median(delays) <= 0.25, delays


def test_a_call_whose_client_hangs_up_is_still_recorded(platform: Platform, functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async () => { await new Promise(r => setTimeout(r, 300)); return { statusCode: 200 } }",
        **permission_mode("public"),
    )
    functions.call(name, "/warm")

    address = urlsplit(platform.address)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(f"GET /tasks/v1/api/{name}/gone HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(0.05)  # the request must be under way; nothing tells from outside that it is

    records = eventually_sync(lambda: recorded(functions, name, 2))
    assert {record["path"] for record in records} == {"/warm", "/gone"}


def test_large_bodies_pass_up_to_the_limit_and_no_further(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async (e) => ({ statusCode: 200, body: String(Buffer.from(e.body, 'base64').length) })"
    )
    binary = {"Content-Type": "application/octet-stream"}

    passed = functions.call(name, "/", "POST", content=b"\xff" * 4_000_000, headers=binary)
    refused = functions.call(name, "/", "POST", content=b"\xff" * 6_500_000, headers=binary)

    assert (passed.status_code, passed.text) == (200, "4000000"), passed.text[:300]
    assert (refused.status_code, refused.json()["code"]) == (400, 1405)
    assert functions.call(name, "/", "POST", content=b"abc", headers=binary).status_code == 200


def test_an_answer_over_six_megabytes_is_the_functions_failure(functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async (e) => ({ statusCode: 200, body: 'x'.repeat(Number(e.rawPath.slice(1))) })"
    )

    passed = functions.call(name, "/5000000")
    refused = functions.call(name, "/7000000")

    assert (passed.status_code, len(passed.content)) == (200, 5_000_000)
    assert (refused.status_code, refused.json()["code"]) == (400, 1406)
    assert refused.json()["runtimeError"]["name"] == "Function.ResponseSizeTooLarge"


def test_slow_calls_run_beside_each_other(functions: Functions, threads: Any) -> None:
    name = functions.create_node(
        "exports.handler = async () => { await new Promise(r => setTimeout(r, 1000)); return { statusCode: 200 } }"
    )
    began = time.monotonic()

    answers = list(threads.map(lambda _: functions.call(name), range(4)))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert time.monotonic() - began < 3


def recorded(functions: Functions, name: str, count: int) -> list[dict[str, Any]]:
    records = functions.requests(name)
    assert len(records) == count
    return records
