"""Tasks and schedules by filter: every operator on every kind of field, and whatever else may be asked."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.database import planned, schedules, tasks
from shared.database.planned import Planned
from shared.database.pool import Database
from shared.database.query import And, Comparison, Condition, Elements, Exists, ListQuery, Operator, Or, Quoted, Sort
from shared.database.query_sql import Table
from shared.database.schedules import NewSchedule
from shared.database.tasks import NewTask, TaskSettlement
from shared.domain.errors import InvalidQueryError, SlowQueryError
from shared.domain.ids import new_record_id
from shared.domain.outcome import Failure
from shared.domain.task import TaskStatus
from tests.integration.database.world import World
from tests.support.queries import TABLES, compiled, queries_of

NOON = datetime(2030, 3, 1, 12, tzinfo=UTC)
HOLDER = "invoker-1"
DATA: dict[str, Any] = {
    "order": {"who": "Bo", "count": 5, "at": "2030-03-01T12:00:00.000Z", "paid": True, "note": None, 'a "q"': 1},
    "texts": {"who": "5", "list": ["red", "dark blue"], "5": "member", "count": "7"},
    "lists": {"items": [{"name": "pen", "qty": 3}, {"name": "ink", "qty": 9}], "list": [], "count": 7.5},
    "none": None,
}


@pytest.fixture
async def named(db: Database, world: World) -> dict[str, str]:
    """Four tasks with different data and tags; their ids by name."""
    new = [
        NewTask(
            id=new_record_id(),
            environment_id=world.environment_id,
            function_name=name,
            data=None if data is None else json.dumps(data).encode(),
            tags=("all", name),
            priority=len(name),
            due_at=NOON + timedelta(minutes=minute),
        )
        for minute, (name, data) in enumerate(DATA.items())
    ]
    await tasks.accept(db, new)
    return {each.function_name: each.id for each in new}


def eq(field: str, value: Any) -> Comparison:
    return Comparison(field, Operator.EQ, value)


CONDITIONS: list[tuple[Condition, str]] = [
    (eq("tags", "order"), "order"),
    (eq("tags", "red"), ""),
    (eq("tags", None), ""),
    (Comparison("tags", Operator.NE, "order"), "texts lists none"),
    (Comparison("tags", Operator.IN, ("order", "texts", "x")), "order texts"),
    (Comparison("tags", Operator.OUT, ("order", "texts")), "lists none"),
    (Comparison("tags", Operator.LIKE, "ist"), "lists"),
    (Comparison("tags", Operator.GE, "texts"), "texts"),
    (Exists("tags"), "order texts lists none"),
    (Exists("retryForTaskIds"), ""),
    (eq("retryForTaskIds", None), "order texts lists none"),
    (Elements("tags", eq("x", 1)), ""),
    (Elements("priority", eq("x", 1), negated=True), "order texts lists none"),
    (eq("status", "new"), "order texts lists none"),
    (Comparison("priority", Operator.LT, "5"), "none"),
    (Comparison("startTimestamp", Operator.GT, NOON), "texts lists none"),
    (eq("startTimestamp", "2030-03-01T12:01:00.000Z"), "texts"),
    (Exists("error.type"), ""),
    (eq("data.who", "Bo"), "order"),
    (eq("data.who", "5"), "texts"),
    (eq("data.count", "5"), "order"),
    (eq("data.count", Quoted("5")), ""),
    (eq("data.count", 5.0), "order"),
    (eq("data.count", "7"), "texts"),
    (eq("data.count", 7), ""),
    (Comparison("data.count", Operator.GT, "5"), "texts lists"),
    (Comparison("data.count", Operator.LE, 7.5), "order lists"),
    (Comparison("data.count", Operator.NE, "5"), "texts lists none"),
    (eq("data.paid", "true"), "order"),
    (eq("data.paid", True), "order"),
    (eq("data.paid", Quoted("true")), ""),
    (eq("data.note", None), "order texts lists none"),
    (Comparison("data.who", Operator.NE, None), "order texts"),
    (Exists("data.note"), "order"),
    (Exists("data.note", negated=True), "texts lists none"),
    (Exists("data"), "order texts lists"),
    (Exists("data", negated=True), "none"),
    (eq("data.at", NOON), "order"),
    (Comparison("data.at", Operator.GE, "2030-01-01"), "order"),
    (eq('data.a "q"', 1), "order"),
    (eq("data.list", "red"), "texts"),
    (Comparison("data.list", Operator.LIKE, "blue"), "texts"),
    (Comparison("data.list", Operator.LIKE, "b.ue"), ""),
    (Comparison("data.count", Operator.LIKE, "5"), ""),
    (Comparison("data.who", Operator.LIKE, ""), "order texts"),
    (eq("data.list.1", "dark blue"), "texts"),
    (eq("data.5", "member"), "texts"),
    (eq("data.items.name", "ink"), "lists"),
    (eq("data.items.0.name", "ink"), ""),
    (eq("data.items.1.name", "ink"), "lists"),
    (Elements("data.items", And((eq("name", "pen"), eq("qty", "3")))), "lists"),
    (Elements("data.items", And((eq("name", "pen"), eq("qty", "9")))), ""),
    (Elements("data.items", Comparison("name", Operator.NE, "pen")), "lists"),
    (Elements("data.items", Comparison("qty", Operator.GT, 9)), ""),
    (Elements("data.items", Or((eq("qty", 1), Exists("name"))), negated=True), "order texts none"),
]


async def test_tasks_are_found_by_condition(db: Database, world: World, named: dict[str, str]) -> None:
    wrong = []
    for where, expected in CONDITIONS:
        query = ListQuery(where=where, sort=(Sort("startTimestamp"),))
        page = await planned.list_tasks(db, world.environment_id, query)
        listed = page.found
        assert page.total == len(listed)
        assert {each.id for each in listed} <= set(named.values())
        if (found := " ".join(each.function_name for each in listed)) != expected:
            wrong.append((where, expected, found))
    assert not wrong


async def test_tasks_come_newest_first_unless_sorted(db: Database, world: World, named: dict[str, str]) -> None:
    async def names(*sort: Sort, **page: Any) -> list[str]:
        listed = (await planned.list_tasks(db, world.environment_id, ListQuery(sort=sort, **page))).found
        return [each.function_name for each in listed]

    assert await names() == ["none", "lists", "texts", "order"] == list(named)[::-1]
    assert await names(limit=2, offset=1) == ["lists", "texts"]
    assert await names(Sort("priority"), Sort("id")) == ["none", "order", "texts", "lists"]
    assert await names(Sort("data.count", descending=True)) == ["none", "lists", "order", "texts"]
    assert await names(Sort("tags")) == ["lists", "none", "order", "texts"]


async def test_a_task_shows_why_it_failed_in_published_words(db: Database, world: World) -> None:
    kinds = {"raised": "TypeError", "refused": "function.not_found", "interrupted": "InterruptedError"}
    for kind, name in kinds.items():
        new = tasks.DirectTask(
            id=new_record_id(),
            environment_id=world.environment_id,
            function_name=kind,
            run_id=new_record_id(),
            holder=HOLDER,
            lease_s=60,
        )
        await tasks.begin_direct(db, [new])
        failure = Failure(kind=kind, name=name, message="no")
        await tasks.settle(db, [TaskSettlement(id=new.id, holder=HOLDER, failure=failure)])

    async def found(field: str, value: str) -> set[str]:
        listed = (await planned.list_tasks(db, world.environment_id, ListQuery(where=eq(field, value)))).found
        assert {each.status for each in listed} == {TaskStatus.FAILED}
        return {each.function_name for each in listed}

    assert await found("error.type", "invocation") == {"refused"}
    assert await found("error.type", "runtime") == {"raised", "interrupted"}
    assert await found("error.name", "zombieTaskCleaned") == {"interrupted"}
    assert await found("error.name", "TypeError") == {"raised"}
    assert await found("error.message", "no") == set(kinds)


async def test_another_environments_tasks_and_schedules_are_not_listed(db: Database, named: dict[str, str]) -> None:
    assert named
    assert await planned.list_tasks(db, "elsewhere", ListQuery()) == Planned(found=[], total=0, limit=20)
    none = await planned.list_schedules(db, "elsewhere", ListQuery(count=False))
    assert (none.found, none.total) == ([], None)


async def test_a_query_that_takes_too_long_is_given_up(db: Database, world: World, named: dict[str, str]) -> None:
    assert named
    slow = replace(planned.TASKS, sql="tasks, pg_sleep(30)", longest_s=0.2)

    for count in (True, False):
        with pytest.raises(SlowQueryError):
            await slow.page(db, world.environment_id, ListQuery(count=count))

    still_there = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active'"
    assert await db.fetchval(f"{still_there} AND pid <> pg_backend_pid()") == 0


@pytest.mark.parametrize(
    "query",
    [
        ListQuery(where=Comparison("data.count", Operator.IN, ("1",) * 8_000)),
        ListQuery(sort=(Sort("data.x"),) * 1_700),
    ],
    ids=["values", "keys"],
)
async def test_a_query_longer_than_a_statement_can_be_is_refused(
    db: Database, world: World, named: dict[str, str], query: ListQuery
) -> None:
    assert named
    with pytest.raises(InvalidQueryError):
        await planned.list_tasks(db, world.environment_id, query)


async def test_schedules_are_found_by_condition(db: Database, world: World) -> None:
    for interval in (60, 3600):
        new = NewSchedule(
            id=new_record_id(),
            environment_id=world.environment_id,
            function_name="greeter",
            interval_s=interval,
            data=b'{"every": %d}' % interval,
            starts_at=NOON,
        )
        await schedules.create(db, new)

    for where in (Comparison("interval", Operator.GT, "60"), eq("data.every", "3600")):
        page = await planned.list_schedules(db, world.environment_id, ListQuery(where=where))
        assert [each.interval_s for each in page.found] == [3600]
        assert page.total == 1
    page = await planned.list_schedules(
        db, world.environment_id, ListQuery(where=eq("nextTimestamp", NOON), sort=(Sort("interval"),))
    )
    assert [each.interval_s for each in page.found] == [60, 3600]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.sql)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_the_database_takes_whatever_is_compiled(
    db: Database, world: World, named: dict[str, str], table: Table, data: st.DataObject
) -> None:
    query = data.draw(queries_of(table))
    if compiled(table, query) is None:
        return

    rows, total = await table.page(db, world.environment_id, query)

    assert total == len(rows) <= len(named)
