import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.api.dialects.extrahorizon.task_bodies import read_new_schedule
from shared.database import schedules, task_queue, tasks
from shared.database.pool import Database
from shared.database.schedules import NewSchedule
from shared.domain.ids import new_record_id
from shared.domain.task import LONGEST_INTERVAL_S, Schedule, TaskStatus
from tests.integration.database.world import World


def new_schedule(world: World, **changes: Any) -> NewSchedule:
    given: dict[str, Any] = {
        "id": new_record_id(),
        "environment_id": world.environment_id,
        "function_name": "greeter",
        "interval_s": 60,
    }
    return NewSchedule(**{**given, **changes})


async def read(db: Database, schedule_id: str) -> Schedule:
    row = await db.fetchrow(
        f"SELECT {schedules.SCHEDULE_COLUMNS} FROM schedules WHERE id = $1",
        schedule_id,
    )
    assert row is not None
    return schedules.schedule_of(row)


async def test_a_schedule_is_kept_as_it_was_given_and_is_due_when_it_starts(db: Database, world: World) -> None:
    new = new_schedule(
        world, data=b'{"who": "all"}', priority=5, created_by_user="u", created_by_application="a", interval_s=3600
    )

    schedule = await schedules.create(db, new)

    assert schedule == await read(db, new.id)
    assert (schedule.interval_s, schedule.priority, schedule.data) == (3600, 5, b'{"who": "all"}')
    assert schedule.starts_at == schedule.next_at == schedule.created_at
    assert (schedule.created_by_user, schedule.created_by_application) == ("u", "a")


async def test_a_due_schedule_makes_its_task_once_and_moves_on_by_its_interval(db: Database, world: World) -> None:
    schedule = await schedules.create(db, new_schedule(world, data=b'{"n": 1}', priority=5, created_by_user="u"))

    [task_id] = await schedules.fire(db)
    assert await schedules.fire(db) == []

    task = await tasks.find_task(db, world.environment_id, task_id)
    assert task is not None
    assert (task.status, task.schedule_id, task.data, task.priority) == (TaskStatus.NEW, schedule.id, b'{"n": 1}', 5)
    assert (task.function_name, task.due_at, task.created_by_user) == ("greeter", schedule.starts_at, "u")
    assert (await task_queue.waiting(db)).ready
    assert (await read(db, schedule.id)).next_at - schedule.next_at == timedelta(seconds=60)


async def test_a_schedule_fires_not_before_it_starts(db: Database, world: World) -> None:
    now = (await schedules.create(db, new_schedule(world))).created_at
    await schedules.fire(db)
    later = await schedules.create(db, new_schedule(world, starts_at=now + timedelta(seconds=30)))

    assert await schedules.fire(db) == []
    assert (await read(db, later.id)).next_at == later.starts_at
    due_in_s = (await task_queue.waiting(db)).due_in_s
    assert due_in_s is not None
    assert 0 < due_in_s <= 30


async def test_intervals_that_were_missed_make_one_task_and_the_next_lies_ahead(db: Database, world: World) -> None:
    schedule = await schedules.create(db, new_schedule(world, interval_s=7))
    await db.execute("UPDATE schedules SET next_at = next_at - interval '70000000 s'")

    assert len(await schedules.fire(db)) == 1

    now = await db.fetchval("SELECT clock_timestamp()")
    moved = (await read(db, schedule.id)).next_at
    assert now < moved <= now + timedelta(seconds=7)
    assert (moved - schedule.starts_at) % timedelta(seconds=7) == timedelta(0)
    assert await schedules.fire(db) == []


async def test_many_that_fire_at_once_make_one_task_an_interval(db: Database, world: World) -> None:
    for _ in range(20):
        await schedules.create(db, new_schedule(world))

    fired = await asyncio.gather(*(schedules.fire(db, 3) for _ in range(20)))

    assert sum(len(each) for each in fired) == 20
    made = await db.fetchval("SELECT count(DISTINCT schedule_id) FROM tasks")
    assert made == 20


async def test_the_longest_interval_leads_to_a_moment_of_the_calendar(db: Database, world: World) -> None:
    schedule = await schedules.create(db, new_schedule(world, interval_s=LONGEST_INTERVAL_S))

    await schedules.fire(db)

    assert (await read(db, schedule.id)).next_at - schedule.next_at == timedelta(seconds=LONGEST_INTERVAL_S)


@pytest.mark.parametrize("interval_s", [1, LONGEST_INTERVAL_S])
async def test_a_schedule_of_the_first_years_fires_once_and_the_next_lies_ahead(
    db: Database, world: World, interval_s: int
) -> None:
    earliest = read_new_schedule(
        b'{"functionName": "greeter", "interval": 1, "startTimestamp": "0002-01-01T00:00:00Z"}'
    ).starts_at
    schedule = await schedules.create(db, new_schedule(world, interval_s=interval_s, starts_at=earliest))
    assert schedule.starts_at == earliest

    [_] = await schedules.fire(db)

    now = await db.fetchval("SELECT clock_timestamp()")
    ahead = (await read(db, schedule.id)).next_at - now
    assert timedelta(0) < ahead + timedelta(seconds=1) <= timedelta(seconds=interval_s + 1)
    assert (await task_queue.waiting(db)).ready


async def test_a_deleted_schedule_leaves_the_tasks_it_made(db: Database, world: World) -> None:
    schedule = await schedules.create(db, new_schedule(world))
    [task_id] = await schedules.fire(db)

    assert not await schedules.delete(db, "another", schedule.id)
    assert not await schedules.delete(db, world.environment_id, "no id")
    assert await schedules.delete(db, world.environment_id, schedule.id)
    assert not await schedules.delete(db, world.environment_id, schedule.id)

    assert await tasks.find_task(db, world.environment_id, task_id) is not None
