import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database.api_request_query import (
    FIELDS,
    And,
    ApiRequestQuery,
    Comparison,
    Condition,
    Exists,
    Operator,
    Or,
    Sort,
    compiled,
)
from shared.domain.errors import InvalidQueryError

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes()
fields = st.sampled_from(sorted(FIELDS))
comparisons = st.builds(
    Comparison, fields, st.sampled_from(sorted(set(Operator) - {Operator.IN, Operator.OUT})), scalars
) | st.builds(
    Comparison, fields, st.sampled_from([Operator.IN, Operator.OUT]), st.lists(scalars, max_size=3).map(tuple)
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons | st.builds(Exists, fields, st.booleans()),
    lambda inner: st.lists(inner, max_size=3).map(tuple).flatmap(lambda of: st.sampled_from([And(of), Or(of)])),
    max_leaves=10,
)


@given(conditions)
def test_values_never_become_part_of_the_statement(where: Condition) -> None:
    sql = compiled(ApiRequestQuery(where=where), "environment-1")

    unquoted = sql.where.replace("'name'", "").replace("'message'", "")
    assert "'" not in unquoted
    assert sql.where.isascii()
    assert sql.arguments[0] == "environment-1"
    assert {f"${number}" for number in range(1, len(sql.arguments) + 1)} == {
        word.rstrip(")").split("::")[0] for word in unquoted.replace("(", " ").split() if word.startswith("$")
    }


@pytest.mark.parametrize(
    "query",
    [
        ApiRequestQuery(where=Comparison("password", Operator.EQ, "x")),
        ApiRequestQuery(where=Exists("id; DROP TABLE users")),
        ApiRequestQuery(sort=(Sort("environment_id"),)),
        ApiRequestQuery(where=Comparison("duration", Operator.GT, (1, 2))),
    ],
)
def test_what_is_not_offered_is_refused_by_name(query: ApiRequestQuery) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        compiled(query, "environment-1")

    assert caught.value.fields["field"] in {"password", "id; DROP TABLE users", "environment_id", "duration"}
