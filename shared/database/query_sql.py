"""
A query as parameterised SQL, for any table that says which fields it offers.

Fields are an allow-list of the table's; neither names nor values of a query ever become part of the SQL text. How
a field is compared is its kind's: ``Column`` (text, number or time), ``Caseless`` (text), ``Texts`` (a list of texts),
``Document`` (JSON, and any path into it).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import asyncpg

from shared.database.pool import Queries, Row
from shared.database.query import (
    And,
    Comparison,
    Condition,
    Elements,
    Exists,
    ListQuery,
    Operator,
    Or,
    Scalar,
    value_of,
    values_of,
)
from shared.database.query_json import parts_of, predicate
from shared.database.query_values import as_epoch_ms, as_number, as_text, as_time
from shared.domain.errors import InvalidQueryError, SlowQueryError

MOST_BYTES = 8 * 1024 * 1024
"""The largest page of rows with a large column; one row may be larger."""

_ORDERED = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}


class Arguments:
    """The arguments of a statement, numbered as they are added."""

    def __init__(self, *first: object) -> None:
        self.values = list(first)

    def add(self, value: object, cast: str) -> str:
        """Return what stands for the value in the statement."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}"


class Field(Protocol):
    """
    How one field is asked about: each method returns SQL that is true, or else false or NULL.

    ``condition`` is never negated: what ``ne`` asks is asked of ``eq``.
    """

    def key(self, arguments: Arguments) -> str:
        """Return what to order by."""

    def exists(self, arguments: Arguments) -> str:
        """Return that there is a value."""

    def any_of(self, values: tuple[Scalar, ...], arguments: Arguments) -> str:
        """Return that the field equals one of the values; None stands for having none."""

    def compared(self, op: Operator, value: Scalar, arguments: Arguments) -> str:
        """Return what ``gt``, ``ge``, ``lt``, ``le`` or ``like`` asks."""

    def has_element(self, condition: Condition, arguments: Arguments) -> str:
        """Return that the field is a list with an object for which the condition holds."""


