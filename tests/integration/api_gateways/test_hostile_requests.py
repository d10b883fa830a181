"""Requests that nobody's client would send: to the api, and to the URL of a function."""

import asyncio
from urllib.parse import urlsplit

import orjson
import pytest
import pytest_asyncio

from shared.domain.outcome import Outcome, Returned
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import Citizen, Town
from tests.integration.api_gateways.places import keep_function
from tests.support.builders import unique

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def project(ada: Citizen) -> str:
    return await ada.project(unique("shop"))


@pytest_asyncio.fixture(loop_scope="session")
async def url(api: Running, ada: Citizen, project: str) -> str:
    """The path of a function's URL."""
    home = (await ada.get(f"/api/projects/{project}"))["data"]["connectedCloudId"]
    return f"/fn/{(await keep_function(api.db, project, unique('fn'), connection=home))[0]}"


def answers(api: Running, result: object) -> None:
    async def run(_event: bytes) -> Outcome:
        return Returned(result=orjson.dumps(result))

    api.script.run = run


async def raw(api: Running, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; return the status and all that comes back."""
    address = urlsplit(api.address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize(
    "line",
    [
        b"GET %s/a\xff\xfe?q=\xff HTTP/1.1",
        b"GET %s/%%00%%ff/..%%2f..%%2fetc?%%00=%%ff HTTP/1.1",
        b"GET %s/../../api/users/profile HTTP/1.1",
        b"GET http://elsewhere.example%s/x HTTP/1.1",
        b"PURGE %s//x;y=1?&&=& HTTP/1.1",
    ],
)
async def test_whatever_path_is_asked_for_is_the_functions_or_a_bad_request(
    api: Running, url: str, line: bytes
) -> None:
    answers(api, {"statusCode": 200, "body": "mine"})
    request = line % url.encode() + b"\r\nHost: h\xff.example\r\nX-\xc3\xa4: b\xff\r\nConnection: close\r\n\r\n"

    for sent in (request, request.replace(b"X-\xc3\xa4: b\xff\r\n", b"").replace(b"\xff.example", b".example")):
        status, answer = await raw(api, sent)

        assert status in (200, 400), answer
        assert (b"mine" in answer) == (status == 200)


async def test_what_a_path_has_is_in_the_event_as_it_came(api: Running, url: str) -> None:
    answers(api, "mine")

    status, _ = await raw(api, f"GET {url}/..%2f/a%00?b=%ff HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())

    assert status == 200
    event = orjson.loads(api.script.calls[0].payload)
    assert (event["rawPath"], event["rawQueryString"]) == ("/..%2f/a%00", "b=%ff")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nSet-Cookie: c=d"},
        {"X-A": "b\nX-B: c"},
        {"X-A\r\nX-B": "c"},
        {"X A": "b"},
        {"X-A:": "b"},
        {"": "b"},
        {"X-\u00e4": "b"},
        {"X-A": "b\u0000"},
    ],
)
async def test_an_answer_cannot_say_more_than_its_own_headers(
    api: Running, url: str, town: Town, headers: dict[str, str]
) -> None:
    answers(api, {"statusCode": 200, "headers": headers, "body": "x"})

    answer = await (await town.client()).get(f"{url}/")

    assert answer.status_code == 502
    assert "Set-Cookie" not in answer.headers
    assert "X-B" not in answer.headers


async def test_an_answer_says_nothing_of_the_connection_it_goes_over(api: Running, url: str, town: Town) -> None:
    hop_by_hop = {
        "Transfer-Encoding": "chunked",
        "Content-Length": "1",
        "Connection": "close, X-A",
        "Keep-Alive": "1",
        "Upgrade": "h2c",
        "Trailer": "X-A",
        "TE": "trailers",
        "Proxy-Connection": "close",
    }
    answers(api, {"statusCode": 200, "headers": {**hop_by_hop, "X-A": "b"}, "body": "whole"})

    answer = await (await town.client()).get(f"{url}/")

    assert (answer.status_code, answer.text, answer.headers["X-A"]) == (200, "whole", "b")
    assert answer.headers["Content-Length"] == "5"
    assert not {"upgrade", "trailer", "te", "keep-alive", "transfer-encoding"} & set(answer.headers)


async def test_an_answer_does_not_speak_for_the_host_that_others_are_on(api: Running, url: str, town: Town) -> None:
    for_all = {
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "clear-site-data": '"*"',
        "Service-Worker-Allowed": "/",
    }
    answers(api, {"statusCode": 200, "headers": {**for_all, "X-A": "b"}, "body": "x"})

    answer = await (await town.client()).get(f"{url}/")

    assert answer.headers["X-A"] == "b"
    assert [name for name in for_all if name in answer.headers] == []


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_can_have_no_body_has_none(api: Running, url: str, status: int) -> None:
    answers(api, {"statusCode": status, "body": "HTTP/1.1 200 OK\r\n\r\n"})
    one = f"GET {url}/ HTTP/1.1\r\nHost: h\r\n"

    _, answer = await raw(api, f"{one}\r\n{one}Connection: close\r\n\r\n".encode())

    assert answer.count(b"HTTP/1.1 ") == answer.count(f"HTTP/1.1 {status} ".encode()) == 2


async def test_a_function_cannot_be_told_that_its_caller_is_somebody_else(api: Running, url: str, town: Town) -> None:
    sent = {"X-Forwarded-For": "203.0.113.9", "X-Exh-Requesting-User-Id": "admin", "X_Exh_Requesting_User_Id": "admin"}

    await (await town.client(sent)).get(f"{url}/")

    event = orjson.loads(api.script.calls[0].payload)
    address = event["requestContext"]["http"]["sourceIp"]
    assert address in ("127.0.0.1", "::1")
    assert event["headers"]["x-forwarded-for"] == address
    assert not [name for name in event["headers"] if "requesting" in name]


async def test_the_host_that_is_asked_for_is_told_to_the_asker_alone(ada: Citizen, town: Town, project: str) -> None:
    place = f"/api/{project}/master/functions"
    elsewhere = await town.client({"Authorization": f"Bearer {ada.token}", "Host": "evil.example"})

    await elsewhere.get(place)

    assert "evil.example" not in (await ada.http.get(place)).text


@pytest.mark.parametrize(
    "path",
    [
        "/api/%00/master/functions",
        "/api/{}/%00/functions",
        "/api/{}/master/resources?region=%00&status=%00&state=%00",
        "/api/{}/master/resources?type=%00",
        "/api/{}/master/resource-connections?sourceResourceType=%00&targetResourceType=%00",
        "/api/{}/master/resource-connections?status=%00",
        "/api/activities?resourceType=%00&action=%00",
        "/api/activities?projectSlug=%00",
        "/api/workspaces/%00",
        "/api/workspaces/check-name?name=%00",
        "/api/cloud-connections/%00?status=%00",
        "/api/resource-types/%00",
    ],
)
async def test_what_no_text_can_hold_is_asked_for_in_vain(ada: Citizen, project: str, path: str) -> None:
    answer = await ada.http.get(path.format(project))

    assert answer.status_code in (200, 400, 404), answer.text


@pytest.mark.parametrize("odd", ["a\u0000b", "\u202egnp.exe", "<script>", "' OR 1=1 --", "\U0001f600" * 50])
async def test_odd_texts_are_kept_or_refused(ada: Citizen, project: str, odd: str) -> None:
    tries: list[tuple[str, str, dict[str, object]]] = [
        ("POST", "/api/workspaces", {"name": odd, "description": odd}),
        ("POST", "/api/projects", {"name": odd, "description": odd}),
        ("POST", f"/api/projects/{project}/environments", {"name": odd, "description": odd}),
        ("PATCH", "/api/users/profile", {"name": odd}),
        ("POST", "/api/users/api-keys", {"name": odd}),
        ("POST", f"/api/workspaces/{await ada.workspace()}/members", {"email": f"{odd}@example.com"}),
        ("POST", "/api/auth/login", {"email": odd, "password": odd}),
        ("POST", "/api/auth/refresh", {"refreshToken": odd}),
    ]
    for method, path, body in tries:
        answer = await ada.http.request(method, path, json=body)
        assert answer.status_code < 500, (method, path, answer.text)


async def test_what_is_nested_too_deeply_is_refused_or_ignored(ada: Citizen, project: str, url: str) -> None:
    place = f"/api/{project}/master"
    number = (await ada.get(f"{place}/functions"))["data"][0]["id"]
    deep = b"[" * 500 + b"]" * 500
    pair = b'"sourceResourceType":"function","targetResourceType":"database","sourceResourceId":%d,"targetResourceId":8'
    tries = (
        ("POST", f"functions/{number}/invoke", b'{"payload":%s}' % deep, 400),
        ("POST", "resource-connections", b'{%s,"connectionDetails":{"a":%s}}' % (pair % number, deep), 400),
        ("PATCH", f"resources/{number}", b'{"name":"thumbs","other":%s}' % deep, 200),
        ("PATCH", f"resources/{number}/position", b'{"x":%s,"y":1}' % deep, 400),
        ("PUT", f"functions/{number}", b'{"environmentVariables":{"A":%s}}' % deep, 400),
        ("PUT", f"functions/{number}", b'{"environmentVariablesLocked":%s}' % deep, 400),
        ("POST", "functions", b'{"name":%s}' % deep, 400),
    )
    for method, path, body, status in tries:
        answer = await ada.http.request(method, f"{place}/{path}", content=body)
        assert answer.status_code == status, (method, path, answer.text)


async def test_a_body_that_is_too_large_or_too_deep_is_refused(town: Town) -> None:
    nobody = await town.client()

    large = await nobody.post("/api/auth/login", content=b" " * (64 * 1024 + 1))
    deep = await nobody.post("/api/auth/login", content=b"[" * 60_000)
    key = await nobody.get("/api/projects", headers={"X-API-Key": "sk_" + "a" * 4000})

    assert (large.status_code, deep.status_code, key.status_code) == (413, 400, 401)


async def test_what_is_no_text_in_a_request_is_no_error_of_ours(
    api: Running, ada: Citizen, project: str, url: str
) -> None:
    assert url
    for path in (b"functions", b"resources?region=\xff&status=%ff", b"resources?type=\xff", b"functions/\xff"):
        line = b"GET /api/%s/master/%s HTTP/1.1\r\n" % (project.encode(), path)
        head = line + f"Authorization: Bearer {ada.token}\r\nConnection: close\r\n".encode()

        status, answer = await raw(api, head + b"Host: h\xff\xfe.example\r\n\r\n")

        assert status in (200, 400), answer


async def test_a_question_of_a_browser_that_is_no_text_is_answered(api: Running, url: str) -> None:
    head = f"OPTIONS {url}/ HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nConnection: close\r\n".encode()

    for asked in (
        b"PUT\xff\r\nAccess-Control-Request-Headers: a\xff",
        b"PUT\r\nAccess-Control-Request-Headers: \xc3\xa4",
    ):
        status, answer = await raw(api, head + b"Access-Control-Request-Method: " + asked + b"\r\n\r\n")

        assert status == 200, answer
        assert b"\r\n\r\n" in answer
