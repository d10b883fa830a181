"""
A filter over API requests, as a tree of conditions, and the parameterised SQL it becomes.

Fields are those of contracts/extrahorizon.md section 6, and no others; values never become part of the SQL text.
A value is compared by the type of its field: a text that is no number matches no duration. A record that lacks a
field matches ``ne`` and ``out`` and nothing else, as a document store has it. Reading a query language is left to
whoever builds the tree.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from shared.database.text import storable
from shared.domain.errors import InvalidQueryError

Scalar = str | int | float | bool | datetime | None


class Operator(StrEnum):
    """How a field is compared. ``in`` and ``out`` take a tuple of values; ``like`` looks for a part of a text."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    IN = "in"
    OUT = "out"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value, or (``in``, ``out``) against several."""

    field: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value; with ``negated``, it has none."""

    field: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All of the conditions; true when there is none."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the conditions; false when there is none."""

    conditions: tuple["Condition", ...]


Condition = Comparison | Exists | And | Or


@dataclass(frozen=True, slots=True)
class Sort:
    """One field to order by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequestQuery:
    """What to list: newest first unless ``sort`` says otherwise; ``count`` asks for the number of all matches."""

    where: Condition = And(())
    sort: tuple[Sort, ...] = ()
    limit: int = 20
    offset: int = 0
    count: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """A compiled query: the text after WHERE and after ORDER BY, and the arguments."""

    where: str
    order: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    sql: str
    coerce: Callable[[Scalar], object]
    """Return the value as the column's type, or None when it cannot be one."""
    cast: str


def _as_text(value: Scalar) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return storable(value)
        case int() | float():
            return f"{value:g}" if isinstance(value, float) and not value.is_integer() else f"{int(value)}"
        case datetime():
            return value.isoformat()
        case _:
            return None


def _as_number(value: Scalar) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _as_time(value: Scalar) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except OverflowError:  # in UTC it lies outside the calendar
        return None


def _text(sql: str) -> _Field:
    return _Field(sql, _as_text, "text")


FIELDS: Mapping[str, _Field] = {
    "id": _text("id"),
    "functionName": _text("function_name"),
    "method": _text("method"),
    "path": _text("path"),
    "userId": _text("user_id"),
    "applicationId": _text("application_id"),
    "timestamp": _Field("timestamp", _as_time, "timestamptz"),
    "statusCode": _Field("status_code", _as_number, "double precision"),
    "duration": _Field("duration_s", _as_number, "double precision"),
    "error.type": _text("error_type"),
    "error.name": _text("(failure->>'name')"),
    "error.message": _text("(failure->>'message')"),
}
_ORDERED = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}


def compiled(query: ApiRequestQuery, environment_id: str) -> Sql:
    """
    Return the SQL of a query over one environment's requests.

    Raises:
        InvalidQueryError: a field that is not offered.
    """
    compiler = _Compiler([environment_id])
    where = f"environment_id = $1 AND {compiler.condition(query.where)}"
    keys = [f"{_field(sort.field).sql} {'DESC' if sort.descending else 'ASC'}" for sort in query.sort]
    # Pages must not overlap: ties are broken by id, in the direction of the last key.
    newest_first = not query.sort or query.sort[-1].descending
    keys = [*(keys or ["timestamp DESC"]), f"id {'DESC' if newest_first else 'ASC'}"]
    return Sql(where=where, order=", ".join(keys), arguments=tuple(compiler.arguments))


def _field(name: str) -> _Field:
    try:
        return FIELDS[name]
    except KeyError:
        raise InvalidQueryError(f"API requests cannot be queried by {name}", field=name) from None


class _Compiler:
    """Turns conditions into SQL and collects the values as arguments."""

    def __init__(self, arguments: list[object]) -> None:
        self.arguments = arguments

    def condition(self, condition: Condition) -> str:
        match condition:
            case And(conditions):
                return self._joined(conditions, " AND ", "true")
            case Or(conditions):
                return self._joined(conditions, " OR ", "false")
            case Exists(field, negated):
                return f"{_field(field).sql} IS {'' if negated else 'NOT '}NULL"
            case Comparison():
                return self._comparison(condition)

    def _joined(self, conditions: tuple[Condition, ...], joiner: str, empty: str) -> str:
        return f"({joiner.join(map(self.condition, conditions))})" if conditions else empty

    def _comparison(self, comparison: Comparison) -> str:
        field, value = _field(comparison.field), comparison.value
        match comparison.op:
            case Operator.EQ:
                return self._any_of(field, _values(value))
            case Operator.IN:
                return self._any_of(field, _values(value))
            case Operator.NE | Operator.OUT:
                return f"({self._any_of(field, _values(value))}) IS NOT TRUE"
            case Operator.LIKE:
                return self._like(field, _single(comparison))
            case Operator.GT | Operator.GE | Operator.LT | Operator.LE:
                return self._ordered(field, _ORDERED[comparison.op], _single(comparison))

    def _any_of(self, field: _Field, values: tuple[Scalar, ...]) -> str:
        known = [coerced for value in values if (coerced := field.coerce(value)) is not None]
        match known:
            case []:
                is_one = "false"
            case [value]:
                # Not written as one of several: only with "=" can an index give the rows in order.
                is_one = f"{field.sql} = {self._argument(value, field)}"
            case _:
                is_one = f"{field.sql} = ANY({self._argument(known, field)}[])"
        return f"({is_one} OR {field.sql} IS NULL)" if None in values else is_one

    def _like(self, field: _Field, value: Scalar) -> str:
        part = field.coerce(value) if field.cast == "text" else None
        return "false" if part is None else f"strpos({field.sql}, {self._argument(part, field)}) > 0"

    def _ordered(self, field: _Field, sign: str, value: Scalar) -> str:
        coerced = field.coerce(value)
        return "false" if coerced is None else f"{field.sql} {sign} {self._argument(coerced, field)}"

    def _argument(self, value: object, field: _Field) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}::{field.cast}"


def _values(value: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def _single(comparison: Comparison) -> Scalar:
    if isinstance(comparison.value, tuple):
        raise InvalidQueryError(f"{comparison.op} takes one value", field=comparison.field)
    return comparison.value
