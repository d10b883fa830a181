"""What an API function may answer: R1 to R10 of contracts/extrahorizon.md section 5, and what becomes of the rest."""

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.api_response import IGNORED_HEADERS, ApiResponse, InvalidResponse, read_api_response

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
ALLOWED_IN_VALUES = "".join(chr(code) for code in range(32, 127) if chr(code) != "\\")


def answered(result: Any) -> ApiResponse:
    response = read_api_response(json.dumps(result).encode())

    assert isinstance(response, ApiResponse), response
    return response


def refused(result: Any) -> InvalidResponse:
    response = read_api_response(json.dumps(result).encode())

    assert isinstance(response, InvalidResponse), response
    return response


@pytest.mark.parametrize("result", ["text", 200, [200], None, True, {}, {"body": "no status"}])
def test_r1_a_result_is_an_object_with_a_status_code(result: Any) -> None:
    invalid = refused(result)

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert "an object with a statusCode" in invalid.message


@pytest.mark.parametrize("status", ["200", True, None, [200], {"value": 200}, 200.5])
def test_r2_a_status_code_is_a_whole_number(status: Any) -> None:
    invalid = refused({"statusCode": status})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert invalid.message.startswith("The status code is expected to be a number between 200 and 499. Returned value:")


@pytest.mark.parametrize("status", [500, 199, 100, 0, -1, 1000, 10**30])
def test_r3_a_status_code_outside_200_to_499_is_refused_in_the_words_of_the_documentation(status: int) -> None:
    assert refused({"statusCode": status}).message.startswith(
        "The status code is expected to be a number between 200 and 499. Returned value: "
    )


def test_r3_the_returned_status_ends_the_message() -> None:
    assert (
        refused({"statusCode": 500}).message
        == "The status code is expected to be a number between 200 and 499. Returned value: 500"
    )


@pytest.mark.parametrize("flag", ["true", 1, None, [], {}])
def test_r4_is_base64_encoded_is_a_boolean(flag: Any) -> None:
    invalid = refused({"statusCode": 200, "body": "", "isBase64Encoded": flag})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert "isBase64Encoded" in invalid.message


@pytest.mark.parametrize("body", [7, {"a": 1}, ["QQ=="], None, False])
def test_r5_a_base64_body_is_a_string(body: Any) -> None:
    invalid = refused({"statusCode": 200, "body": body, "isBase64Encoded": True})

    assert invalid.name == "INVALID_FUNCTION_RESULT"
    assert "Base64 string" in invalid.message


@pytest.mark.parametrize(
    "body", ["hello world", "QQ", "QQ=", "QUJD=", "QUJD====", "====", "QU\nJD", "QQ==QQ==", "é", "_-8=", "=", "\ud800"]
)
def test_r6_a_base64_body_is_valid_base64(body: str) -> None:
    invalid = refused({"statusCode": 200, "body": body, "isBase64Encoded": True})

    assert invalid.name == "INVALID_FUNCTION_RESULT"
    assert "valid Base64" in invalid.message


def test_r6_the_empty_string_is_valid_base64() -> None:
    assert answered({"statusCode": 200, "body": "", "isBase64Encoded": True}).body == b""


@pytest.mark.parametrize("headers", [[["a", "b"]], "a: b", 7, None, True])
def test_r7_headers_are_an_object(headers: Any) -> None:
    invalid = refused({"statusCode": 200, "headers": headers})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert "headers is expected to be an object" in invalid.message


@pytest.mark.parametrize("value", [7, ["a"], None, True, {"a": "b"}])
def test_r8_a_header_value_is_a_string(value: Any) -> None:
    invalid = refused({"statusCode": 200, "headers": {"x-thing": value}})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert "x-thing is expected to be a string" in invalid.message


@pytest.mark.parametrize(
    "value", ["a\r\nset-cookie: b", "a\nb", "a\rb", "caf\u00e9", "\U0001f600", "a\\b", "a\tb", "a\0b", "\x7f"]
)
def test_r9_a_header_value_holds_no_line_break_and_nothing_beyond_the_listed_characters(value: str) -> None:
    invalid = refused({"statusCode": 200, "headers": {"x-thing": value}})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert invalid.message == "The value of header x-thing has characters that are not allowed."


@given(st.text(ALLOWED_IN_VALUES))
def test_r9_every_listed_character_passes_untouched(value: str) -> None:
    assert answered({"statusCode": 200, "headers": {"x-thing": value}}).headers["x-thing"] == value


@given(st.text())
def test_r9_a_value_with_any_other_character_never_passes(value: str) -> None:
    response = read_api_response(json.dumps({"statusCode": 200, "headers": {"x-thing": value}}).encode())

    assert isinstance(response, ApiResponse) == (set(value) <= set(ALLOWED_IN_VALUES))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "a.b", "a\n"])
def test_r10_a_header_name_is_letters_digits_underscore_and_hyphen(name: str) -> None:
    invalid = refused({"statusCode": 200, "headers": {name: "value"}})

    assert invalid.name == "INVALID_API_FUNCTION_RESULT"
    assert "header name" in invalid.message


def test_only_a_status_code_is_required() -> None:
    assert answered({"statusCode": 204}) == ApiResponse(204, {"Content-Type": "application/json"}, b"")


@pytest.mark.parametrize("status", [200, 204, 299, 302, 404, 499])
def test_every_status_from_200_to_499_passes(status: int) -> None:
    assert answered({"statusCode": status}).status == status


