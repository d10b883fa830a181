import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from shared.database import executions, partitions
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.domain.execution import ExecutionKind, ExecutionStatus
from shared.domain.ids import first_id_at, is_record_id
from tests.integration.database.world import World, claim, success

DAY = date(2026, 3, 1)


@pytest.fixture
async def bare(bare_database_url: str) -> Database:
    """A database without partitions."""
    return await Database.connect(bare_database_url)


async def test_partitions_of_today_and_the_days_ahead_are_made_once(bare: Database) -> None:
    made = await partitions.ensure_partitions(bare, DAY, 1)

    assert made == sorted(
        f"{table}_p2026030{day}"
        for table in ("executions", "api_requests", "log_lines", "secret_accesses")
        for day in (1, 2)
    )
    assert await partitions.partitions(bare) == made
    assert await partitions.ensure_partitions(bare, DAY, 1) == []
    await bare.close()


async def test_several_processes_may_make_partitions_at_once(bare: Database) -> None:
    made = await asyncio.gather(*(partitions.ensure_partitions(bare, DAY, 2) for _ in range(5)))

    assert sorted(len(each) for each in made) == [0, 0, 0, 0, 12]
    await bare.close()


async def test_each_second_of_a_day_belongs_to_its_partition(bare: Database) -> None:
    await partitions.ensure_partitions(bare, DAY, 0)
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    inside = [midnight, midnight + timedelta(days=1, seconds=-1)]
    outside = [midnight - timedelta(seconds=1), midnight + timedelta(days=1)]
    insert = "INSERT INTO log_lines (record_id, number, timestamp_ms, level, message) VALUES ($1, 0, 0, '', '')"

    for moment in inside:
        await bare.execute(insert, first_id_at(moment))
    for moment in outside:
        with pytest.raises(asyncpg.CheckViolationError) as caught:
            await bare.execute(insert, first_id_at(moment))
        assert partitions.is_partition_missing(caught.value)

    assert partitions.days_of([first_id_at(moment) for moment in inside]) == {DAY}
    await bare.close()


async def test_a_lock_that_somebody_keeps_does_not_hold_the_maker_for_ever(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_LOCK_WAIT", "50ms")
    async with db.transaction() as somebody:
        await somebody.execute("LOCK TABLE log_lines IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(UnavailableError):
            await partitions.ensure_days(db, [DAY])

    assert len(await partitions.ensure_days(db, [DAY])) == 4


async def test_a_broken_constraint_is_not_taken_for_a_missing_partition(db: Database) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await db.execute(
            "INSERT INTO function_versions SELECT 'x', 'f', 1, '', 'none', '', 1, 1, 1, '{}', '{}', '', '', now(), ''"
        )

    assert not partitions.is_partition_missing(caught.value)


async def test_a_partition_is_made_while_a_long_read_goes_on_and_rows_are_written(db: Database, world: World) -> None:
    function = await world.function()
    async with db.transaction() as reader:
        await reader.fetch("SELECT * FROM executions, log_lines, api_requests, secret_accesses")

        made = await partitions.ensure_partitions(db, datetime.now(UTC).date() + timedelta(days=30), 0)

        await world.accepted(function)
    assert len(made) == 4


async def test_old_partitions_are_dropped_with_their_rows_and_others_stay(db: Database, world: World) -> None:
    today = datetime.now(UTC).date()
    await partitions.ensure_days(db, [today - timedelta(days=days) for days in (7, 8, 30)])
    [kept] = await world.accepted(await world.function())

    dropped = await partitions.drop_old_partitions(db, 7)

    assert {partitions.day_of(name) for name in dropped} == {today - timedelta(days=8), today - timedelta(days=30)}
    assert len(dropped) == 8
    assert today - timedelta(days=7) in map(partitions.day_of, await partitions.partitions(db))
    assert await executions.find_execution(db, kept) is not None
    assert await partitions.drop_old_partitions(db, 7) == []


async def test_executions_that_never_ended_are_counted_as_failed_when_their_day_is_dropped(
    db: Database, world: World
) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    await partitions.ensure_days(db, [old.date()])
    function = await world.function()
    moved = [f"{first_id_at(old)[:8]}{number:016x}" for number in range(3)]
    await executions.accept(db, [world.execution(function, id=each) for each in moved])
    await executions.claim(db, [claim(moved[0]), claim(moved[1])])
    await executions.settle(db, [success(moved[1])])

    dropped = await asyncio.gather(*(partitions.drop_old_partitions(db, 7) for _ in range(3)))

    assert "executions_p" + old.strftime("%Y%m%d") in {name for each in dropped for name in each}
    [row] = await executions.ledger(db)
    assert (row.accepted, row.completed, row.failed, row.queued, row.running) == (3, 1, 2, 0, 0)


async def test_lists_no_longer_count_what_retention_has_taken(db: Database, world: World) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    await partitions.ensure_days(db, [old.date()])
    function = await world.function()
    moved = [f"{first_id_at(old)[:8]}{number:016x}" for number in range(3)]
    await executions.accept(db, [world.execution(function, id=each) for each in moved])
    await executions.claim(db, [claim(moved[0])])
    await executions.settle(db, [success(moved[0])])
    [kept] = await world.running(function)
    await executions.settle(db, [success(kept)])

    async def counted(*statuses: ExecutionStatus) -> int:
        return (await executions.list_executions(db, function.id, ExecutionKind.NEO, statuses or None))[1]

    assert (await counted(), await counted(ExecutionStatus.COMPLETED)) == (4, 2)

    await partitions.drop_old_partitions(db, 7)

    assert (await counted(), await counted(ExecutionStatus.COMPLETED)) == (1, 1)
    assert await counted(ExecutionStatus.FAILED, ExecutionStatus.CANCELLED) == 0
    assert await counted(ExecutionStatus.QUEUED, ExecutionStatus.RUNNING) == 0


async def test_a_partition_that_is_being_read_is_left_for_next_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_DROP_WAIT", "50ms")
    await partitions.ensure_days(db, [DAY])
    async with db.transaction() as reader:
        await reader.fetch("SELECT * FROM log_lines")
        dropped = await partitions.drop_old_partitions(db, 7)

    assert "log_lines_p20260301" not in dropped
    assert len(dropped) == 3
    assert await partitions.drop_old_partitions(db, 7) == ["log_lines_p20260301"]


async def test_accepting_work_does_not_depend_on_who_makes_partitions(bare: Database) -> None:
    world = await World.make(bare)
    function = await world.function()

    [accepted] = await executions.accept(bare, [world.execution(function)])

    assert accepted.is_new
    assert is_record_id(accepted.id)
    assert await executions.find_execution(bare, accepted.id) is not None
    await bare.close()


def test_a_name_that_is_no_partition_is_refused() -> None:
    with pytest.raises(ValueError, match="executions_default"):
        partitions.day_of("executions_default")
