r"""
Canonical JSON: one text for one value, so that a hash of it can be made again anywhere.

The form is RFC 8785 (JCS): members sorted by the UTF-16 code units of their names, no white space, strings as
``JSON.stringify`` writes them, numbers as JavaScript writes them, in UTF-8. Where RFC 8785 refuses, this goes on as
JavaScript does, so that whatever a function may take or return has a canonical form::

    numbers         read as IEEE 754 doubles, as JSON.parse does: 9007199254740993 is 9007199254740992, 1.0 is 1,
                    -0 is 0; one too large for a double (1e400) is null, as JSON.stringify writes Infinity
    equal names     the last one counts
    lone surrogates half of a surrogate pair stays an escape, in lower case: "\ud800"

No depth is too deep. Text that is not JSON is refused.
"""

import json
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
# A number that orjson writes in another way than JavaScript: 1.0, or one with an exponent. It may be found in a string
# too; then the long way is taken for nothing.
_OTHER_NUMBER = re.compile(rb"(?:\A|[\[,:])-?\d+(?:\.\d+)?(?:e|\.0(?=[,\]}]|\Z))")
_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")
      | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)
      | (?P<word>true|false|null)
      | (?P<mark>[\[\]{}:,])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_DIGITS = 21
"""Numbers below 10**21 are written without an exponent, and"""
_MOST_ZEROS = -6
"""those of 10**-6 and more."""

_Parts = list[Any]
"""A text in pieces: strings, and pieces of pieces."""


class NotJsonError(ValueError):
    """A text is not JSON."""


def canonical(text: str) -> bytes:
    """Return the canonical form of a JSON text, as UTF-8; raise ``NotJsonError``."""
    return quick(text) or _Reader(text).read().encode()


def canonical_of(value: Any) -> bytes:
    """Return the canonical form of a value as ``json`` or ``orjson`` parse it."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # what orjson cannot write: an integer over 64 bits, half of a surrogate pair, great depth
        text = json.dumps(value)
    return canonical(text)


def quick(text: str) -> bytes | None:
    """Return the canonical form where it is had at some 15 ms a megabyte, None where it takes a hundred times that."""
    try:
        found = orjson.dumps(orjson.loads(text), option=_OPTIONS)
    except (orjson.JSONDecodeError, TypeError):  # perhaps only what orjson does not read or write
        return None
    # Names are sorted by code points; UTF-16 sorts those beyond it before U+E000 to U+FFFF.
    if not found.isascii() and re.search(rb"[\xee\xef]", found) and re.search(rb"[\xf0-\xf4]", found):
        return None
    return None if _OTHER_NUMBER.search(found) else found


def number(text: str) -> str:
    """Return a JSON number as JavaScript writes it; ``null`` when it is too large for a double."""
    value = float(text)
    if value == 0:
        return "0"
    if value in (float("inf"), float("-inf")):
        return "null"
    sign = "-" if value < 0 else ""
    # Both languages write the fewest digits that tell the double from its neighbours; only the layout differs.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return sign + _laid_out(digits.rstrip("0"), point)


def _laid_out(digits: str, point: int) -> str:
    """Return ``0.digits * 10**point`` as ECMAScript's Number::toString does."""
    if len(digits) <= point <= _MOST_DIGITS:
        return digits.ljust(point, "0")
    if 0 < point <= _MOST_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if _MOST_ZEROS < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{point - 1:+d}"


class _Array:
    """The items of an array that is being read."""

    def __init__(self) -> None:
        self._items: list[str | _Parts] = []

    def add(self, item: str | _Parts) -> None:
        self._items += (",", item) if self._items else (item,)

    def parts(self) -> _Parts:
        return ["[", self._items, "]"]


class _Object:
    """The members of an object that is being read. ``name`` is that of the member read last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._members: dict[str, str | _Parts] = {}

    def add(self, value: str | _Parts) -> None:
        self._members[self.name] = value

    def parts(self) -> _Parts:
        parts: _Parts = []
        for name in sorted(self._members, key=lambda name: name.encode("utf-16-be", "surrogatepass")):
            parts += [",", _quoted(name), ":", self._members[name]]
        return ["{", parts[1:], "}"]


class _Reader:
    """Reads a text token by token, with a stack of its own; for what the quick way cannot do."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._stack: list[_Array | _Object] = []

    def read(self) -> str:
        """Return the canonical form."""
        while True:
            value = self._value()
            while value is not None:
                if not self._stack:
                    self._take("end")
                    return "".join(_flat(value))
                value = self._added(self._stack[-1], value)

    def _value(self) -> str | _Parts | None:
        """Read a value; None when it is an array or object that has only been opened."""
        kind, text = self._take("string", "number", "word", "mark")
        match kind:
            case "string":
                return _quoted(json.loads(text))
            case "number":
                return number(text)
            case "word":
                return text
        if text not in "[{":
            raise NotJsonError(f"a value is expected before character {self._at}")
        if self._comes("]" if text == "[" else "}"):
            return "[]" if text == "[" else "{}"
        self._stack.append(_Array() if text == "[" else _Object(self._name()))
        return None

    def _added(self, container: _Array | _Object, value: str | _Parts) -> _Parts | None:
        """Add a value to what it is in; return that when it ends here."""
        container.add(value)
        if self._comes(","):
            if isinstance(container, _Object):
                container.name = self._name()
            return None
        if not self._comes("]" if isinstance(container, _Array) else "}"):
            raise NotJsonError(f"a comma or an end is expected after character {self._at}")
        return self._stack.pop().parts()

    def _name(self) -> str:
        _, text = self._take("string")
        if not self._comes(":"):
            raise NotJsonError(f"a colon is expected after character {self._at}")
        name: str = json.loads(text)
        return name

    def _take(self, *kinds: str) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup not in kinds:
            raise NotJsonError(f"{' or '.join(kinds)} is expected after character {self._at}")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _comes(self, mark: str) -> bool:
        """Tell whether this mark comes next; then it is taken."""
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["mark"] != mark:
            return False
        self._at = found.end()
        return True


def _quoted(text: str) -> str:
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", encode_basestring(text))


def _flat(value: str | _Parts) -> Iterator[str]:
    """Give the strings of a value in their order."""
    open_parts: list[Iterator[str | _Parts]] = [iter([value])]
    while open_parts:
        for part in open_parts[-1]:
            if not isinstance(part, str):
                open_parts.append(iter(part))
                break
            yield part
        else:
            open_parts.pop()
