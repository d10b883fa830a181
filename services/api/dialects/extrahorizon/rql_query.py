"""
RQL as a question about rows: from the calls of ``rql.py`` to the database's query.

Which operators there are, which values they take and what the paging calls mean is decided here; which fields
there are and how a value is compared with each is the database's to know. What is not offered is an
``InvalidQueryError``: an unknown operator or field, a bad limit, and patterns (``re:``, ``glob:``).
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.api.dialects.extrahorizon.errors import codes_named, names_of_refusals
from services.api.dialects.extrahorizon.rql import Argument, Call, decoded_value, parse
from shared.database.query import (
    And,
    Comparison,
    Condition,
    Elements,
    Exists,
    ListQuery,
    Operator,
    Or,
    Quoted,
    Scalar,
    Sort,
)
from shared.domain.errors import EmptyQueryError, InvalidQueryError

DEFAULT_LIMIT = 20
MAX_LIMIT = 50

_LARGEST_NUMBER = 2**31 - 1
_WHOLE = re.compile(r"\d{1,10}")
_PREFIX = re.compile(r"(string|number|boolean|date|isodate|epoch|re|RE|glob):(.*)", re.DOTALL)
_MILLISECONDS = 1000
_SKIP_COUNT = ("skipCount", "skip_count")
_PAGING = ("sort", "limit", "select", *_SKIP_COUNT)

_ERROR = "error"
_ERROR_NAME = "error.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a list request asks for: the query, and the fields to show (all when none are named)."""

    query: ListQuery
    select: tuple[str, ...]


def read_listing(raw_query: str) -> Listing:
    """Read a raw query string (without its ``?``); raise ``InvalidQueryError``."""
    reader = _Reader()
    where = tuple(reader.terms(parse(raw_query)))
    query = ListQuery(
        where=And(where), sort=tuple(reader.sort), limit=reader.limit, offset=reader.offset, count=reader.count
    )
    return Listing(query=query, select=tuple(reader.select))


def read_selection(raw_query: str) -> Condition:
    """
    Read a query that chooses what is to be changed: conditions alone, at least one.

    Raises:
        EmptyQueryError: there is none; nothing is changed without saying what.
        InvalidQueryError: it cannot be read, or it asks for an order, a page or fields.
    """
    reader = _Reader()
    where = tuple(reader.terms(parse(raw_query)))
    if reader.paged:
        raise InvalidQueryError("What is to be changed can only be chosen by conditions.")
    if not where:
        raise EmptyQueryError("The RQL must say what is to be changed.")
    return And(where)