class Kind(Enum):
    """The type of a column: how a value becomes one, and its name in SQL."""

    TEXT = (as_text, "text")
    NUMBER = (as_number, "double precision")
    TIME = (as_time, "timestamptz")
    EPOCH_MS = (as_epoch_ms, "timestamptz")
    """A moment that clients know as milliseconds since 1970."""

    def __init__(self, coerce: Callable[[Scalar], object], cast: str) -> None:
        self.coerce, self.cast = coerce, cast

    def known(self, values: tuple[Scalar, ...]) -> list[object]:
        """Return those of the values that can be one."""
        return [coerced for value in values if (coerced := self.coerce(value)) is not None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or an expression over columns: ``sql`` is the table's own text."""

    sql: str
    kind: Kind = Kind.TEXT

    def key(self, _arguments: Arguments) -> str:
        return self.sql

    def exists(self, _arguments: Arguments) -> str:
        return f"{self.sql} IS NOT NULL"

    def any_of(self, values: tuple[Scalar, ...], arguments: Arguments) -> str:
        match self.kind.known(values):
            case []:
                is_one = "false"
            case [value]:
                # Not written as one of several: only with "=" can an index give the rows in order.
                is_one = f"{self.sql} = {arguments.add(value, self.kind.cast)}"
            case several:
                is_one = f"{self.sql} = ANY({arguments.add(several, f'{self.kind.cast}[]')})"
        return f"({is_one} OR {self.sql} IS NULL)" if None in values else is_one

    def compared(self, op: Operator, value: Scalar, arguments: Arguments) -> str:
        coerced = self.kind.coerce(value)
        if coerced is None or (op is Operator.LIKE and self.kind is not Kind.TEXT):
            return "false"
        argument = arguments.add(coerced, self.kind.cast)
        return f"strpos({self.sql}, {argument}) > 0" if op is Operator.LIKE else f"{self.sql} {_ORDERED[op]} {argument}"

    def has_element(self, _condition: Condition, _arguments: Arguments) -> str:
        return "false"


@dataclass(frozen=True, slots=True)
class Caseless:
    """A text column in which texts that differ in case alone are one: compared as the database's ``lower`` has it."""

    sql: str

    def key(self, _arguments: Arguments) -> str:
        return f"lower({self.sql})"

    def exists(self, _arguments: Arguments) -> str:
        return f"{self.sql} IS NOT NULL"

    def any_of(self, values: tuple[Scalar, ...], arguments: Arguments) -> str:
        texts = arguments.add(Kind.TEXT.known(values), "text[]")
        is_one = f"lower({self.sql}) = ANY(lower({texts}::text)::text[])"
        return f"({is_one} OR {self.sql} IS NULL)" if None in values else is_one

    def compared(self, op: Operator, value: Scalar, arguments: Arguments) -> str:
        text = Kind.TEXT.coerce(value)
        if text is None:
            return "false"
        lower = f"lower({arguments.add(text, 'text')})"
        column = f"lower({self.sql})"
        return f"strpos({column}, {lower}) > 0" if op is Operator.LIKE else f"{column} {_ORDERED[op]} {lower}"

    def has_element(self, _condition: Condition, _arguments: Arguments) -> str:
        return "false"


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts; an empty one is a value, unless ``absent_when_empty``."""

    sql: str
    absent_when_empty: bool = False

    def key(self, _arguments: Arguments) -> str:
        return self.sql

    def exists(self, _arguments: Arguments) -> str:
        return f"{self.sql} <> '{{}}'" if self.absent_when_empty else "true"

    def any_of(self, values: tuple[Scalar, ...], arguments: Arguments) -> str:
        is_one = f"{self.sql} && {arguments.add(Kind.TEXT.known(values), 'text[]')}"
        return f"({is_one} OR NOT {self.exists(arguments)})" if None in values else is_one

    def compared(self, op: Operator, value: Scalar, arguments: Arguments) -> str:
        test = Column("element").compared(op, value, arguments)
        return f"EXISTS (SELECT FROM unnest({self.sql}) AS elements(element) WHERE {test})"

    def has_element(self, _condition: Condition, _arguments: Arguments) -> str:
        return "false"


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON column, or with ``path`` (dotted) a part of it."""

    sql: str
    path: str = ""

    def key(self, arguments: Arguments) -> str:
        return f"{self.sql} #> {arguments.add(parts_of(self.path), 'text[]')}" if self.path else self.sql

    def exists(self, arguments: Arguments) -> str:
        return self._holds(Exists(self.path), arguments) if self.path else f"{self.sql} IS NOT NULL"

    def any_of(self, values: tuple[Scalar, ...], arguments: Arguments) -> str:
        return self._holds(Comparison(self.path, Operator.IN, values), arguments)

    def compared(self, op: Operator, value: Scalar, arguments: Arguments) -> str:
        return self._holds(Comparison(self.path, op, value), arguments)

    def has_element(self, condition: Condition, arguments: Arguments) -> str:
        return self._holds(Elements(self.path, condition), arguments)

    def _holds(self, condition: Condition, arguments: Arguments) -> str:
        path = arguments.add(predicate(condition, "$"), "text")
        return f"jsonb_path_match(coalesce({self.sql}, 'null'), {path}::jsonpath, '{{}}', true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """
    A compiled query: the texts after WHERE and after ORDER BY, and the arguments of both.

    The first ``where_arguments`` of them are all that the text after WHERE needs.
    """

    where: str
    order: str
    arguments: tuple[object, ...]
    where_arguments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    A table of rows that belong to somebody, and what it offers to queries.

    ``owner`` is the column that says to whom: to an environment, if nothing is said. ``noun`` is what its rows are
    called; of a field that is a ``Document``, each part is a field too. ``newest`` orders the newest first, as far as
    ``id`` does not. A page that would take over ``longest_s`` is given up. Of rows with a ``large`` column of text a
    page holds no more than ``MOST_BYTES``: the rest is for the next one.
    """

    sql: str
    columns: str
    noun: str
    fields: Mapping[str, Field]
    newest: tuple[str, ...] = field(default=())
    owner: str = "environment_id"
    large: str | None = None
    longest_s: float = 10.0

    def compiled(self, query: ListQuery, owner_id: str) -> Sql:
        """
        Return the SQL of a query over one owner's rows.

        Raises:
            InvalidQueryError: a field that is not offered.
        """
        arguments = Arguments(owner_id)
        where = f"{self.owner} = $1 AND {self._condition(query.where, arguments)}"
        needed = len(arguments.values)
        keys = [
            f"{self._field(sort.field).key(arguments)} {'DESC' if sort.descending else 'ASC'}" for sort in query.sort
        ]
        # Pages must not overlap: ties are broken by id, in the direction of the last key.
        newest_first = not query.sort or query.sort[-1].descending
        order = ", ".join([*(keys or self.newest), f"id {'DESC' if newest_first else 'ASC'}"])
        return Sql(where=where, order=order, arguments=tuple(arguments.values), where_arguments=needed)

    async def page(self, db: Queries, owner_id: str, query: ListQuery) -> tuple[list[Row], int | None]:
        """
        Return one page of an owner's rows, and how many match in all (None when not counted).

        Raises:
            InvalidQueryError: a field that is not offered, or more values or keys than a statement can take.
            SlowQueryError: it takes too long; the database has been told to stop.
        """
        sql = self.compiled(query, owner_id)
        try:
            async with asyncio.timeout(self.longest_s):
                return await self._read(db, sql, query)
        except asyncpg.ProgramLimitExceededError:
            raise InvalidQueryError("the query is too long: ask with fewer values, conditions or keys") from None
        except TimeoutError:
            raise SlowQueryError(
                f"the query takes over {self.longest_s:g} seconds: narrow it down", limit=round(self.longest_s)
            ) from None

    async def _read(self, db: Queries, sql: Sql, query: ListQuery) -> tuple[list[Row], int | None]:
        total: int | None = None
        if query.count:
            total = await db.fetchval(
                f"SELECT count(*) FROM {self.sql} WHERE {sql.where}",  # noqa: S608 - compiled from an allow-list
                *sql.arguments[: sql.where_arguments],
            )
        page = f"""
            SELECT {self.columns} FROM {self.sql} WHERE {sql.where} ORDER BY {sql.order}
            LIMIT {int(query.limit)} OFFSET {int(query.offset)}
        """  # noqa: S608 - compiled from an allow-list
        rows = await db.fetch(page if self.large is None else _bounded(page, self.large), *sql.arguments)
        return rows, total

    def _field(self, name: str) -> Field:
        found = self.fields.get(name)
        whole, _, path = name.partition(".")
        document = self.fields.get(whole)
        if found is None and path and isinstance(document, Document):
            found = Document(document.sql, path)
        if found is None:
            raise InvalidQueryError(f"{self.noun} cannot be queried by {name}", field=name)
        return found

    def _condition(self, condition: Condition, arguments: Arguments) -> str:
        match condition:
            case And(conditions):
                return self._joined(conditions, " AND ", "true", arguments)
            case Or(conditions):
                return self._joined(conditions, " OR ", "false", arguments)
            case Exists(name, negated):
                return _not(negated, self._field(name).exists(arguments))
            case Elements(name, inner, negated):
                return _not(negated, self._field(name).has_element(inner, arguments))
            case Comparison():
                return self._comparison(condition, arguments)

    def _joined(self, conditions: tuple[Condition, ...], joiner: str, empty: str, arguments: Arguments) -> str:
        return f"({joiner.join(self._condition(each, arguments) for each in conditions)})" if conditions else empty

    def _comparison(self, comparison: Comparison, arguments: Arguments) -> str:
        compared = self._field(comparison.field)
        match comparison.op:
            case Operator.EQ | Operator.IN:
                return compared.any_of(values_of(comparison), arguments)
            case Operator.NE | Operator.OUT:
                return _not(True, compared.any_of(values_of(comparison), arguments))
            case Operator.GT | Operator.GE | Operator.LT | Operator.LE | Operator.LIKE:
                return compared.compared(comparison.op, value_of(comparison), arguments)


def limit_of(rows: Sequence[Row], query: ListQuery) -> int:
    """Return how many rows a page of a table with a large column holds: as asked for, or what there was room for."""
    return len(rows) if rows and len(rows) < rows[0]["on_page"] else query.limit


def _bounded(page: str, large: str) -> str:
    """Return a page without the rows there is no room for; ``on_page`` is how many it had."""
    return f"""
        WITH page AS ({page}), sized AS (
            SELECT page.*, row_number() OVER () AS place,
                   sum(coalesce(octet_length({large}), 0)) OVER (ROWS UNBOUNDED PRECEDING) AS up_to
            FROM page
        )
        SELECT sized.*, (SELECT count(*) FROM page) AS on_page FROM sized
        WHERE up_to <= {MOST_BYTES} OR place = 1 ORDER BY place
    """  # noqa: S608 - built from constants


def _not(negated: bool, test: str) -> str:  # noqa: FBT001 - a condition
    return f"({test}) IS NOT TRUE" if negated else test
