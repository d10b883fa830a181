"""Queries nobody foresaw, for every table that offers fields: strategies for Hypothesis."""

from typing import Final

from hypothesis import strategies as st

from shared.database.api_requests import API_REQUESTS
from shared.database.planned import SCHEDULES, TASKS
from shared.database.query import And, Comparison, Condition, Elements, Exists, ListQuery, Operator, Or, Quoted, Sort
from shared.database.query_sql import Sql, Table
from shared.database.roles import ROLES
from shared.database.users import USERS
from shared.domain.errors import InvalidQueryError

TABLES: Final = (API_REQUESTS, TASKS, SCHEDULES, USERS, ROLES)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text().map(Quoted)
    | st.datetimes()
    | st.from_regex(r"-?[0-9]{1,30}(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?", fullmatch=True)
)
_SEVERAL = st.lists(_SCALARS, max_size=3).map(tuple)


def queries_of(table: Table) -> st.SearchStrategy[ListQuery]:
    """Return queries by fields the table offers and, where it has documents, by any path into them."""
    fields = _fields_of(table)
    sorts = st.lists(st.builds(Sort, fields, st.booleans()), max_size=3).map(tuple)
    return st.builds(ListQuery, where=_conditions_on(fields), sort=sorts)


def compiled(table: Table, query: ListQuery) -> Sql | None:
    """Return the query as SQL, None when it is refused: a name of the test's making may have too many numbers."""
    try:
        return table.compiled(query, "environment-1")
    except InvalidQueryError:
        return None


def _fields_of(table: Table) -> st.SearchStrategy[str]:
    offered = st.sampled_from(sorted(table.fields))
    if "data" not in table.fields:
        return offered
    parts = st.text(st.characters(blacklist_characters="."), min_size=1) | st.sampled_from(["x", "7"])
    return offered | st.lists(parts, max_size=3).map(lambda parts: ".".join(["data", *parts]))


def _conditions_on(fields: st.SearchStrategy[str]) -> st.SearchStrategy[Condition]:
    in_lists = (Operator.IN, Operator.OUT)
    leaves: st.SearchStrategy[Condition] = (
        st.builds(Comparison, fields, st.sampled_from(sorted(set(Operator) - set(in_lists))), _SCALARS)
        | st.builds(Comparison, fields, st.sampled_from(in_lists), _SEVERAL)
        | st.builds(Exists, fields, st.booleans())
    )

    def joined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        several = st.lists(inner, max_size=3).map(tuple)
        return several.map(And) | several.map(Or) | st.builds(Elements, fields, inner, st.booleans())

    return st.recursive(leaves, joined, max_leaves=10)
