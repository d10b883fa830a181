"""
The event an API function is called with: the HTTP request in AWS's version 2.0 form.

To the letter of contracts/extrahorizon.md section 4: path and query stay as they were sent (the query keeps
its ``?``), header names are lower case, who is asking is told by us alone, the body is always a string. Pure;
the size limit is the operation's, which knows the order of the checks.
"""

import binascii
from collections.abc import Iterable

import orjson

GUARDED_PREFIX = "x-exh-requesting-"
"""Headers with this prefix are ours; whoever sends one is not believed."""

_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/graphql",
        "application/javascript",
    }
)


def split_target(target: str) -> tuple[str, str]:
    """
    Split a raw request target, ``/tasks/v1/api/<name>[/anything][?query]``, at the function's name and at the query.

    Neither what comes after the name nor the query is decoded. The path starts with ``/``; the query is empty or
    starts with ``?``.
    """
    target = _clean(target)
    if not target.startswith("/"):
        # The absolute form a proxy is asked in: http://host/path.
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, question_mark, query = target.partition("#")[0].partition("?")
    rest = path.split("/", 5)[5:]
    return "/" + (rest[0] if rest else ""), question_mark + query if query else ""


def request_event(
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    user_id: str | None,
    application_id: str | None,
) -> bytes:
    """
    Return the event as JSON text.

    Args:
        method: in upper case.
        path: the raw path after the function's name, as ``split_target`` gives it.
        query: the raw query with its ``?``, or the empty string.
        headers: as received, repeated ones one by one, undecodable bytes as surrogate escapes.
        body: as received, still compressed if it was.
        user_id: who is asking, if anybody we know.
        application_id: the OAuth application that asks for them.

    """
    kept = _headers(headers)
    if user_id is not None:
        kept[GUARDED_PREFIX + "user-id"] = user_id
    if application_id is not None:
        kept[GUARDED_PREFIX + "application-id"] = application_id
    text = _text(body, kept.get("content-type", ""))
    event = {
        "version": "2.0",
        "requestContext": {"http": {"method": method}},
        "rawPath": path,
        "rawQueryString": query,
        "headers": kept,
        "isBase64Encoded": text is None,
        "body": binascii.b2a_base64(body, newline=False).decode("ascii") if text is None else text,
    }
    try:
        return orjson.dumps(event)
    except TypeError:
        event["headers"] = {_clean(name): _clean(value) for name, value in kept.items()}
        return orjson.dumps(event)


def _headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        # "_" counts as "-": a function behind CGI or WSGI could not tell the two apart.
        if lower.startswith("x") and lower.replace("_", "-").startswith(GUARDED_PREFIX):
            continue
        kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept


def _text(body: bytes, content_type: str) -> str | None:
    """Return the body as text if its type says it is text and its bytes are UTF-8."""
    if not body:
        return ""
    media_type = content_type.partition(";")[0].strip().lower()
    if (
        media_type not in _TEXT_TYPES
        and not media_type.startswith("text/")
        and not media_type.endswith(("+json", "+xml"))
    ):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _clean(text: str) -> str:
    """Return the text; if its bytes were no UTF-8, every byte is taken for a Latin-1 character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text
