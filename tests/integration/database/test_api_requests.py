import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.database import api_requests, partitions
from shared.database.pool import Database
from shared.database.query import And, Comparison, Condition, Exists, ListQuery, Operator, Or, Sort
from shared.domain.ids import first_id_at, new_record_id
from shared.domain.outcome import Failure
from shared.messages.messages import ApiCall, ApiRequestFinished
from tests.integration.database.world import FAILURE, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> int:
    return int((NOON + timedelta(minutes=minutes)).timestamp() * 1000)


@pytest.fixture
async def calls(db: Database, world: World) -> dict[str, ApiRequestFinished]:
    """Four calls: fine, slow by a user, thrown, refused."""
    named = {
        "fine": world.api_request(
            function_name="123", started_at_ms=at(0), call=ApiCall(method="GET", path="/a_b%20c?x=1")
        ),
        "slow": world.api_request(
            started_at_ms=at(1),
            duration_ms=2500.0,
            status_code=201,
            call=ApiCall(method="POST", path="/orders/7", user_id="u1", application_id="a1"),
        ),
        "thrown": world.api_request(started_at_ms=at(2), status_code=400, failure=FAILURE),
        "refused": world.api_request(
            started_at_ms=at(3),
            status_code=401,
            failure=Failure(kind="refused", name="access.forbidden", message="no"),
            call=ApiCall(method="GET", path="/", user_id="u2"),
        ),
    }
    await api_requests.insert_finished(db, list(named.values()))
    return named


async def matching(db: Database, world: World, where: Condition, **query: Any) -> list[str]:
    listed, total = await api_requests.list_api_requests(
        db, world.environment_id, ListQuery(where=where, sort=(Sort("timestamp"),), **query)
    )
    assert total == len(listed)
    return [each.id for each in listed]


async def test_a_call_is_recorded_whole(db: Database, world: World) -> None:
    event = world.api_request(
        started_at_ms=at(0),
        duration_ms=1098.0,
        status_code=400,
        failure=replace(FAILURE, message="nul \0"),
        call=ApiCall(method="PUT", path="/ü?\0", user_id="u", application_id="a"),
    )

    assert await api_requests.insert_finished(db, [event]) == 1

    kept = await api_requests.find_api_request(db, world.environment_id, event.request_id)
    assert kept is not None
    assert (kept.id, kept.function_name, kept.method, kept.path) == (event.request_id, "greeter", "PUT", "/ü?\ufffd")
    assert (kept.user_id, kept.application_id, kept.timestamp, kept.status_code) == ("u", "a", NOON, 400)
    assert kept.duration_s == pytest.approx(1.098)
    assert kept.failure == replace(FAILURE, message="nul \ufffd")


async def test_a_call_that_comes_again_changes_nothing(db: Database, world: World) -> None:
    event = world.api_request()

    assert await api_requests.insert_finished(db, [event, event]) == 1
    assert await api_requests.insert_finished(db, [replace(event, status_code=500), world.api_request()]) == 1

    kept = await api_requests.find_api_request(db, world.environment_id, event.request_id)
    assert kept is not None
    assert kept.status_code == 200


async def test_a_duration_is_kept_in_microseconds_so_that_the_one_shown_is_found(db: Database, world: World) -> None:
    event = world.api_request(duration_ms=5.952115000000001)
    await api_requests.insert_finished(db, [event])

    assert await matching(db, world, Comparison("duration", Operator.EQ, 0.005952)) == [event.request_id]
    kept = await api_requests.find_api_request(db, world.environment_id, event.request_id)
    assert kept is not None
    assert repr(kept.duration_s) == "0.005952"


async def test_a_call_is_found_in_its_environment_only(db: Database, world: World) -> None:
    event = world.api_request()
    await api_requests.insert_finished(db, [event])

    assert await api_requests.find_api_request(db, "another", event.request_id) is None
    assert await api_requests.find_api_request(db, world.environment_id, new_record_id()) is None
    assert await api_requests.find_api_request(db, world.environment_id, "no id\0") is None
    assert await api_requests.list_api_requests(db, "another", ListQuery()) == ([], 0)


