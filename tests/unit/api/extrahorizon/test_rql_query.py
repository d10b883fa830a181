"""RQL as a question about API requests (contracts/extrahorizon.md section 8)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.extrahorizon.rql_query import read_listing, read_logs_since, read_selection
from shared.database.api_requests import API_REQUESTS
from shared.database.planned import TASKS
from shared.database.query import And, Comparison, Condition, Elements, Exists, Operator, Or, Quoted, Sort
from shared.database.query_sql import Table
from shared.domain.errors import EmptyQueryError, InvalidQueryError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def where(query: str) -> Condition:
    """Return the one condition of a query."""
    condition = read_listing(query).query.where
    assert isinstance(condition, And)
    (only,) = condition.conditions
    return only


def test_a_value_said_to_be_a_text_stays_one() -> None:
    for query, kind in (("eq(data.x,string:5)", Quoted), ("eq(data.x,5)", str)):
        condition = where(query)
        assert isinstance(condition, Comparison)
        assert type(condition.value) is kind


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("eq(method,GET)", Comparison("method", Operator.EQ, "GET")),
        ("method!=GET", Comparison("method", Operator.NE, "GET")),
        ("duration=gt=1.5", Comparison("duration", Operator.GT, "1.5")),
        ("eq(userId,null)", Comparison("userId", Operator.EQ, None)),
        ("eq(functionName,string:null)", Comparison("functionName", Operator.EQ, "null")),
        ("eq(functionName,12345)", Comparison("functionName", Operator.EQ, "12345")),
        ("eq(functionName,my%2520fn%252D1)", Comparison("functionName", Operator.EQ, "my fn-1")),
        ("eq(path,string%253Ax)", Comparison("path", Operator.EQ, "string:x")),
        ("ge(duration,number:2)", Comparison("duration", Operator.GE, 2.0)),
        ("eq(path,boolean:true)", Comparison("path", Operator.EQ, True)),
        ("ge(timestamp,date:2024-05-01T12:00:00Z)", Comparison("timestamp", Operator.GE, NOON)),
        ("ge(timestamp,isodate:2024-05-01T14:00:00+02:00)", Comparison("timestamp", Operator.GE, NOON)),
        ("ge(timestamp,epoch:1714564800000)", Comparison("timestamp", Operator.GE, NOON)),
        ("in(statusCode,200,404)", Comparison("statusCode", Operator.IN, ("200", "404"))),
        ("out(statusCode,(200,404))", Comparison("statusCode", Operator.OUT, ("200", "404"))),
        ("in(statusCode)", Comparison("statusCode", Operator.IN, ())),
        ("like(path,orders)", Comparison("path", Operator.LIKE, "orders")),
        ("contains(userId)", Exists("userId")),
        ("excludes(error)", Exists("error.type", negated=True)),
        ("contains(data.items,and(eq(x,1)))", Elements("data.items", And((Comparison("x", Operator.EQ, "1"),)))),
        ("excludes(tags,eq(x,1))", Elements("tags", Comparison("x", Operator.EQ, "1"), negated=True)),
        (
            "method=GET|method=PUT",
            Or((Comparison("method", Operator.EQ, "GET"), Comparison("method", Operator.EQ, "PUT"))),
        ),
        (
            "or(and(method=GET,path=a),method=PUT)",
            Or(
                (
                    And((Comparison("method", Operator.EQ, "GET"), Comparison("path", Operator.EQ, "a"))),
                    Comparison("method", Operator.EQ, "PUT"),
                )
            ),
        ),
        (
            "eq(error.name,ILLEGAL_STATE_EXCEPTION)",
            Comparison(
                "error.name",
                Operator.IN,
                ("ILLEGAL_STATE_EXCEPTION", "account.quota_exceeded", "resource.illegal_state"),
            ),
        ),
        ("ne(error.name,TypeError)", Comparison("error.name", Operator.OUT, ("TypeError",))),
    ],
)
def test_each_operator_becomes_its_condition(query: str, condition: Condition) -> None:
    assert where(query) == condition


def test_paging_calls_may_stand_anywhere_among_terms_that_all_must_hold() -> None:
    listing = read_listing(
        "and(method=GET,sort(-timestamp,+path,method),limit(5,10))&select(id,error.type)&skipCount()"
    )

    assert listing.query.sort == (Sort("timestamp", descending=True), Sort("path"), Sort("method"))
    assert (listing.query.limit, listing.query.offset, listing.query.count) == (5, 10, False)
    assert listing.select == ("id", "error.type")


def test_what_is_to_be_changed_is_chosen_by_conditions_alone() -> None:
    assert read_selection("eq(name,readers)&ne(id,x)") == And(
        (Comparison("name", Operator.EQ, "readers"), Comparison("id", Operator.NE, "x"))
    )
    for query in ("eq(name,x)&limit(20)", "eq(name,x)&sort(name)", "select(id)", "and(eq(name,x),skipCount())", "eq("):
        with pytest.raises(InvalidQueryError):
            read_selection(query)


@pytest.mark.parametrize("query", ["", "and()", "and(and())"])
def test_no_condition_chooses_nothing(query: str) -> None:
    with pytest.raises(EmptyQueryError):
        read_selection(query)


def test_a_page_has_20_unless_told_otherwise_and_never_more_than_50() -> None:
    assert read_listing("").query.limit == 20
    assert read_listing("limit(51)").query.limit == 50
    assert read_listing("limit(0)").query.limit == 0
    assert read_listing("").query.count


@pytest.mark.parametrize(
    "query",
    [
        "unheard_of(method,GET)",
        "eq(method)",
        "eq(method,a,b)",
        "eq(,a)",
        "eq(method,(a,b))",
        "limit(-1)",
        "limit(x)",
        "limit()",
        "limit(1,2,3)",
        "limit(99999999999)",
        "limit(9999999999)",
        "sort()&sort(-)",
        "skipCount(1)",
        "or(limit(1),method=GET)",
        "contains()",
        "contains(a,b=1,c=2)",
        "eq(path,re:.*)",
        "eq(path,glob:*)",
        "eq(duration,number:x)",
        "eq(timestamp,date:yesterday)",
        "eq(timestamp,epoch:1e300)",
        "eq(path,%2500)",
    ],
)
def test_what_is_not_offered_is_refused(query: str) -> None:
    with pytest.raises(InvalidQueryError):
        read_listing(query)


@pytest.mark.parametrize(
    ("query", "since"),
    [
        ("", None),
        ("ge(timestamp,2024-05-01T12:00:00Z)", NOON),
        ("ge(timestamp,2024%252D05%252D01T12%253A00%253A00%252E000Z)", NOON),
        ("timestamp>=2024-05-01T14:00:00+02:00", NOON),
        ("timestamp=ge=date:2024-05-01T12:00:00", NOON),
        ("ge(timestamp,2020-01-01)&ge(timestamp,2024-05-01T12:00:00Z)", NOON),
    ],
)
def test_logs_are_asked_for_from_a_moment_on(query: str, since: datetime | None) -> None:
    assert read_logs_since(query) == since


@pytest.mark.parametrize(
    "query",
    [
        "lt(timestamp,2024-05-01T12:00:00Z)",
        "gt(timestamp,2024-05-01T12:00:00Z)",
        "ge(message,a)",
        "ge(timestamp,2024-05-01)&limit(5)",
        "limit(5)",
        "sort(timestamp)",
        "ge(timestamp,now)",
        "ge(timestamp,null)",
        "ge(timestamp)",
        "ge(timestamp,2024-05-01T12:00:00Z)|ge(timestamp,2024-05-01T12:00:00Z)",
    ],
)
def test_logs_cannot_be_asked_for_in_any_other_way(query: str) -> None:
    with pytest.raises(InvalidQueryError):
        read_logs_since(query)


FIELDS = [
    "id",
    "functionName",
    "timestamp",
    "statusCode",
    "error",
    "error.name",
    "tags",
    "data",
    "data.x.5",
    "nonsense",
]
VALUES = [
    "GET",
    "7",
    "1e400",
    "null",
    "true",
    "2024-05-01",
    "date:2024-05-01",
    "number:nan",
    "epoch:0",
    "0001-01-01",
    "",
]


@pytest.mark.parametrize("table", [API_REQUESTS, TASKS], ids=lambda table: table.sql)
@given(data=st.data())
def test_any_query_of_known_parts_becomes_sql_or_is_refused(table: Table, data: st.DataObject) -> None:
    def term(depth: int) -> str:
        if depth and data.draw(st.booleans()):
            inner = ",".join(term(depth - 1) for _ in range(data.draw(st.integers(1, 3))))
            return f"{data.draw(st.sampled_from(['and', 'or']))}({inner})"
        name = data.draw(st.sampled_from([*Operator, "contains", "excludes", "sort", "limit", "select", "skipCount"]))
        arguments: list[Any] = data.draw(st.lists(st.sampled_from([*FIELDS, *VALUES]), max_size=3))
        return f"{name}({','.join(arguments)})"

    query = "&".join(term(2) for _ in range(data.draw(st.integers(1, 3))))
    try:
        sql = table.compiled(read_listing(query).query, "e")
    except InvalidQueryError:
        return
    assert sql.where.startswith("environment_id = $1")
    assert sql.where.count("(") == sql.where.count(")")
