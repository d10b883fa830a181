"""The event of an API function, to the letter of contracts/extrahorizon.md section 4."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.extrahorizon.request_event import request_event, split_target

USER = "64f0c2a1b7e94d0012ab34cd"
APPLICATION = "64f0c2a1b7e94d0012ab34ce"
AS_SENT = st.binary(min_size=1, max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def event_of(
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    user_id: str | None = None,
    application_id: str | None = None,
) -> dict[str, Any]:
    text = request_event(method, path, query, headers, body, user_id=user_id, application_id=application_id)
    event: dict[str, Any] = json.loads(text)
    return event


def test_the_event_has_the_documented_members_and_no_others() -> None:
    event = event_of(
        path="/orders/7",
        query="?full=1",
        headers=[("Content-Type", "application/json"), ("Content-Length", "9")],
        body=b'{"qty":2}',
        user_id=USER,
        application_id=APPLICATION,
    )

    assert event == {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/orders/7",
        "rawQueryString": "?full=1",
        "headers": {
            "content-type": "application/json",
            "content-length": "9",
            "x-exh-requesting-user-id": USER,
            "x-exh-requesting-application-id": APPLICATION,
        },
        "isBase64Encoded": False,
        "body": '{"qty":2}',
    }


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/tasks/v1/api/fn", "/", ""),
        ("/tasks/v1/api/fn/", "/", ""),
        ("/tasks/v1/api/fn?a=1", "/", "?a=1"),
        ("/tasks/v1/api/fn/?", "/", ""),
        ("/tasks/v1/api/fn/orders/7?full=1", "/orders/7", "?full=1"),
        ("/tasks/v1/api/fn/a%2Fb%20c", "/a%2Fb%20c", ""),
        ("/tasks/v1/api/fn//double/", "//double/", ""),
        ("/tasks/v1/api/fn/../../secret", "/../../secret", ""),
        ("/tasks/v1/api/my%20fn/x", "/x", ""),
        ("/tasks/v1/api/fn/x?a=b?c=/d&e=%26+", "/x", "?a=b?c=/d&e=%26+"),
        ("/tasks/v1/api/fn/x?a#fragment", "/x", "?a"),
        ("http://localhost:8080/tasks/v1/api/fn/x?y", "/x", "?y"),
        ("/tasks/v1/api/fn/caf\u00e9", "/caf\u00e9", ""),
        ("/tasks/v1/api/fn/caf\udce9", "/caf\u00e9", ""),
    ],
)
def test_path_and_query_stay_as_they_were_sent(target: str, path: str, query: str) -> None:
    assert split_target(target) == (path, query)


def test_header_names_are_lower_case_and_values_untouched() -> None:
    headers = event_of(headers=[("X-Mixed-CASE", " Kept  As Is "), ("accept", "*/*")])["headers"]

    assert headers == {"x-mixed-case": " Kept  As Is ", "accept": "*/*"}


def test_repeated_headers_are_joined_in_order() -> None:
    headers = event_of(headers=[("Accept", "a"), ("accept", "b"), ("ACCEPT", "c")])["headers"]

    assert headers == {"accept": "a, b, c"}


@pytest.mark.parametrize(
    "name",
    [
        "x-exh-requesting-user-id",
        "X-EXH-REQUESTING-APPLICATION-ID",
        "X-Exh-Requesting-Invented",
        "x-exh-requesting-",
        "X_EXH_REQUESTING_USER_ID",
        "x-exh_requesting-user-id",
    ],
)
@pytest.mark.parametrize("user_id", [None, USER])
def test_a_guarded_header_from_outside_is_dropped_in_any_spelling(name: str, user_id: str | None) -> None:
    headers = event_of(headers=[(name, "forged"), (name.swapcase(), "again")], user_id=user_id)["headers"]

    assert headers == ({} if user_id is None else {"x-exh-requesting-user-id": USER})


def test_who_is_asking_is_absent_when_nobody_is_known() -> None:
    assert event_of()["headers"] == {}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "TEXT/Html; charset=utf-8",
        "application/json",
        "application/vnd.api+json",
        "application/xml",
        "image/svg+xml",
        "application/x-www-form-urlencoded",
    ],
)
def test_text_arrives_as_text_and_what_is_no_utf_8_as_base64(content_type: str) -> None:
    as_text = event_of(headers=[("Content-Type", content_type)], body="h\u00e9llo \0 \U0001f600".encode())
    as_bytes = event_of(headers=[("Content-Type", content_type)], body=b"\xff\xfe")

    assert (as_text["isBase64Encoded"], as_text["body"]) == (False, "h\u00e9llo \0 \U0001f600")
    assert (as_bytes["isBase64Encoded"], as_bytes["body"]) == (True, base64.b64encode(b"\xff\xfe").decode())


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "image/png", "multipart/form-data; boundary=x", ""]
)
def test_every_other_body_arrives_as_base64(content_type: str) -> None:
    body = bytes(range(256))
    event = event_of(headers=[("content-type", content_type)], body=body)

    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_no_body_is_the_empty_string() -> None:
    event = event_of(method="GET")

    assert (event["isBase64Encoded"], event["body"]) == (False, "")


@given(st.binary(), st.sampled_from(["text/plain", "application/json", "application/octet-stream"]))
def test_any_body_arrives_exactly_and_is_always_a_string(body: bytes, content_type: str) -> None:
    event = event_of(headers=[("content-type", content_type)], body=body)

    assert isinstance(event["body"], str)
    assert (base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()) == body


@given(st.lists(st.tuples(AS_SENT, AS_SENT), max_size=6), AS_SENT)
def test_any_bytes_in_the_head_of_a_request_make_an_event(headers: list[tuple[str, str]], tail: str) -> None:
    path, query = split_target("/tasks/v1/api/fn/" + tail)
    event = event_of(path=path, query=query, headers=headers)

    assert event["rawPath"].startswith("/")
    assert event["rawQueryString"][:1] in {"", "?"}
    assert all(name == name.lower() for name in event["headers"] if name.isascii())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["x-exh-requesting-", "X-Exh-Requesting-", "x_exh-REQUESTING_"]),
            st.text("abcXYZ-_", max_size=8),
        ).map("".join)
    )
)
def test_no_spelling_gets_a_guarded_header_through(names: list[str]) -> None:
    assert event_of(headers=[(name, "forged") for name in names])["headers"] == {}
