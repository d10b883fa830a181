"""
What an API function may answer, and the HTTP answer made of it (contracts/extrahorizon.md section 5).

Pure: a result's JSON text in, a value out. ``ApiResponse`` is an answer HTTP can carry; ``InvalidResponse``
names the rule that was broken, for the caller and for the record. Nothing is raised: what a function
answered is never our failure. Left to others: the 6 MiB limit of a result (the engine's ``Oversized``), and
the answers that have no body on the wire (HEAD, 204, 304), which are the api's affair.
"""

import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

LOWEST_STATUS = 200
HIGHEST_STATUS = 499
DEFAULT_CONTENT_TYPE = "application/json"

IGNORED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection: the server that holds the connection writes its own."""

_INVALID_RESULT = "INVALID_API_FUNCTION_RESULT"
_INVALID_BASE64 = "INVALID_FUNCTION_RESULT"

_header_name = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_header_value = re.compile(r"""[A-Za-z0-9_ :;.,/"'?!(){}\[\]@<>=\-+*#$&`|~^%]*""").fullmatch

_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An answer HTTP can carry: a status of 200 to 499, headers with a content type, the body's bytes."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class InvalidResponse:
    """A result HTTP cannot carry. ``message`` names the rule it broke."""

    name: str
    message: str


class _BrokenRuleError(Exception):
    """Carries an ``InvalidResponse`` out of the rule that found it; never leaves this module."""

    def __init__(self, message: str, name: str = _INVALID_RESULT) -> None:
        super().__init__(message)
        self.invalid = InvalidResponse(name, message)


def read_api_response(result: bytes) -> ApiResponse | InvalidResponse:
    """
    Read what an API function returned.

    Args:
        result: the JSON text of the handler's return value, as its worker wrote it.

    """
    try:
        return _read(_parse(result))
    except _BrokenRuleError as broken:
        return broken.invalid


_NO_HEADERS: dict[str, str] = {}


def _read(answer: Any) -> ApiResponse:
    if type(answer) is not dict or "statusCode" not in answer:
        raise _BrokenRuleError("The result is expected to be an object with a statusCode.")
    status = _status(answer["statusCode"])
    is_base64 = answer.get("isBase64Encoded", False)
    if type(is_base64) is not bool:
        raise _BrokenRuleError(f"isBase64Encoded is expected to be a boolean. {_returned(is_base64)}")
    headers = _headers(answer.get("headers", _NO_HEADERS), is_text=not is_base64)
    body = answer.get("body")
    return ApiResponse(status, headers, _decoded(body) if is_base64 else _body(body))


def _parse(result: bytes) -> Any:
    try:
        return orjson.loads(result)
    except orjson.JSONDecodeError:
        pass
    # Node writes lone surrogates as escapes, which is JSON but more than orjson reads.
    try:
        return json.loads(result, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise _BrokenRuleError("The result is expected to be JSON.") from None


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _status(status: Any) -> int:
    if type(status) is int and LOWEST_STATUS <= status <= HIGHEST_STATUS:
        return status
    if type(status) is float and status.is_integer() and LOWEST_STATUS <= status <= HIGHEST_STATUS:
        return int(status)
    raise _BrokenRuleError(
        f"The status code is expected to be a number between {LOWEST_STATUS} and {HIGHEST_STATUS}. {_returned(status)}"
    )


def _headers(headers: Any, *, is_text: bool) -> dict[str, str]:
    if type(headers) is not dict:
        raise _BrokenRuleError(f"headers is expected to be an object of names and values. {_returned(headers)}")
    kept: dict[str, str] = {}
    content_type = DEFAULT_CONTENT_TYPE
    for name, value in headers.items():
        lower = name.lower()
        if lower in IGNORED_HEADERS:
            continue
        if _header_name(name) is None:
            raise _BrokenRuleError(
                f"A header name is expected to use only letters, digits, '_' and '-'. {_returned(name)}"
            )
        if type(value) is not str:
            raise _BrokenRuleError(f"The value of header {name} is expected to be a string. {_returned(value)}")
        if _header_value(value) is None:
            raise _BrokenRuleError(f"The value of header {name} has characters that are not allowed.")
        if lower == "content-type":
            content_type = _with_charset(value) if is_text else value
        else:
            kept[name] = value
    kept["Content-Type"] = content_type
    return kept


def _with_charset(content_type: str) -> str:
    """Say that a text is UTF-8, which it is, unless its author said something about it."""
    lower = content_type.lower()
    if lower.startswith("text/") and "charset" not in lower:
        return f"{content_type}; charset=utf-8"
    return content_type


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if type(body) is str:
        try:
            return body.encode()
        except UnicodeEncodeError:
            # As Node does: what is half a character becomes U+FFFD.
            return body.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    try:
        return orjson.dumps(body)
    except TypeError:
        pass
    # Deeper than orjson goes, or text with lone surrogates, which stay escapes.
    try:
        return json.dumps(body, separators=(",", ":")).encode()
    except RecursionError:
        raise _BrokenRuleError("The body is nested too deeply.") from None


def _decoded(body: Any) -> bytes:
    if type(body) is not str:
        raise _BrokenRuleError(
            f"The body is expected to be a Base64 string because isBase64Encoded is true. {_returned(body)}",
            _INVALID_BASE64,
        )
    try:
        decoded = binascii.a2b_base64(body, strict_mode=True)
    except ValueError:
        decoded = None
    # Strict as it is, it passes over padding nobody asked for ("QUJD=").
    if decoded is None or len(decoded) != len(body) * 3 / 4 - body.count("="):
        raise _BrokenRuleError(
            "The body is expected to be valid Base64 because isBase64Encoded is true.", _INVALID_BASE64
        )
    return decoded


def _returned(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return f"Returned value: {text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + '…'}"