OP = Operator
CASES: list[tuple[Condition, set[str]]] = [
    (And(()), {"fine", "slow", "thrown", "refused"}),
    (Or(()), set()),
    (Comparison("functionName", OP.EQ, "greeter"), {"slow", "thrown", "refused"}),
    (Comparison("functionName", OP.EQ, 123), {"fine"}),
    (Comparison("functionName", OP.NE, "greeter"), {"fine"}),
    (Comparison("method", OP.IN, ("PUT", "POST")), {"slow"}),
    (Comparison("method", OP.OUT, ("PUT", "POST")), {"fine", "thrown", "refused"}),
    (Comparison("path", OP.LIKE, "orders"), {"slow"}),
    (Comparison("path", OP.LIKE, "%"), {"fine"}),
    (Comparison("path", OP.LIKE, "a_b"), {"fine"}),
    (Comparison("path", OP.LIKE, "'; DROP TABLE api_requests; --"), set()),
    (Comparison("statusCode", OP.EQ, 400), {"thrown"}),
    (Comparison("statusCode", OP.EQ, "400"), {"thrown"}),
    (Comparison("statusCode", OP.EQ, "four hundred"), set()),
    (Comparison("statusCode", OP.NE, "four hundred"), {"fine", "slow", "thrown", "refused"}),
    (Comparison("statusCode", OP.EQ, True), set()),
    (Comparison("statusCode", OP.GT, 10**30), set()),
    (Comparison("statusCode", OP.LIKE, "4"), set()),
    (And((Comparison("statusCode", OP.GE, 201), Comparison("statusCode", OP.LT, 401))), {"slow", "thrown"}),
    (Comparison("duration", OP.GT, 1), {"slow"}),
    (Comparison("duration", OP.LE, 0.012), {"fine", "thrown", "refused"}),
    (Comparison("timestamp", OP.GT, NOON), {"slow", "thrown", "refused"}),
    (Comparison("timestamp", OP.LE, "2026-03-01T12:01:00.000Z"), {"fine", "slow"}),
    (Comparison("timestamp", OP.EQ, "2026-03-01T12:01:00"), {"slow"}),
    (Comparison("timestamp", OP.GE, "yesterday"), set()),
    (Comparison("userId", OP.EQ, "u1"), {"slow"}),
    (Comparison("userId", OP.EQ, None), {"fine", "thrown"}),
    (Comparison("userId", OP.NE, "u1"), {"fine", "thrown", "refused"}),
    (Comparison("userId", OP.NE, None), {"slow", "refused"}),
    (Comparison("userId", OP.IN, ("u1", None)), {"fine", "slow", "thrown"}),
    (Exists("userId"), {"slow", "refused"}),
    (Exists("applicationId", negated=True), {"fine", "thrown", "refused"}),
    (Comparison("error.type", OP.EQ, "runtime"), {"thrown"}),
    (Comparison("error.type", OP.EQ, "invocation"), {"refused"}),
    (Comparison("error.name", OP.EQ, "TypeError"), {"thrown"}),
    (Comparison("error.message", OP.LIKE, "not a function"), {"thrown"}),
    (Exists("error.type"), {"thrown", "refused"}),
    (Or((Comparison("method", OP.EQ, "POST"), Exists("error.name"))), {"slow", "thrown", "refused"}),
    (
        And(
            (Exists("error.type"), Or((Comparison("userId", OP.EQ, "u2"), Or(())))),
        ),
        {"refused"},
    ),
]


async def test_each_condition_matches_what_it_says(
    db: Database, world: World, calls: dict[str, ApiRequestFinished]
) -> None:
    names = {event.request_id: name for name, event in calls.items()}

    found = {where: {names[each] for each in await matching(db, world, where)} for where, _ in CASES}

    assert found == dict(CASES)


async def test_one_call_is_found_by_its_id(db: Database, world: World, calls: dict[str, ApiRequestFinished]) -> None:
    wanted = calls["slow"].request_id

    assert await matching(db, world, Comparison("id", OP.EQ, wanted)) == [wanted]


async def test_the_newest_come_first_unless_told_otherwise(
    db: Database, world: World, calls: dict[str, ApiRequestFinished]
) -> None:
    async def order(*sort: Sort) -> list[str]:
        listed, _ = await api_requests.list_api_requests(db, world.environment_id, ListQuery(sort=sort))
        return [next(name for name, event in calls.items() if event.request_id == each.id) for each in listed]

    assert await order() == ["refused", "thrown", "slow", "fine"]
    assert await order(Sort("timestamp")) == ["fine", "slow", "thrown", "refused"]
    assert await order(Sort("duration", descending=True), Sort("timestamp")) == ["slow", "fine", "thrown", "refused"]
    assert await order(Sort("functionName"), Sort("statusCode", descending=True)) == [
        "fine",
        "refused",
        "thrown",
        "slow",
    ]


async def test_pages_do_not_overlap_when_everything_is_equal(db: Database, world: World) -> None:
    events = [world.api_request(started_at_ms=at(0)) for _ in range(7)]
    await api_requests.insert_finished(db, events)

    pages = [
        await api_requests.list_api_requests(
            db, world.environment_id, ListQuery(sort=(Sort("method"),), limit=3, offset=offset)
        )
        for offset in (0, 3, 6, 9)
    ]

    assert [each.id for page, _ in pages for each in page] == [event.request_id for event in events]
    assert {total for _, total in pages} == {7}


async def test_the_total_is_not_counted_when_nobody_asks(
    db: Database, world: World, calls: dict[str, ApiRequestFinished]
) -> None:
    listed, total = await api_requests.list_api_requests(db, world.environment_id, ListQuery(limit=2, count=False))

    assert (len(listed), total) == (2, None)


async def test_totals_are_those_of_a_count_whatever_is_written_twice_or_dropped(db: Database, world: World) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    await partitions.ensure_days(db, [old.date()])
    names = ("busy", "busy", "busy", "quiet")
    new, gone = (
        [world.api_request(function_name=name, request_id=first_id_at(day)[:8] + new_record_id()[8:]) for name in names]
        for day in (datetime.now(UTC), old)
    )

    async def totals(environment_id: str = world.environment_id) -> list[int | None]:
        asked = (And(()), *(And((Comparison("functionName", OP.EQ, name),)) for name in ("busy", "quiet", "none")))
        answers = []
        for where in asked:
            _, known = await api_requests.list_api_requests(db, environment_id, ListQuery(where=where))
            really = ListQuery(where=And((where, Exists("id"))))
            _, counted = await api_requests.list_api_requests(db, environment_id, really)
            assert known == counted, where
            answers.append(known)
        return answers

    await api_requests.insert_finished(db, [*gone, new[0]])
    assert await totals() == [5, 4, 1, 0]

    await asyncio.gather(*(api_requests.insert_finished(db, [*new, *gone]) for _ in range(3)))
    assert await totals() == [8, 6, 2, 0]
    assert await totals("another") == [0, 0, 0, 0]

    await asyncio.gather(*(partitions.drop_old_partitions(db, 7) for _ in range(2)))
    assert await totals() == [4, 3, 1, 0]
