"""
The event a function is called with through its URL, and the answer made of what it returned.

Both are AWS's payload format 2.0 of function URLs. Pure: the request's parts in, JSON text out; a result's JSON text
in, status, headers and body out. The path and the query string stay as they were sent. Repeated headers and query
parameters are joined by commas, cookies stand apart.
"""

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/graphql",
    }
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599
_GUARDED = "x-exh-requesting-"
"""Headers by which other dialects tell a function who is asking: whoever sends one here is not believed."""

_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection: the server that holds it writes its own."""
_HOST = frozenset({"clear-site-data", "service-worker-allowed", "strict-transport-security"})
"""Headers by which a page speaks for all of its host, which functions of different people share here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRequest:
    """
    A request of a function's URL.

    ``path`` and ``query`` (without its ``?``) are raw; ``headers`` as received, repeated ones one by one. ``address``
    is the caller's; ``host`` what they called us, by ``scheme``; ``function_id`` the part of the URL that names it.
    """

    function_id: str
    request_id: str
    method: str
    path: str
    query: str
    protocol: str
    host: str
    scheme: str
    address: str
    headers: Iterable[tuple[str, str]]
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class UrlAnswer:
    """What the caller gets. ``headers`` may repeat a name: cookies do."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class UnusableResultError(Exception):
    """What the function returned is no HTTP answer; the text says why."""


def url_event(request: UrlRequest) -> bytes:
    """Return the event as JSON text."""
    headers, cookies = _headers(request.headers)
    headers["x-forwarded-for"] = request.address
    headers.setdefault("x-forwarded-proto", request.scheme)
    at = request.at.astimezone(UTC)
    http = {
        "method": request.method,
        "path": request.path,
        "protocol": request.protocol,
        "sourceIp": request.address,
        "userAgent": headers.get("user-agent", ""),
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": request.function_id,
            "domainName": readable(request.host),
            "domainPrefix": request.function_id,
            "http": http,
            "requestId": request.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{at:%d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000",
            "timeEpoch": int(at.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        event["queryStringParameters"] = _parameters(request.query)
    if request.body:
        text = _text(request.body, headers)
        event["isBase64Encoded"] = text is None
        event["body"] = binascii.b2a_base64(request.body, newline=False).decode("ascii") if text is None else text
    return orjson.dumps(event)


def url_answer(result: bytes) -> UrlAnswer:
    """
    Return the answer that a handler's result means.

    A result without ``statusCode`` is the body of a 200: a string as it is, anything else as JSON.

    Raises:
        UnusableResultError: it says it is an answer and is none.
    """
    try:
        value = orjson.loads(result) if result else None
    except orjson.JSONDecodeError as error:
        raise UnusableResultError("the result is not JSON") from error
    if not isinstance(value, dict) or "statusCode" not in value:
        body = value.encode() if isinstance(value, str) else result
        return UrlAnswer(200, (("Content-Type", "application/json"),), body)
    headers = _answer_headers(value.get("headers"), value.get("cookies"))
    return UrlAnswer(_status(value["statusCode"]), headers, _answer_body(value))


def _headers(received: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    kept: dict[str, str] = {}
    cookies: list[str] = []
    for name, raw in received:
        lower, value = readable(name.lower()), readable(raw)
        if lower.replace("_", "-").startswith(_GUARDED):
            continue
        if lower == "cookie":
            cookies += [each.strip() for each in value.split(";") if each.strip()]
        else:
            kept[lower] = f"{kept[lower]},{value}" if lower in kept else value
    if cookies:
        kept["cookie"] = "; ".join(cookies)
    return kept, cookies


def _parameters(query: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        kept[name] = f"{kept[name]},{value}" if name in kept else value
    return kept


def _text(body: bytes, headers: dict[str, str]) -> str | None:
    """Return the body as text if its type says it is text and its bytes are UTF-8."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = media_type in _TEXT_TYPES or media_type.startswith("text/") or media_type.endswith(("+json", "+xml"))
    if not is_text or "content-encoding" in headers:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    if type(value) is not int or not _LOWEST_STATUS <= value <= _HIGHEST_STATUS:
        raise UnusableResultError(f"statusCode must be {_LOWEST_STATUS} to {_HIGHEST_STATUS}")
    return value


def _answer_headers(headers: Any, cookies: Any) -> tuple[tuple[str, str], ...]:
    if headers is not None and not isinstance(headers, dict):
        raise UnusableResultError("headers must be an object")
    if cookies is not None and not isinstance(cookies, list):
        raise UnusableResultError("cookies must be an array")
    kept: list[tuple[str, str]] = []
    for name, value in (headers or {}).items():
        if name.lower() not in _CONNECTION | _HOST and value is not None:
            kept.append((_token(name), _header_value(value)))
    kept += [("Set-Cookie", _header_value(each)) for each in cookies or ()]
    if not any(name.lower() == "content-type" for name, _ in kept):
        kept.append(("Content-Type", "application/json"))
    return tuple(kept)


def _token(name: str) -> str:
    if not name or not name.isascii() or not all(each.isalnum() or each in "!#$%&'*+-.^_`|~" for each in name):
        raise UnusableResultError("a header's name has characters that are not allowed")
    return name


def _header_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or _CONTROL.search(value) is not None:
        raise UnusableResultError("a header's value must be a string without control characters")
    return value


def _answer_body(answer: dict[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if answer.get("isBase64Encoded") is True:
        if not isinstance(body, str):
            raise UnusableResultError("a body in Base64 must be a string")
        try:
            return binascii.a2b_base64(body, strict_mode=True)
        except ValueError as error:
            raise UnusableResultError("the body is not Base64") from error
    if isinstance(body, str):
        return body.encode()
    try:
        return orjson.dumps(body)
    except TypeError as error:  # what can be read at such a depth cannot be written
        raise UnusableResultError("the body is nested too deeply") from error


def readable(text: str) -> str:
    """Return the text; if its bytes were no UTF-8, every byte is taken for a Latin-1 character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text
