"""Functions called as HTTP APIs (contracts/extrahorizon.md sections 3.2, 4, 5, 7; acceptance 11 to 22 and 35)."""

import asyncio
import base64
import gzip
from typing import Any

import httpx

from shared.domain.errors import DeadlineExceededError, StartFailedError, ThrottledError
from shared.domain.outcome import Crashed, Outcome, OutOfMemory, Oversized, Raised, TimedOut
from tests.integration.api_extrahorizon.conftest import Horizon
from tests.integration.api_extrahorizon.script import FailsError, Handler, RefusesError
from tests.support.builders import permission_mode

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def error(answer: httpx.Response) -> tuple[int, int, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["name"]


async def test_11_every_method_reaches_the_function_with_its_path_and_query(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for method in METHODS:
        answer = await horizon.call("greeter/orders/7?full=1&a=b", method)
        event = horizon.script.events[-1]

        assert answer.status_code == 200, method
        assert answer.content == (b"" if method == "HEAD" else b"ok")
        assert event["version"] == "2.0"
        assert event["requestContext"] == {"http": {"method": method}}
        assert (event["rawPath"], event["rawQueryString"]) == ("/orders/7", "?full=1&a=b")
        assert (event["isBase64Encoded"], event["body"]) == (False, "")


async def test_12_the_raw_path_is_never_decoded_and_the_root_has_two_forms(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for sent, path, query in (
        ("greeter", "/", ""),
        ("greeter/", "/", ""),
        ("greeter?x", "/", "?x"),
        ("greeter/a%2Fb%20c", "/a%2Fb%20c", ""),
        ("greeter/a//b/", "/a//b/", ""),
        ("greeter/%2e%2e/up?a=%26b", "/%2e%2e/up", "?a=%26b"),
        ("gr%65eter/x", "/x", ""),
    ):
        head = f"Host: x\r\nAuthorization: {horizon.admin.headers['Authorization']}\r\nConnection: close"
        answer = await horizon.raw(f"GET /tasks/v1/api/{sent} HTTP/1.1\r\n{head}\r\n\r\n".encode())

        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), (sent, answer)
        event = horizon.script.events[-1]
        assert (event["rawPath"], event["rawQueryString"]) == (path, query)


async def test_13_every_body_arrives_exactly_and_is_always_a_string(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for body, content_type in (
        (b'{"a":1}', "application/json"),
        ("h\u00e9llo \U0001f600".encode(), "text/plain; charset=utf-8"),
        (bytes(range(256)), "application/octet-stream"),
        (bytes(range(256)), "text/plain"),
        (gzip.compress(b"compressed by the caller"), "application/json"),
        (b"", "application/json"),
    ):
        encoding = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
        await horizon.call("greeter", "POST", content=body, headers={"Content-Type": content_type, **encoding})
        event = horizon.script.events[-1]

        assert isinstance(event["body"], str)
        arrived = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
        assert arrived == body


async def test_13_a_chunked_body_arrives_whole(horizon: Horizon) -> None:
    await horizon.create("greeter", **permission_mode("public"))
    answer = await horizon.raw(
        b"POST /tasks/v1/api/greeter HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert horizon.script.events[-1]["body"] == "abcdefg"


async def test_14_header_names_are_lower_case_and_who_is_asking_is_told_by_us_alone(horizon: Horizon) -> None:
    await horizon.create("greeter", **permission_mode("public"))
    forged = {
        "X-EXH-Requesting-User-Id": "forged",
        "x-exh-requesting-application-id": "forged",
        "X-Exh-Requesting-Invented": "forged",
        "X_Exh_Requesting_User_Id": "forged",
        "X-Forwarded-User": "forged",
        "X-Mixed-Case": "Value",
    }
    await horizon.call("greeter", headers=forged)
    known = horizon.script.events[-1]["headers"]
    await horizon.anonymous.get("/tasks/v1/api/greeter", headers=forged)
    unknown = horizon.script.events[-1]["headers"]

    assert known["x-mixed-case"] == "Value"
    assert known["x-exh-requesting-user-id"] == horizon.first.user_id
    assert known["x-exh-requesting-application-id"] == horizon.first.application_id
    assert known["authorization"] == horizon.admin.headers["Authorization"]
    assert {name for name in known if "requesting" in name} == {
        "x-exh-requesting-user-id",
        "x-exh-requesting-application-id",
    }
    assert not {name for name in unknown if "requesting" in name}
    assert all(name == name.lower() for name in {*known, *unknown})


async def test_15_what_a_function_answers_becomes_http(horizon: Horizon) -> None:
    await horizon.create("greeter")
    binary = bytes(range(256))
    cases: list[tuple[dict[str, Any], str, bytes]] = [
        ({"body": {"a": [1]}}, "application/json", b'{"a":[1]}'),
        ({"body": [1, "b"]}, "application/json", b'[1,"b"]'),
        ({"body": 7}, "application/json", b"7"),
        ({"body": "text"}, "application/json", b"text"),
        ({}, "application/json", b""),
        ({"body": "<p>", "headers": {"content-type": "text/html"}}, "text/html", b"<p>"),
        (
            {
                "body": base64.b64encode(binary).decode(),
                "isBase64Encoded": True,
                "headers": {"Content-Type": "image/png", "Content-Length": "3", "Connection": "close"},
            },
            "image/png",
            binary,
        ),
    ]
    for given, content_type, body in cases:
        horizon.script.handler = answers({"statusCode": 200, **given})
        answer = await horizon.call("greeter")

        assert answer.headers["Content-Type"].partition(";")[0] == content_type
        assert answer.content == body
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers.get("Connection", "keep-alive") == "keep-alive"


async def test_15_headers_of_the_function_are_passed_on(horizon: Horizon) -> None:
    await horizon.create("greeter")
    headers = {"Set-Cookie": "a=b; Path=/", "X-Own": "~value~", "Location": "/elsewhere", "Cache-Control": "no-store"}
    horizon.script.handler = answers({"statusCode": 302, "headers": headers})
    answer = await horizon.call("greeter")

    assert answer.status_code == 302
    assert {name: answer.headers[name] for name in headers} == headers


async def test_16_statuses_up_to_499_pass_and_some_have_no_body(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for status in (200, 204, 304, 404, 499):
        horizon.script.handler = answers({"statusCode": status, "body": {"code": "mine"}})
        answer = await horizon.call("greeter")

        assert answer.status_code == status
        assert answer.content == (b"" if status in {204, 304} else b'{"code":"mine"}')
    assert (await horizon.call("greeter")).status_code == 499, "the connection is still in step"


async def test_17_a_result_http_cannot_carry_is_refused_by_name_and_recorded(horizon: Horizon) -> None:
    await horizon.create("greeter")
    broken: list[Any] = [
        "text",
        {"statusCode": "200"},
        {"statusCode": 500},
        {"statusCode": 200, "isBase64Encoded": "yes"},
        {"statusCode": 200, "isBase64Encoded": True, "body": {}},
        {"statusCode": 200, "isBase64Encoded": True, "body": "%%"},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "headers": {"a": 1}},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "headers": {"a b": "c"}},
    ]
    messages = []
    for result in broken:
        horizon.script.handler = answers(result)
        answer = await horizon.call("greeter")
        status, code, name = error(answer)

        assert (status, code) == (400, 1409)
        assert name in {"INVALID_API_FUNCTION_RESULT", "INVALID_FUNCTION_RESULT"}
        messages.append((name, answer.json()["message"]))
    assert messages[2][1] == "The status code is expected to be a number between 200 and 499. Returned value: 500"
    assert [name for name, _ in messages].count("INVALID_FUNCTION_RESULT") == 2

    records = await horizon.records(len(broken))
    assert [record["error"] for record in reversed(records)] == [
        {"type": "response", "name": name, "message": message} for name, message in messages
    ]
    assert {record["statusCode"] for record in records} == {400}


async def test_18_what_the_code_did_wrong_is_a_runtime_error_with_its_own_name(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for outcome, name, message in (
        (Raised(name="TypeError", message="x is not a function"), "TypeError", "x is not a function"),
        (Raised(name="CONNECTION_ERROR", message="gone"), "CONNECTION_ERROR", "gone"),
        (
            Raised(name="Runtime.UserCodeSyntaxError", message="SyntaxError: Unexpected token ';'"),
            "Runtime.UserCodeSyntaxError",
            "SyntaxError: Unexpected token ';'",
        ),
        (Crashed(exit_code=3), "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        (OutOfMemory(limit_mb=128), "Runtime.OutOfMemory", "Runtime exceeded its memory limit of 128 MB"),
    ):
        horizon.script.handler = fails(outcome)
        answer = await horizon.call("greeter")

        assert answer.status_code == 400
        assert answer.json() == {
            "code": 1406,
            "name": "LAMBDA_RUNTIME_EXCEPTION",
            "message": "Invoking the Lambda function resulted in a runtime error.",
            "runtimeError": {"name": name, "message": message},
        }
    record = (await horizon.records(5))[0]
    assert record["error"] == {"type": "runtime", "name": name, "message": message}


async def test_19_a_run_past_its_limit_is_a_runtime_error(horizon: Horizon) -> None:
    await horizon.create("greeter", timeLimit=3)
    horizon.script.handler = fails(TimedOut(limit_s=3))
    answer = await horizon.call("greeter")

    assert error(answer) == (400, 1406, "LAMBDA_RUNTIME_EXCEPTION")
    assert answer.json()["runtimeError"]["name"] == "Sandbox.Timedout"
    assert "Task timed out after 3.00 seconds" in answer.json()["runtimeError"]["message"]


async def test_20_a_time_limit_over_30_s_is_refused_at_the_call(horizon: Horizon) -> None:
    await horizon.create("slow", timeLimit=60)
    answer = await horizon.call("slow/path?a=b")

    assert error(answer) == (400, 1411, "TIME_LIMIT_EXCEEDS_API_FUNCTION_MAXIMUM_EXCEPTION")
    assert horizon.script.commands == []
    record = (await horizon.records(1))[0]
    assert record["path"] == "/path?a=b"
    assert record["statusCode"] == 400
    assert record["error"]["type"] == "invocation"
    assert record["error"]["name"] == "TIME_LIMIT_EXCEEDS_API_FUNCTION_MAXIMUM_EXCEPTION"


async def test_21_large_bodies_pass_and_too_large_ones_are_refused(horizon: Horizon) -> None:
    await horizon.create("greeter")
    request, answered = bytes(4_000_000), "x" * 5_000_000
    horizon.script.handler = answers({"statusCode": 200, "body": answered})
    answer = await horizon.call("greeter", "POST", content=request)

    assert (answer.status_code, answer.content) == (200, answered.encode())
    assert base64.b64decode(horizon.script.events[-1]["body"]) == request

    for size in (4_800_000, 6_500_000, 11_000_000):
        refusal = await horizon.call("greeter", "POST", content=bytes(size))
        assert error(refusal) == (400, 1405, "LAMBDA_INVOCATION_EXCEPTION")
    assert len(horizon.script.commands) == 1

    horizon.script.handler = fails(Oversized(size_bytes=7_000_000, limit_bytes=6_291_456))
    refusal = await horizon.call("greeter")
    assert error(refusal) == (400, 1406, "LAMBDA_RUNTIME_EXCEPTION")
    assert refusal.json()["runtimeError"]["name"] == "Function.ResponseSizeTooLarge"


async def test_22_another_method_is_no_endpoint(horizon: Horizon) -> None:
    await horizon.create("greeter")
    answer = await horizon.call("greeter", "PROPFIND")

    assert (answer.status_code, answer.json()["name"]) == (404, "ENDPOINT_EXCEPTION")
    assert horizon.script.commands == []


async def test_35_permission_modes_say_who_may_call(horizon: Horizon) -> None:
    for mode in ("permissionRequired", "allUsers", "public"):
        await horizon.create(mode, **permission_mode(mode))
    powerless = horizon.client(await horizon.user_token())
    one = horizon.client(await horizon.user_token("EXECUTE_API_FUNCTION:permissionRequired"))
    every = horizon.client(await horizon.user_token("EXECUTE_API_FUNCTION"))
    direct = horizon.client(await horizon.user_token("EXECUTE_TASK_FUNCTION"))
    stranger = horizon.client("0" * 40)
    expected: dict[httpx.AsyncClient, tuple[int | None, int | None, int | None]] = {
        horizon.anonymous: (104, 104, None),
        powerless: (10, None, None),
        direct: (10, None, None),
        one: (None, None, None),
        every: (None, None, None),
        stranger: (117, 117, 117),
    }
    for client, codes in expected.items():
        for mode, code in zip(("permissionRequired", "allUsers", "public"), codes, strict=True):
            answer = await client.get(f"/tasks/v1/api/{mode}")
            assert answer.status_code == (200 if code is None else 401), (mode, codes)
            assert code is None or answer.json()["code"] == code
    await horizon.create("another")
    assert (await one.get("/tasks/v1/api/another")).json()["code"] == 10
    assert (await every.get("/tasks/v1/api/another")).status_code == 200
    for client in (powerless, one, every, direct, stranger):
        await client.aclose()


async def test_35_a_refused_call_of_a_function_that_exists_is_recorded_another_is_not(horizon: Horizon) -> None:
    await horizon.create("greeter")
    assert error(await horizon.call("nobody")) == (404, 16, "RESOURCE_UNKNOWN_EXCEPTION")
    await horizon.anonymous.get("/tasks/v1/api/greeter")
    async with horizon.client(await horizon.user_token()) as powerless:
        await powerless.get("/tasks/v1/api/greeter")

    newest, oldest = await horizon.records(2)
    assert (newest["statusCode"], newest["error"]["type"], newest["error"]["name"]) == (
        401,
        "invocation",
        "NO_PERMISSION_EXCEPTION",
    )
    assert oldest["error"]["name"] == "USER_NOT_AUTHENTICATED_EXCEPTION"
    assert "userId" not in oldest


async def test_35_the_body_of_a_caller_who_may_not_call_is_not_read(horizon: Horizon) -> None:
    await horizon.create("greeter")
    answer = await horizon.raw(
        b"POST /tasks/v1/api/greeter HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nonly the beginning"
    )

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert (await horizon.records(1))[0]["statusCode"] == 401


async def test_what_the_platform_could_not_do_is_an_invocation_error_never_a_5xx_that_clients_repeat(
    horizon: Horizon,
) -> None:
    await horizon.create("greeter")
    for refusal, expected in (
        (StartFailedError("no sandbox"), (400, 1405, "LAMBDA_INVOCATION_EXCEPTION")),
        (DeadlineExceededError("no reply"), (400, 1405, "LAMBDA_INVOCATION_EXCEPTION")),
        (ThrottledError("busy", limit=10), (400, 1412, "CONCURRENT_API_FUNCTION_LIMIT_EXCEPTION")),
    ):
        horizon.script.handler = refuses(RefusesError(refusal))
        assert error(await horizon.call("greeter")) == expected
    assert {record["statusCode"] for record in await horizon.records(3)} == {400}


async def test_a_caller_who_hangs_up_leaves_a_record_and_a_healthy_server(horizon: Horizon) -> None:
    await horizon.create("greeter", **permission_mode("public"))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_event: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        await leave.wait()
        return {"statusCode": 200}

    horizon.script.handler = wait
    _, writer = await asyncio.open_connection("127.0.0.1", horizon.port)
    writer.write(b"GET /tasks/v1/api/greeter HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(entered.wait(), 5)
    writer.close()
    await writer.wait_closed()
    leave.set()

    assert (await horizon.records(1))[0]["statusCode"] == 200
    assert (await horizon.call("greeter")).status_code == 200


def answers(result: Any) -> Handler:
    def handler(_event: dict[str, Any]) -> Any:
        return result

    return handler


def fails(outcome: Outcome) -> Handler:
    def handler(_event: dict[str, Any]) -> None:
        raise FailsError(outcome)

    return handler


def refuses(refusal: RefusesError) -> Handler:
    def handler(_event: dict[str, Any]) -> None:
        raise refusal

    return handler
