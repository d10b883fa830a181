"""
``fetch`` and ``services.oracle``: what functions may read of the outside, by the rules of ``outbound.py``.

Both take ``url``, ``method``, ``headers``, ``body`` and ``timeout`` (milliseconds). ``fetch`` gives the whole
answer whatever its status, its body in base64, of which the realm makes a response; the oracle gives parsed JSON,
narrowed by a ``jsonPath``, and takes any other answer for a failure. Without allowed hosts both are unavailable.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.invoker.host_services import arguments as read
from services.invoker.host_services.errors import InvalidArgumentError, OracleError, ServiceUnavailableError
from services.invoker.host_services.outbound import Allowed, Fetched, Outbound, Outgoing, read_url
from services.invoker.host_services.services import Method
from shared.domain.json_path import NotThereError, find, parse_path

DEFAULT_S, LONGEST_S = 10.0, 30.0
MOST_BYTES = 5 * 1024 * 1024
_MOST_SENT_BYTES = 1024 * 1024
_MOST_HEADERS, _LONGEST_HEADER, _LONGEST_URL = 50, 8 * 1024, 8 * 1024
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NOT_TO_SET = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_OK = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The outside as functions may reach it."""

    outbound: Outbound
    allowed: Allowed


class Oracle:
    """Fetches for functions. ``web`` is None when the operator allows no host."""

    def __init__(self, web: Web | None) -> None:
        self._web = web

    def methods(self) -> Mapping[str, Method]:
        """Return what functions may call as ``services.oracle``."""
        return {"fetch": self._fetch_json}

    def http_methods(self) -> Mapping[str, Method]:
        """Return what the realm's ``fetch`` calls."""
        return {"fetch": self._fetch}

    async def _fetch(self, arguments: list[Any]) -> dict[str, Any]:
        given = read.fields(read.first(arguments), "{url}")
        if given.get("redirect") not in {None, "follow"}:
            raise InvalidArgumentError("redirects are followed; another way is not offered")
        fetched = await self._get(given, _decoded(given.get("body")))
        answer = fetched.answer
        return {
            "url": fetched.url,
            "redirected": fetched.redirected,
            "status": answer.status,
            "statusText": answer.reason,
            "headers": list(answer.headers.items()),
            "body": base64.b64encode(answer.body).decode("ascii"),
        }

    async def _fetch_json(self, arguments: list[Any]) -> Any:
        given = read.fields(read.first(arguments), '{url: "https://...", jsonPath: "$.price"}')
        path = given.get("jsonPath")
        try:
            steps = parse_path("$" if path is None else read.text(path, "jsonPath", _LONGEST_URL))
        except ValueError as error:
            raise InvalidArgumentError(f"jsonPath: {error}") from error
        fetched = await self._get(given, _text(given.get("body")))
        if fetched.answer.status not in _OK:
            raise OracleError(f"the host answered with HTTP {fetched.answer.status}", status=fetched.answer.status)
        try:
            return find(orjson.loads(fetched.answer.body), steps)
        except orjson.JSONDecodeError as error:
            raise OracleError("the host did not answer with JSON") from error
        except NotThereError as error:
            raise OracleError(f"the answer has nothing at {path}") from error

    async def _get(self, given: dict[str, Any], body: bytes) -> Fetched:
        if self._web is None:
            raise ServiceUnavailableError("the operator allows functions no host to reach (TIDEMILL_ORACLE_HOSTS)")
        method = given.get("method") or "GET"
        if not isinstance(method, str) or method.upper() not in _METHODS:
            raise InvalidArgumentError(f"method is one of {', '.join(_METHODS)}")
        if len(body) > _MOST_SENT_BYTES:
            raise InvalidArgumentError(f"a body has at most {_MOST_SENT_BYTES} bytes")
        outgoing = Outgoing(
            url=read_url(read.text(given.get("url"), "url", _LONGEST_URL)),
            method=method.upper(),
            headers=_headers(given.get("headers")),
            body=body,
            limit_s=_limit_s(given.get("timeout")),
            most_bytes=MOST_BYTES,
        )
        return await self._web.outbound.fetch(outgoing, self._web.allowed)


def _limit_s(given: object) -> float:
    if given is None:
        return DEFAULT_S
    return read.whole(given, "timeout, in milliseconds,", 1, int(LONGEST_S * 1000)) / 1000


def _headers(given: object) -> dict[str, str]:
    """Return headers given as an object or as pairs; those that belong to the connection are ours to set."""
    pairs = list(given.items()) if isinstance(given, dict) else [] if given is None else given
    if not isinstance(pairs, list) or len(pairs) > _MOST_HEADERS:
        raise InvalidArgumentError(f"headers are an object with at most {_MOST_HEADERS} members")
    headers = {"user-agent": "tidemill", "accept": "*/*"}
    for pair in pairs:
        match pair:
            case [str(name), str(value)] | (str(name), str(value)) if _HEADER_NAME.fullmatch(name):
                _check_header(name.lower(), value)
                headers[name.lower()] = value
            case _:
                raise InvalidArgumentError("a header is a name and a text")
    return headers


def _check_header(name: str, value: str) -> None:
    if name in _NOT_TO_SET:
        raise InvalidArgumentError(f"the header {name} is not a function's to set")
    if len(value) > _LONGEST_HEADER or not _HEADER_VALUE.fullmatch(value):
        raise InvalidArgumentError(f"the value of the header {name} cannot be sent")


def _decoded(given: object) -> bytes:
    try:
        return b"" if given is None else base64.b64decode(read.text(given, "body", 2 * _MOST_SENT_BYTES), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError("the body cannot be read") from error


def _text(given: object) -> bytes:
    if given is None:
        return b""
    if not isinstance(given, str):
        raise InvalidArgumentError("body is a text")
    return given.encode()
