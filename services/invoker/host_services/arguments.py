"""Reading what a function gave: anything JSON can say, and none of it trusted."""

import re
from typing import Any, cast

from services.invoker.host_services.errors import InvalidArgumentError

MOST_SAFE = 2**53 - 1
"""The largest whole number that JavaScript tells from its neighbours."""
_DIGITS = re.compile(r"-?[0-9]{1,80}", re.ASCII)


def first(arguments: list[Any]) -> object:
    """Return the first argument; None when there is none."""
    return arguments[0] if arguments else None


def second(arguments: list[Any]) -> object:
    """Return the second argument; None when there is none."""
    return arguments[1] if len(arguments) > 1 else None


def fields(given: object, example: str) -> dict[str, Any]:
    """Return the fields of an object; ``example`` tells the author what is expected."""
    if not isinstance(given, dict):
        raise InvalidArgumentError(f"expected an object like {example}")
    return cast("dict[str, Any]", given)


def text(given: object, what: str, longest: int) -> str:
    """Return a text that is not empty."""
    if not isinstance(given, str) or not 0 < len(given) <= longest:
        raise InvalidArgumentError(f"{what} is a text of 1 to {longest} characters")
    return given


def whole(given: object, what: str, least: int, most: int) -> int:
    """Return a whole number."""
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise InvalidArgumentError(f"{what} is a whole number from {least} to {most}")
    return given


def big_whole(given: object, what: str) -> int:
    """Return a whole number that may be larger than JavaScript's numbers can tell: then it is given as text."""
    if isinstance(given, str) and _DIGITS.fullmatch(given):
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) <= MOST_SAFE:
        return given
    raise InvalidArgumentError(f"{what} is a whole number; one beyond 2^53 is given as text")
