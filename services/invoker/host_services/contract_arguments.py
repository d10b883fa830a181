"""
Arguments of a call into a contract, as JSON-RPC wants them.

A function gives ``{type, value}``; each is checked here, since a node answers a wrong one with little help, or
takes it for something else. Whole numbers travel as text, and an address is taken for the script hash it stands for.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from services.invoker.host_services import arguments as read
from services.invoker.host_services.addresses import SCRIPT_HASH_DIGITS, address_to_script_hash, hex_digits
from services.invoker.host_services.errors import InvalidArgumentError

_MOST_ARGUMENTS = 64
_DEEPEST = 8
_LONGEST = 64 * 1024
_PUBLIC_KEY = re.compile(r"0[23][0-9a-fA-F]{64}", re.ASCII)

Argument = dict[str, Any]


def contract_arguments(given: object) -> list[Argument]:
    """
    Return the arguments of a contract's method.

    Raises:
        InvalidArgumentError: naming what is wrong.
    """
    return _array([] if given is None else given, 0)


def base64_text(given: object, what: str) -> str:
    """Return a text that is base64."""
    text = read.text(given, what, _LONGEST)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgumentError(f"{what} is base64") from None
    return text


def _array(given: object, depth: int) -> list[Argument]:
    if not isinstance(given, list) or len(given) > _MOST_ARGUMENTS:
        raise InvalidArgumentError(f"arguments are a list of at most {_MOST_ARGUMENTS}")
    if depth > _DEEPEST:
        raise InvalidArgumentError(f"arguments go at most {_DEEPEST} arrays deep")
    return [_argument(each, depth) for each in given]


def _argument(given: object, depth: int) -> Argument:
    argument = read.fields(given, '{type: "Integer", value: 1}')
    kind, value = argument.get("type"), argument.get("value")
    if kind == "Array":
        return {"type": kind, "value": _array(value, depth + 1)}
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise InvalidArgumentError(f"the type of an argument is one of {', '.join((*_MAKERS, 'Array'))}")
    return {"type": kind, "value": make(value)}


def _script_hash(value: object) -> str:
    if isinstance(value, str) and len(value) < SCRIPT_HASH_DIGITS:
        return address_to_script_hash(value)
    return hex_digits(value, SCRIPT_HASH_DIGITS, "a Hash160")


def _integer(value: object) -> str:
    return str(read.big_whole(value, "an Integer"))


def _string(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidArgumentError(f"a String is a text of at most {_LONGEST} characters")
    return value


def _byte_array(value: object) -> str:
    return value if value == "" else base64_text(value, "a ByteArray")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgumentError("a Boolean is true or false")
    return value


def _public_key(value: object) -> str:
    if not isinstance(value, str) or not _PUBLIC_KEY.fullmatch(value):
        raise InvalidArgumentError("a PublicKey is 66 hex digits that begin with 02 or 03")
    return value


_MAKERS: Mapping[str, Callable[[object], object]] = {
    "Hash160": _script_hash,
    "Integer": _integer,
    "String": _string,
    "ByteArray": _byte_array,
    "Boolean": _boolean,
    "PublicKey": _public_key,
}