def read_logs_since(raw_query: str) -> datetime | None:
    """
    Read the query of a log listing: nothing, or only ``ge(timestamp, moment)``; of several, the latest counts.

    Raises:
        InvalidQueryError: anything else.

    """
    since: datetime | None = None
    for term in parse(raw_query):
        if term.name != "ge" or len(term.args) != 2 or term.args[0] != "timestamp":  # noqa: PLR2004 - field and value
            raise InvalidQueryError("Logs can only be filtered by ge on timestamp.")
        value = _value(term.args[1])
        moment = _moment(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            raise InvalidQueryError("The timestamp is expected to be an ISO 8601 date.", field="timestamp")
        since = moment if since is None else max(since, moment)
    return since


@dataclass(slots=True)
class _Reader:
    """Collects what the paging calls say while the conditions are read."""

    sort: list[Sort] = field(default_factory=list)
    select: list[str] = field(default_factory=list)
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    count: bool = True
    paged: bool = False

    def terms(self, calls: tuple[Argument, ...]) -> list[Condition]:
        """Read terms that all must hold; paging calls may stand among them."""
        conditions: list[Condition] = []
        for call in calls:
            assert isinstance(call, Call)  # the grammar gives terms where terms are taken
            if call.name in _PAGING:
                self._page(call)
            elif call.name == "and":
                conditions.extend(self.terms(call.args))
            else:
                conditions.append(_condition(call))
        return conditions

    def _page(self, call: Call) -> None:
        self.paged = True
        args = _texts(call)
        if call.name in _SKIP_COUNT:
            _require(not args, call, "takes nothing")
            self.count = False
        elif call.name == "select":
            self.select.extend(args)
        elif call.name == "sort":
            self.sort = [_sort(arg) for arg in args]
        else:
            _require(1 <= len(args) <= 2 and all(map(_WHOLE.fullmatch, args)), call, "takes one or two whole numbers")  # noqa: PLR2004
            numbers = [int(arg) for arg in args]
            _require(max(numbers) <= _LARGEST_NUMBER, call, "is too large")
            self.limit, self.offset = min(numbers[0], MAX_LIMIT), sum(numbers[1:])


def _condition(call: Argument) -> Condition:
    assert isinstance(call, Call)  # the grammar gives terms where terms are taken
    match call.name:
        case "and":
            return And(tuple(map(_condition, call.args)))
        case "or":
            return Or(tuple(map(_condition, call.args)))
        case "contains" | "excludes":
            return _presence(call)
        case _:
            return _comparison(call)


def _presence(call: Call) -> Condition:
    name = call.args[0] if call.args else None
    _require(isinstance(name, str) and bool(name) and len(call.args) <= 2, call, "takes a field and conditions")  # noqa: PLR2004
    negated = call.name == "excludes"
    field_name = "error.type" if name == _ERROR else str(name)
    if len(call.args) > 1:
        return Elements(field_name, _condition(call.args[1]), negated)
    return Exists(field_name, negated)


def _comparison(call: Call) -> Condition:
    try:
        operator = Operator(call.name)
    except ValueError:
        raise InvalidQueryError(f"The RQL has an unknown operator {call.name}.") from None
    name = call.args[0] if call.args else None
    if not isinstance(name, str) or not name:
        raise InvalidQueryError(f"{call.name} takes the name of a field first.")
    if operator in {Operator.IN, Operator.OUT}:
        items = [item for arg in call.args[1:] for item in (arg if isinstance(arg, tuple) else (arg,))]
        return _compared(name, operator, tuple(map(_value, items)))
    _require(len(call.args) == 2, call, "takes a field and one value")  # noqa: PLR2004 - field and value
    return _compared(name, operator, (_value(call.args[1]),))


def _compared(name: str, operator: Operator, values: tuple[Scalar, ...]) -> Condition:
    if name == _ERROR_NAME:
        return _error_name(operator, values)
    if operator in {Operator.IN, Operator.OUT}:
        return Comparison(name, operator, values)
    return Comparison(name, operator, values[0])


def _error_name(operator: Operator, values: tuple[Scalar, ...]) -> Condition:
    """Compare the name of an error: refusals are stored under our own codes and shown under Extra Horizon's."""
    if operator is Operator.LIKE:
        part = str(values[0])
        codes = [code for name in names_of_refusals() if part in name for code in codes_named(name)]
        return Or((Comparison(_ERROR_NAME, operator, part), Comparison(_ERROR_NAME, Operator.IN, tuple(codes))))
    if operator in {Operator.EQ, Operator.IN, Operator.NE, Operator.OUT}:
        codes = [code for value in values for code in codes_named(str(value))]
        either_way = Operator.OUT if operator in {Operator.NE, Operator.OUT} else Operator.IN
        return Comparison(_ERROR_NAME, either_way, (*values, *codes))
    return Comparison(_ERROR_NAME, operator, values[0])


def _value(argument: Argument) -> Scalar:
    """Return a value, decoded for the second time; a prefix forces its type if its colon was literal by then."""
    if not isinstance(argument, str):
        raise InvalidQueryError("The RQL has a list or a call where a value is expected.")
    prefixed = _PREFIX.fullmatch(argument)
    if prefixed is None:
        return None if argument == "null" else decoded_value(argument)
    kind, text = prefixed[1], decoded_value(prefixed[2])
    match kind:
        case "string":
            return Quoted(text)
        case "number":
            return _number(text)
        case "boolean":
            return text.lower() in {"true", "1"}
        case "epoch":
            return _epoch(_number(text))
        case "date" | "isodate":
            return _moment(text)
    raise InvalidQueryError(f"The RQL asks for a pattern ({kind}:), which is not offered; use like.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidQueryError("The RQL has a number that is none.") from None


def _epoch(milliseconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / _MILLISECONDS, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidQueryError("The RQL has a moment outside the calendar.") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidQueryError("The RQL has a date that is none.") from None


def _sort(argument: str) -> Sort:
    name = argument[1:] if argument[:1] in {"+", "-"} else argument
    if not name:
        raise InvalidQueryError("sort takes names of fields.")
    return Sort(name, argument.startswith("-"))


def _texts(call: Call) -> list[str]:
    texts = [arg for arg in call.args if isinstance(arg, str) and arg]
    _require(len(texts) == len(call.args), call, "takes plain names and numbers")
    return texts


def _require(holds: bool, call: Call, what: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise InvalidQueryError(f"{call.name} {what}.")
