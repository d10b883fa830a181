"""
What PostgreSQL's text cannot hold, made into what it can.

A text column takes neither NUL nor half of a surrogate pair, and users' functions print both. Each becomes
U+FFFD, in plain text and inside JSON alike.
"""

from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """Return ``text`` as a text column can hold it."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that belong together become the character they stand for; a lone one is replaced.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_or_none(text: str | None) -> str | None:
    """Return ``text`` as a column that may be null can hold it."""
    return None if text is None else storable(text)


def stored_bytes(content: bytes) -> str:
    """Return bytes that should be UTF-8 as a text column can hold them."""
    return storable(content.decode("utf-8", "replace"))


def json_text(value: Any) -> str:
    """Return ``value`` (JSON-able, dataclasses included) as JSON that a jsonb column can hold."""
    try:
        encoded = orjson.dumps(value)
    except TypeError:  # half of a surrogate pair
        encoded = orjson.dumps(_clean(value))
    if b"\\u0000" in encoded:
        encoded = orjson.dumps(_clean(value))
    return encoded.decode()


def _clean(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _clean(asdict(value))
        case _:
            return value
