import asyncio
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
import structlog

from services.logger.batches import RecordWriter
from shared.database import api_requests, executions, functions, logs, partitions
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.domain.ids import first_id_at, new_record_id
from shared.messages.messages import LogLinesWritten, Record
from tests.integration.database.world import World, line

BIG_INT = 2**40
"""More than the column of a status code holds."""


def id_of(day: date) -> str:
    return first_id_at(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))[:-6] + new_record_id()[-6:]


async def recorded(db: Database) -> set[str]:
    rows = await db.fetch(
        "SELECT id FROM executions UNION SELECT id FROM api_requests UNION SELECT record_id FROM log_lines"
    )
    return {row["id"] for row in rows}


async def test_a_batch_of_everything_is_written(db: Database, world: World, writer: RecordWriter) -> None:
    function = await world.function()
    run = world.finished(function, lines=(line("run 0"), line("run 1")))
    call = world.api_request(lines=(line("call 0"),))
    later = LogLinesWritten(record_id=new_record_id(), first_number=0, lines=(line("a"), line("b")))
    more = LogLinesWritten(record_id=later.record_id, first_number=2, lines=(line("c"),))

    await writer.write([more, run, call, later])

    assert await executions.find_execution(db, run.execution_id) is not None
    assert await api_requests.find_api_request(db, world.environment_id, call.request_id) is not None
    assert [each.message for each in await logs.lines_of(db, run.execution_id)] == ["run 0", "run 1"]
    assert [each.message for each in await logs.lines_of(db, call.request_id)] == ["call 0"]
    assert [each.message for each in await logs.lines_of(db, later.record_id)] == ["a", "b", "c"]


async def test_a_batch_that_comes_again_changes_nothing(db: Database, world: World, writer: RecordWriter) -> None:
    function = await world.function()
    batch: list[Record] = [world.finished(function, lines=(line("once"),)), world.api_request(lines=(line("once"),))]

    for _ in range(3):
        await writer.write(batch)

    assert (await functions.function_stats(db, function.id)).completed == 1
    assert await db.fetchval("SELECT count(*) FROM api_requests") == 1
    assert await db.fetchval("SELECT count(*) FROM log_lines") == 2


async def test_batches_with_the_same_records_at_once_count_each_once(
    db: Database, world: World, writer: RecordWriter
) -> None:
    function = await world.function()
    records = [world.finished(function) for _ in range(50)]

    await asyncio.gather(*(writer.write(order) for order in (records, records[::-1], records[10:40], records)))

    assert (await functions.function_stats(db, function.id)).completed == 50
    assert [row.drift for row in await executions.ledger(db)] == [0]


async def test_an_empty_batch_is_fine(writer: RecordWriter) -> None:
    await writer.write([])


@pytest.mark.parametrize("position", [0, 17, 36])
async def test_a_record_at_fault_is_buried_with_its_reason_and_its_neighbours_are_written(
    db: Database, world: World, writer: RecordWriter, position: int
) -> None:
    function = await world.function()
    innocent: list[Record] = [world.finished(function, lines=(line("x"),)) for _ in range(36)]
    poison = world.api_request(status_code=BIG_INT)
    batch = [*innocent[:position], poison, *innocent[position:]]

    with structlog.testing.capture_logs() as said:
        await writer.write(batch)

    assert (await functions.function_stats(db, function.id)).completed == 36
    assert await db.fetchval("SELECT count(*) FROM log_lines") == 36
    [buried] = [each for each in said if each["event"] == "record_dead"]
    assert (buried["record_id"], buried["type"]) == (poison.request_id, "api-request.finished")
    assert str(BIG_INT) in buried["reason"]


@pytest.mark.parametrize("record_id", ["", "not-an-id", "zzzzzzzzzzzzzzzzzzzzzzzz", "nul\0"])
async def test_a_record_with_a_senseless_id_is_buried(
    db: Database, world: World, writer: RecordWriter, record_id: str
) -> None:
    good = world.api_request()

    with structlog.testing.capture_logs() as said:
        await writer.write([replace(good, request_id=record_id), good])

    assert await recorded(db) == {good.request_id}
    assert [each["record_id"] for each in said if each["event"] == "record_dead"] == [record_id]


async def test_records_of_any_day_that_is_kept_get_their_partition(db: Database, world: World) -> None:
    today = date(2026, 3, 10)
    writer = RecordWriter(db, keep_days=7, today=lambda: today)
    kept = [world.api_request(request_id=id_of(today - timedelta(days=days))) for days in (0, 3, 7, -2)]

    await writer.write(kept)

    assert await recorded(db) == {event.request_id for event in kept}


async def test_a_record_past_its_time_or_from_the_future_makes_no_partition(db: Database, world: World) -> None:
    today = date(2026, 3, 10)
    writer = RecordWriter(db, keep_days=7, today=lambda: today)
    good = world.api_request(request_id=id_of(today))
    bad = [world.api_request(request_id=id_of(today + timedelta(days=days))) for days in (-8, 3)]

    with structlog.testing.capture_logs() as said:
        await writer.write([bad[0], good, bad[1]])

    assert await recorded(db) == {good.request_id}
    assert {each["record_id"] for each in said if each["event"] == "record_dead"} == {each.request_id for each in bad}
    assert {partitions.day_of(name) for name in await partitions.partitions(db)} == {today}


async def test_while_the_database_refuses_for_its_own_reasons_no_record_is_given_up(
    db: Database, world: World, writer: RecordWriter
) -> None:
    batch: list[Record] = [world.api_request() for _ in range(3)]
    await db.execute("ALTER TABLE api_requests RENAME TO hidden")
    with structlog.testing.capture_logs() as said, pytest.raises(asyncpg.UndefinedTableError):
        await writer.write(batch)
    assert said == []
    await db.execute("ALTER TABLE hidden RENAME TO api_requests")

    await writer.write(batch)

    assert len(await recorded(db)) == 3


async def test_while_the_database_is_away_the_batch_goes_back(db: Database, world: World, writer: RecordWriter) -> None:
    batch = [world.api_request()]
    await db.close()

    with pytest.raises(UnavailableError):
        await writer.write(batch)


async def test_a_thousand_records_with_lines_are_written_well_within_a_second(
    db: Database, world: World, writer: RecordWriter
) -> None:
    function = await world.function()
    await partitions.ensure_partitions(db, datetime.now(UTC).date())
    batch: list[Record] = [world.finished(function, lines=(line("a"), line("b"))) for _ in range(500)]
    batch += [world.api_request(lines=(line("c"),)) for _ in range(500)]
    began = time.monotonic()

    await writer.write(batch)

    assert time.monotonic() - began < 5.0, "hundreds of times slower than it is"
    assert await db.fetchval("SELECT count(*) FROM log_lines") == 1500
