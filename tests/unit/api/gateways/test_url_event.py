"""Payload format 2.0 of function URLs: the event of a request, and the answer a result means."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from services.api.dialects.gateways.url_event import UnusableResultError, UrlRequest, url_answer, url_event


def event(**given: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "function_id": "func_abcdefghij",
        "request_id": "0" * 24,
        "method": "GET",
        "path": "/",
        "query": "",
        "protocol": "HTTP/1.1",
        "host": "localhost:8080",
        "scheme": "http",
        "address": "192.0.2.7",
        "headers": (),
        "body": b"",
        "at": datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC),
    }
    made: dict[str, Any] = orjson.loads(url_event(UrlRequest(**{**fields, **given})))
    return made


def test_an_event_has_the_fields_of_format_2() -> None:
    made = event(
        method="POST",
        path="/a%20b/c",
        query="x=1&x=2&y=%20z&empty=",
        headers=[("Host", "localhost:8080"), ("User-Agent", "curl/8"), ("Content-Type", "application/json")],
        body=b'{"a":1}',
    )

    assert made == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%20b/c",
        "rawQueryString": "x=1&x=2&y=%20z&empty=",
        "queryStringParameters": {"x": "1,2", "y": " z", "empty": ""},
        "headers": {
            "host": "localhost:8080",
            "user-agent": "curl/8",
            "content-type": "application/json",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "func_abcdefghij",
            "domainName": "localhost:8080",
            "domainPrefix": "func_abcdefghij",
            "http": {
                "method": "POST",
                "path": "/a%20b/c",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8",
            },
            "requestId": "0" * 24,
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Mar/2026:09:05:07 +0000",
            "timeEpoch": 1772355907000,
        },
        "body": '{"a":1}',
        "isBase64Encoded": False,
    }


def test_what_a_request_does_not_have_is_not_in_the_event() -> None:
    assert not event().keys() & {"body", "cookies", "queryStringParameters"}


def test_repeated_headers_are_joined_and_cookies_stand_apart() -> None:
    made = event(headers=[("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"), ("Cookie", "c=3")])

    assert made["headers"]["x-a"] == "1,2"
    assert made["headers"]["cookie"] == "a=1; b=2; c=3"
    assert made["cookies"] == ["a=1", "b=2", "c=3"]


def test_nobody_says_for_themselves_who_they_are_and_where_they_call_from() -> None:
    headers = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Exh-Requesting-User-Id", "0"),
        ("x_exh-requesting_user-id", "0"),
    ]

    made = event(headers=headers)

    assert not [name for name in made["headers"] if "exh" in name]
    assert made["headers"]["x-forwarded-for"] == "192.0.2.7"
    assert made["headers"]["x-forwarded-proto"] == "https"


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "is_text"),
    [
        ("application/json", b"{}", None, True),
        ("application/vnd.api+json; charset=utf-8", b"{}", None, True),
        ("text/plain", "é".encode(), None, True),
        ("application/x-www-form-urlencoded", b"a=1", None, True),
        ("text/plain", b"\xff\xfe", None, False),
        ("application/json", b"{}", "gzip", False),
        ("application/octet-stream", b"abc", None, False),
        (None, b"abc", None, False),
    ],
)
def test_a_body_is_text_where_its_type_and_its_bytes_say_so(
    content_type: str | None, body: bytes, encoding: str | None, is_text: bool
) -> None:
    headers = [("Content-Type", content_type), ("Content-Encoding", encoding)]

    made = event(body=body, headers=[(name, value) for name, value in headers if value is not None])

    assert made["isBase64Encoded"] is not is_text
    if is_text:
        assert made["body"].encode() == body


def test_headers_that_are_no_utf8_are_still_json() -> None:
    made = event(headers=[("X-Name", b"caf\xe9".decode("utf-8", "surrogateescape"))])

    assert made["headers"]["x-name"] == "café"


@pytest.mark.parametrize(
    ("result", "body"),
    [(b'"hello"', b"hello"), (b'{"a":1}', b'{"a":1}'), (b"[1]", b"[1]"), (b"null", b"null"), (b"3", b"3"), (b"", b"")],
)
def test_a_result_without_a_status_is_the_body_of_a_200(result: bytes, body: bytes) -> None:
    answer = url_answer(result)

    assert (answer.status, answer.headers, answer.body) == (200, (("Content-Type", "application/json"),), body)


def test_an_answer_says_its_status_headers_cookies_and_body() -> None:
    answer = url_answer(
        orjson.dumps(
            {
                "statusCode": 201,
                "headers": {
                    "Content-Type": "text/html",
                    "X-Count": 3,
                    "X-Is": True,
                    "Content-Length": "9",
                    "X-No": None,
                },
                "cookies": ["a=1; HttpOnly", "b=2"],
                "body": "<b>é</b>",
            }
        )
    )

    assert answer.status == 201
    assert answer.headers == (
        ("Content-Type", "text/html"),
        ("X-Count", "3"),
        ("X-Is", "true"),
        ("Set-Cookie", "a=1; HttpOnly"),
        ("Set-Cookie", "b=2"),
    )
    assert answer.body == "<b>é</b>".encode()


def test_a_body_in_base64_is_bytes_and_one_that_is_data_is_json() -> None:
    assert url_answer(b'{"statusCode":200,"body":"/wA=","isBase64Encoded":true}').body == b"\xff\x00"
    assert url_answer(b'{"statusCode":200,"body":{"a":1}}').body == b'{"a":1}'
    assert url_answer(b'{"statusCode":204}').body == b""
    assert url_answer(b'{"statusCode":"404"}').status == 404


@pytest.mark.parametrize(
    "result",
    [
        b"{",
        b'{"statusCode":99}',
        b'{"statusCode":600}',
        b'{"statusCode":"ok"}',
        b'{"statusCode":true}',
        b'{"statusCode":200.5}',
        b'{"statusCode":200,"headers":[]}',
        b'{"statusCode":200,"headers":{"a b":"c"}}',
        b'{"statusCode":200,"headers":{"":"c"}}',
        b'{"statusCode":200,"headers":{"a":"b\\r\\nc: d"}}',
        b'{"statusCode":200,"headers":{"a":["b"]}}',
        b'{"statusCode":200,"cookies":"a=1"}',
        b'{"statusCode":200,"cookies":["a=1\\n"]}',
        b'{"statusCode":200,"body":"%%","isBase64Encoded":true}',
        b'{"statusCode":200,"body":1,"isBase64Encoded":true}',
        b'{"statusCode":200,"body":' + b"[" * 500 + b"]" * 500 + b"}",
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_what_is_no_http_answer_is_unusable(result: bytes) -> None:
    with pytest.raises(UnusableResultError):
        url_answer(result)
