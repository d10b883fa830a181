"""
A question about rows, as a value: a tree of conditions, an order, a page.

Fields bear the names clients know; which fields a table has, and how a value is compared with each, is said where
the table is (``query_sql.Table``). Reading a query language is left to whoever builds the tree.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import InvalidQueryError


class Quoted(str):
    """A text that was said to be one: ``5`` so given is compared with no number inside a document."""

    __slots__ = ()


Scalar = str | int | float | bool | datetime | None
"""A value to compare with. A plain text is compared by the type of what is stored: ``5`` with numbers too."""


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
    """
    A field against a value, or (``in``, ``out``) against several.

    A list is like a value when one of its elements is. A row that lacks the field matches ``ne`` and ``out`` and
    nothing else, as a document store has it.
    """

    field: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value; with ``negated``, it has none."""

    field: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Elements:
    """The field is a list that has an object for which the condition holds; with ``negated``, it has none."""

    field: str
    condition: "Condition"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All of the conditions; true when there is none."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the conditions; false when there is none."""

    conditions: tuple["Condition", ...]


Condition = Comparison | Exists | Elements | And | Or


@dataclass(frozen=True, slots=True)
class Sort:
    """One field to order by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to list: newest first unless ``sort`` says otherwise; ``count`` asks for the number of all matches."""

    where: Condition = And(())
    sort: tuple[Sort, ...] = ()
    limit: int = 20
    offset: int = 0
    count: bool = True


def values_of(comparison: Comparison) -> tuple[Scalar, ...]:
    """Return what a comparison compares with, one value or several."""
    return comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)


def value_of(comparison: Comparison) -> Scalar:
    """Return the one value a comparison compares with; raise ``InvalidQueryError`` if there are several."""
    if isinstance(comparison.value, tuple):
        raise InvalidQueryError(f"{comparison.op} takes one value", field=comparison.field)
    return comparison.value
