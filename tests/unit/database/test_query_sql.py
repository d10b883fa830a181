import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database.api_requests import API_REQUESTS
from shared.database.planned import SCHEDULES, TASKS
from shared.database.query import And, Comparison, Elements, Exists, ListQuery, Operator, Or, Sort
from shared.database.query_sql import Arguments, Table
from shared.domain.errors import InvalidQueryError
from tests.support.queries import TABLES, compiled, queries_of

WORD = re.compile(r"\$\d+")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.sql)
@given(data=st.data())
def test_neither_names_nor_values_become_part_of_the_statement(table: Table, data: st.DataObject) -> None:
    sql = compiled(table, data.draw(queries_of(table)))
    if sql is None:
        return

    statement = f"{sql.where} {sql.order}"
    for offered in table.fields.values():
        statement = statement.replace(offered.key(Arguments()), "")
    assert "'" not in statement.replace("'null'", "").replace("'{}'", "")
    assert statement.isascii()
    assert sql.arguments[0] == "environment-1"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.sql)
@given(data=st.data())
def test_every_argument_is_used_and_counting_takes_those_of_the_conditions(table: Table, data: st.DataObject) -> None:
    sql = compiled(table, data.draw(queries_of(table)))
    if sql is None:
        return

    assert set(WORD.findall(sql.where)) == {f"${number}" for number in range(1, sql.where_arguments + 1)}
    assert set(WORD.findall(f"{sql.where} {sql.order}")) == {
        f"${number}" for number in range(1, len(sql.arguments) + 1)
    }


@pytest.mark.parametrize(
    ("table", "query"),
    [
        (API_REQUESTS, ListQuery(where=Comparison("password", Operator.EQ, "x"))),
        (API_REQUESTS, ListQuery(where=Exists("id; DROP TABLE users"))),
        (API_REQUESTS, ListQuery(sort=(Sort("environment_id"),))),
        (API_REQUESTS, ListQuery(where=Comparison("duration", Operator.GT, (1, 2)))),
        (API_REQUESTS, ListQuery(where=Comparison("data.x", Operator.EQ, "x"))),
        (API_REQUESTS, ListQuery(where=Comparison("duration.x", Operator.EQ, "x"))),
        (TASKS, ListQuery(where=Exists("tags.0"))),
        (TASKS, ListQuery(where=Exists("data."))),
        (TASKS, ListQuery(where=Exists("data.x..y"))),
        (TASKS, ListQuery(sort=(Sort("data..y"),))),
        (TASKS, ListQuery(where=Exists("data." + ".".join("x" * 33)))),
        (TASKS, ListQuery(where=Exists("data.1.2.3.4"))),
        (TASKS, ListQuery(where=Elements("data.1.2", Elements("3", And((Exists("x"), Or((Exists("4"),)))))))),
        (TASKS, ListQuery(where=Elements("data.x", Comparison("y", Operator.LIKE, ("a", "b"))))),
        (SCHEDULES, ListQuery(where=Exists("status"))),
    ],
)
def test_what_is_not_offered_is_refused_by_name(table: Table, query: ListQuery) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        table.compiled(query, "environment-1")

    assert str(caught.value.fields["field"]) in repr(query)
