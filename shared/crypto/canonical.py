r"""
Canonical JSON: one text for one value, so that a hash of it can be made again anywhere.

The form is RFC 8785 (JCS): members sorted by the UTF-16 code units of their names, no white space, strings as
``JSON.stringify`` writes them, numbers as JavaScript writes them, in UTF-8. Where RFC 8785 refuses, this goes on as
JavaScript does, so that whatever a function may take or return has a canonical form::

    numbers         read as IEEE 754 doubles, as JSON.parse does: 9007199254740993 is 9007199254740992, 1.0 is 1,
                    -0 is 0; one too large for a double (1e400) is null, as JSON.stringify writes Infinity
    equal names     the last one counts
    lone surrogates half of a surrogate pair stays an escape, in lower case: "\ud800"

Text that is not JSON is refused, and so is what is nested more than ``MAX_DEPTH`` deep.
"""

import json
import re
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 254
"""Arrays and objects in each other; orjson writes nothing deeper."""
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
# A number that orjson writes in another way than JavaScript: 1.0, or one with an exponent. It may be found in a string
# too; then the long way is taken for nothing.
_OTHER_NUMBER = re.compile(rb"(?:\A|[\[,:])-?\d+(?:\.\d+)?(?:e|\.0(?=[,\]}]|\Z))")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = 1 << 53
"""Whole numbers up to this are doubles, each its own."""
_SMALL = 1e-4
"""From here up to that, orjson writes what is not whole as JavaScript does."""
_MOST_DIGITS = 21
"""Numbers below 10**21 are written without an exponent, and"""
_MOST_ZEROS = -6
"""those of 10**-6 and more."""


class NotJsonError(ValueError):
    """A text is not JSON, or too deep."""


def canonical(text: str) -> bytes:
    """Return the canonical form of a JSON text, as UTF-8; raise ``NotJsonError``."""
    return quick(text) or _text_of(_plain(_parsed(text), MAX_DEPTH))


def canonical_of(value: Any) -> bytes:
    """Return the canonical form of a value as ``json`` or ``orjson`` parse it; raise ``NotJsonError``."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # what orjson cannot write: an integer over 64 bits, half of a surrogate pair, great depth
        try:
            text = json.dumps(value)
        except RecursionError as error:
            raise NotJsonError(f"nested more than {MAX_DEPTH} deep") from error
    return canonical(text)


def quick(text: str) -> bytes | None:
    """Return the canonical form where it is had at some 15 ms a megabyte, None where it takes ten times that."""
    try:
        found = orjson.dumps(orjson.loads(text), option=_OPTIONS)
    except (orjson.JSONDecodeError, TypeError):  # perhaps only what orjson does not read or write
        return None
    # Names are sorted by code points; UTF-16 sorts those beyond it before U+E000 to U+FFFF.
    if not found.isascii() and re.search(rb"[\xee\xef]", found) and re.search(rb"[\xf0-\xf4]", found):
        return None
    return None if _OTHER_NUMBER.search(found) else found


def number(value: float) -> str:
    """Return a number as JavaScript writes it; ``null`` for what is no finite one."""
    if value == 0:
        return "0"
    if value - value != 0:
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


def _parsed(text: str) -> Any:
    """Parse a text; integers may be of any size, and what is too large for a double is infinite."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # perhaps only half of a surrogate pair, or a number too large
    try:
        return json.loads(text, parse_int=float, parse_float=float, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"not JSON: {error}") from error


def _refuse(word: str) -> NoReturn:
    raise NotJsonError(f"not JSON: {word}")


def _plain(value: Any, depth_left: int) -> Any:
    """Return a value such that orjson, left to its own order, writes the canonical form."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() or not _SURROGATE.search(value) else orjson.Fragment(_quoted(value))
    if kind is float or kind is int:
        return _plain_number(value)
    if value is None or kind is bool:
        return value
    if depth_left == 0:
        raise NotJsonError(f"nested more than {MAX_DEPTH} deep")
    if kind is list:
        return [_plain(item, depth_left - 1) for item in value]
    return _plain_object(value, depth_left - 1)


def _plain_number(value: float) -> Any:
    if -_EXACT <= value <= _EXACT:
        whole = int(value)
        if whole == value:
            return whole
        if not -_SMALL < value < _SMALL:
            return value
    return orjson.Fragment(number(float(value)))


def _plain_object(value: Mapping[str, Any], depth_left: int) -> Any:
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    if not any(_SURROGATE.search(name) for name in names):
        return {name: _plain(value[name], depth_left) for name in names}
    members = [_quoted(name) + ":" + _text_of(_plain(value[name], depth_left)).decode() for name in names]
    return orjson.Fragment(f"{{{','.join(members)}}}")


def _quoted(text: str) -> str:
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", encode_basestring(text))


def _text_of(plain: Any) -> bytes:
    return orjson.dumps(plain)
