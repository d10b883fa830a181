"""
Conditions on a JSON document, as a predicate of PostgreSQL's SQL/JSON path language.

Dotted names are paths. As in a document store, a list on the way stands for its elements, and a number in a name
is a place in a list or a member called so. Values are compared by the type of what is stored; moments are stored
as the ISO 8601 texts clients are shown. Every condition is true or false, never unknown, so each may be negated.

A path is one argument of a statement, and this module alone writes it: names and texts go in as JSON strings,
numbers as Python prints them.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from itertools import product

import orjson

from shared.database.query import (
    And,
    Comparison,
    Condition,
    Elements,
    Exists,
    Operator,
    Or,
    Quoted,
    Scalar,
    value_of,
    values_of,
)
from shared.database.query_values import as_number, as_text
from shared.database.text import storable
from shared.domain.errors import InvalidQueryError

_MOST_PARTS = 32
_MOST_NUMBERS = 3
"""Each number in a name doubles the paths it may mean, and with them what is asked of the elements there."""
_PLACE = re.compile(r"\d{1,9}")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_EXACT_DIGITS = 18
_ORDERED = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}
_TRUE, _FALSE = "(1 == 1)", "(1 == 0)"


def predicate(condition: Condition, of: str = "@") -> str:
    """
    Return the predicate on the item ``of``: ``@``, or ``$`` for the whole document.

    A field that is an empty name is the item itself.

    Raises:
        InvalidQueryError: a name that is no path, or one with too many parts or numbers.
    """
    match condition:
        case And(conditions):
            return _joined(" && ", (predicate(each, of) for each in conditions), _TRUE)
        case Or(conditions):
            return _joined(" || ", (predicate(each, of) for each in conditions), _FALSE)
        case Exists(field, negated):
            return _not(negated, _exists(field, of))
        case Elements(field, inner, negated):
            if _numbers(condition) > _MOST_NUMBERS:
                raise InvalidQueryError(
                    f"{field} and what is in it have more than {_MOST_NUMBERS} numbers", field=field
                )
            return _not(negated, _exists(field, of, predicate(inner)))
        case Comparison():
            return _comparison(condition, of)


def parts_of(name: str) -> list[str]:
    """Return the parts of a dotted name; none of an empty one."""
    parts = name.split(".") if name else []
    if not all(parts) or len(parts) > _MOST_PARTS:
        raise InvalidQueryError(f"{name} is not the name of a field", field=name)
    return [storable(part) for part in parts]


def _numbers(condition: Condition) -> int:
    """Return how many numbers the names on one way into a condition have, at most."""
    match condition:
        case And(conditions) | Or(conditions):
            return max(map(_numbers, conditions), default=0)
        case Elements(field, inner, _):
            return _numbers_in(parts_of(field)) + _numbers(inner)
        case Exists(field) | Comparison(field):
            return _numbers_in(parts_of(field))


def _numbers_in(parts: Iterable[str]) -> int:
    return sum(_PLACE.fullmatch(part) is not None for part in parts)


def _comparison(comparison: Comparison, of: str) -> str:
    field = comparison.field
    match comparison.op:
        case Operator.EQ | Operator.IN:
            return _any_of(field, of, values_of(comparison))
        case Operator.NE | Operator.OUT:
            return _not(True, _any_of(field, of, values_of(comparison)))
        case Operator.LIKE:
            part = as_text(value_of(comparison))
            return _FALSE if part is None else _exists(field, of, f'@ like_regex {_string(part)} flag "q"')
        case Operator.GT | Operator.GE | Operator.LT | Operator.LE:
            sign = _ORDERED[comparison.op]
            tests = (f"@ {sign} {literal}" for literal in _literals(value_of(comparison)) if literal not in _CONSTANTS)
            return _exists(field, of, _joined(" || ", tests, _FALSE))


def _any_of(field: str, of: str, values: tuple[Scalar, ...]) -> str:
    tests = [f"@ == {literal}" for value in values for literal in _literals(value)]
    is_one = _exists(field, of, _joined(" || ", tests, _FALSE))
    return f"({is_one} || {_not(True, _exists(field, of))})" if None in values else is_one


def _exists(field: str, of: str, test: str | None = None) -> str:
    """Return that the field has a value, or one that passes the test on ``@``."""
    filtered = "" if test is None else f" ? ({test})"
    return _joined(" || ", (f"exists({path}{filtered})" for path in _paths(field, of)), _FALSE)


def _paths(field: str, of: str) -> Iterable[str]:
    parts = parts_of(field)
    if _numbers_in(parts) > _MOST_NUMBERS:
        raise InvalidQueryError(f"{field} has more than {_MOST_NUMBERS} numbers", field=field)
    steps = [[f".{_string(part)}", *([f"[{int(part)}]"] if _PLACE.fullmatch(part) else [])] for part in parts]
    return ("".join((of, *chosen)) for chosen in product(*steps))


_CONSTANTS = frozenset({"true", "false", "null"})


def _literals(value: Scalar) -> list[str]:
    """Return what the value may be stored as."""
    match value:
        case None | bool():
            return [orjson.dumps(value).decode()]
        case Quoted() | datetime():
            text = as_text(value)
            return [] if text is None else [_string(text)]
        case str():
            constant = [value] if value in _CONSTANTS else []
            return [_string(storable(value)), *_number(value), *constant]
        case int() | float():
            return _number(repr(value))


def _number(text: str) -> list[str]:
    if not _NUMBER.fullmatch(text):
        return []
    if text.removeprefix("-").isdigit() and len(text) <= _EXACT_DIGITS:
        return [str(int(text))]
    number = as_number(text)
    return [] if number is None else [repr(number)]


def _string(text: str) -> str:
    return orjson.dumps(text).decode()


def _not(negated: bool, test: str) -> str:  # noqa: FBT001 - a condition
    return f"!({test})" if negated else test


def _joined(joiner: str, tests: Iterable[str], empty: str) -> str:
    joined = joiner.join(tests)
    return f"({joined})" if joined else empty