def test_a_whole_number_written_as_a_float_is_a_status() -> None:
    response = read_api_response(b'{"statusCode":201.0}')

    assert isinstance(response, ApiResponse)
    assert response.status == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"a": [1, 2]}, b'{"a":[1,2]}'),
        ([1, "b"], b'[1,"b"]'),
        (42, b"42"),
        (0, b"0"),
        (1.5, b"1.5"),
        (True, b"true"),
        (False, b"false"),
        ("text é", "text é".encode()),
        ('{"already":"json"}', b'{"already":"json"}'),
        ("", b""),
        (None, b""),
    ],
)
def test_a_body_is_sent_as_json_unless_it_is_text_or_nothing(body: Any, expected: bytes) -> None:
    assert answered({"statusCode": 200, "body": body, "isBase64Encoded": False}).body == expected


def test_unknown_members_are_ignored() -> None:
    assert answered({"statusCode": 200, "cookies": 7, "multiValueHeaders": []}).status == 200


def test_an_own_content_type_is_kept_in_any_letter_case() -> None:
    response = answered({"statusCode": 200, "headers": {"cOnTent-TYPE": "image/png"}})

    assert response.headers == {"Content-Type": "image/png"}


@pytest.mark.parametrize(
    ("given_type", "sent"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/html; charset=iso-8859-1", "text/html; charset=iso-8859-1"),
        ("application/json", "application/json"),
    ],
)
def test_a_text_is_said_to_be_utf_8_unless_its_author_says_what_it_is(given_type: str, sent: str) -> None:
    response = answered({"statusCode": 200, "headers": {"content-type": given_type}, "body": "x"})

    assert response.headers["Content-Type"] == sent


def test_nothing_is_said_about_the_charset_of_decoded_bytes() -> None:
    response = answered(
        {"statusCode": 200, "headers": {"content-type": "text/csv"}, "body": "6Q==", "isBase64Encoded": True}
    )

    assert response == ApiResponse(200, {"Content-Type": "text/csv"}, b"\xe9")


@pytest.mark.parametrize("name", sorted(IGNORED_HEADERS))
def test_headers_of_the_connection_are_ignored_whatever_they_hold(name: str) -> None:
    response = answered({"statusCode": 200, "headers": {name.title(): "3", name.upper(): 3, "x-kept": "yes"}})

    assert response.headers == {"x-kept": "yes", "Content-Type": "application/json"}


@pytest.mark.parametrize("text", [b"", b"{", b"undefined", b'{"statusCode":NaN}', b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused_not_raised(text: bytes) -> None:
    assert isinstance(read_api_response(text), InvalidResponse)


def test_half_a_character_becomes_a_replacement_character_in_text_and_stays_an_escape_in_json() -> None:
    assert read_api_response(rb'{"statusCode":200,"body":"a\ud800b\ud83d\ude00"}') == ApiResponse(
        200, {"Content-Type": "application/json"}, "a\ufffdb\U0001f600".encode()
    )
    assert read_api_response(rb'{"statusCode":200,"body":{"a":"\ud800"}}') == ApiResponse(
        200, {"Content-Type": "application/json"}, rb'{"a":"\ud800"}'
    )


def test_a_deeply_nested_body_is_sent_whole_or_refused_never_an_error_of_ours() -> None:
    deep = b"[" * 500 + b"]" * 500
    response = read_api_response(b'{"statusCode":200,"body":%s}' % deep)

    assert isinstance(response, ApiResponse)
    assert response.body == deep
    assert isinstance(
        read_api_response(b'{"statusCode":200,"body":%s%s}' % (b"[" * 50_000, b"]" * 50_000)), InvalidResponse
    )


def test_a_body_of_five_megabytes_passes_as_text_and_as_bytes() -> None:
    text = "x" * 5_000_000

    assert answered({"statusCode": 200, "body": text}).body == text.encode()
    assert (
        answered(
            {"statusCode": 200, "body": base64.b64encode(text[:4_500_000].encode()).decode(), "isBase64Encoded": True}
        ).body
        == text[:4_500_000].encode()
    )


@given(st.binary())
def test_any_bytes_come_through_base64_exactly(body: bytes) -> None:
    encoded = base64.b64encode(body).decode()

    assert answered({"statusCode": 200, "body": encoded, "isBase64Encoded": True}).body == body


@given(JSON_VALUES)
def test_any_json_body_arrives_as_the_same_json(body: Any) -> None:
    sent = answered({"statusCode": 200, "body": body}).body

    if body is None:
        assert sent == b""
    elif isinstance(body, str):
        assert sent.decode() == body
    else:
        assert orjson.loads(sent) == body


@given(
    JSON_VALUES
    | st.fixed_dictionaries(
        {},
        optional={
            "statusCode": JSON_VALUES | st.integers(150, 550),
            "headers": JSON_VALUES,
            "body": JSON_VALUES,
            "isBase64Encoded": st.booleans() | JSON_VALUES,
        },
    )
)
def test_any_result_is_an_answer_http_can_carry_or_a_named_broken_rule(result: Any) -> None:
    response = read_api_response(json.dumps(result).encode())

    if isinstance(response, InvalidResponse):
        assert response.name in {"INVALID_API_FUNCTION_RESULT", "INVALID_FUNCTION_RESULT"}
        assert response.message
    else:
        assert 200 <= response.status <= 499
        assert response.headers["Content-Type"]
        assert not any(character in value for value in response.headers.values() for character in "\r\n")


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_judged_without_raising(result: bytes) -> None:
    assert isinstance(read_api_response(result), ApiResponse | InvalidResponse)
