"""Each task goes to one holder, in its turn, and no environment has more in progress than it may."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from shared.database import replicas, schedules, task_queue, tasks
from shared.database.pool import Connection, Database
from shared.database.tasks import TaskSettlement
from shared.domain.task import Task, TaskStatus
from shared.process.supervise import Supervisor
from tests.integration.database.world import HOLDER, World
from tests.support.eventually import eventually

T = TypeVar("T")

PAST = datetime(2020, 1, 1, tzinfo=UTC)


async def claim(db: Database, *, holder: str = HOLDER, at_once: int = 100, limit: int = 100) -> list[Task]:
    return await task_queue.claim(db, holder=holder, lease_s=60.0, at_once=at_once, limit=limit)


async def test_a_claimed_task_is_in_progress_with_a_run_of_its_own(db: Database, world: World) -> None:
    new = await tasks.accept(db, [world.task() for _ in range(3)])

    claimed = await claim(db)

    assert {each.id for each in claimed} == {each.id for each in new}
    assert len({each.run_id for each in claimed} - {None}) == 3
    for each in claimed:
        assert each == await world.task_row(each.id)
        assert each.status is TaskStatus.IN_PROGRESS
    assert await claim(db) == []


async def test_a_higher_priority_goes_first_and_then_what_was_due_earlier(db: Database, world: World) -> None:
    order = [(9, PAST + timedelta(seconds=9)), (0, PAST), (0, PAST + timedelta(seconds=1)), (-1, PAST)]
    new = [world.task(priority=priority, due_at=due_at) for priority, due_at in order]
    await tasks.accept(db, random.sample(new, len(new)))

    one_by_one = [(await claim(db, limit=1))[0].id for _ in range(2)]
    rest = [each.id for each in await claim(db)]

    assert one_by_one + rest == [each.id for each in new]


async def test_an_environment_has_no_more_in_progress_than_it_may_whoever_claims(db: Database, world: World) -> None:
    environments = [f"environment-{number}" for number in range(3)]
    await tasks.accept(db, [world.task(environment_id=each) for each in environments for _ in range(20)])

    claimed = await asyncio.gather(*(claim(db, holder=f"i{number}", at_once=5) for number in range(10)))

    assert Counter(each.environment_id for some in claimed for each in some) == dict.fromkeys(environments, 5)
    [one, *_] = (each for some in claimed for each in some)
    [holder] = [f"i{number}" for number, some in enumerate(claimed) if one in some]
    await tasks.settle(db, [TaskSettlement(id=one.id, holder=holder, failure=None)])
    [next_one] = await claim(db, at_once=5)
    assert next_one.environment_id == one.environment_id


async def test_environments_share_what_one_invoker_can_hold(db: Database, world: World) -> None:
    environments = [f"environment-{number}" for number in range(3)]
    await tasks.accept(db, [world.task(environment_id=each) for each in environments for _ in range(20)])

    claimed = await claim(db, limit=6)

    assert Counter(each.environment_id for each in claimed) == dict.fromkeys(environments, 2)


async def test_direct_tasks_take_nobodys_turn(db: Database, world: World) -> None:
    await tasks.begin_direct(db, [world.direct_task() for _ in range(3)])
    await tasks.accept(db, [world.task() for _ in range(3)])

    assert len(await claim(db, at_once=2)) == 2


async def test_a_task_is_made_ready_when_it_is_due_and_not_before(db: Database, world: World) -> None:
    [now] = await tasks.accept(db, [world.task()])
    [later] = await tasks.accept(db, [world.task(due_at=now.created_at + timedelta(seconds=90))])
    await claim(db)

    assert await task_queue.make_ready(db) == 0
    before = await task_queue.waiting(db)
    await db.execute("UPDATE tasks SET due_at = clock_timestamp() WHERE id = $1", later.id)
    due = await task_queue.waiting(db)

    assert before.due_in_s is not None
    assert (before.ready, 80 < before.due_in_s < 90) == (False, True)
    assert due.due_in_s is not None
    assert due.due_in_s <= 0
    assert await task_queue.make_ready(db) == 1
    assert (await task_queue.waiting(db)) == task_queue.Waiting(ready=True, due_in_s=None)
    assert [each.id for each in await claim(db)] == [later.id]


async def test_a_released_task_waits_again_and_only_its_holder_releases_it(db: Database, world: World) -> None:
    await tasks.accept(db, [world.task()])
    [task] = await claim(db)

    assert task.run_id is not None
    assert await task_queue.release(db, "another", [task.run_id]) == []
    assert await task_queue.release(db, HOLDER, [task.run_id]) == [task.id]
    assert await task_queue.release(db, HOLDER, [task.run_id]) == []

    waiting = await world.task_row(task.id)
    assert (waiting.status, waiting.run_id) == (TaskStatus.NEW, None)
    [again] = await claim(db, holder="another")
    assert again.id == task.id


async def test_a_release_that_is_asked_for_again_leaves_a_later_claim_alone(db: Database, world: World) -> None:
    await tasks.accept(db, [world.task()])
    [first] = await claim(db)
    assert first.run_id is not None
    await task_queue.release(db, HOLDER, [first.run_id])
    [again] = await claim(db)
    assert again.id == first.id

    assert await task_queue.release(db, HOLDER, [first.run_id]) == []

    assert (await world.task_row(again.id)).status is TaskStatus.IN_PROGRESS


async def test_what_a_holder_never_heard_of_goes_back_to_the_queue(db: Database, world: World) -> None:
    await tasks.accept(db, [world.task() for _ in range(2)])
    direct = await tasks.begin_direct(db, [world.direct_task()])
    known, unheard_of = await claim(db)
    assert known.run_id is not None

    assert await task_queue.release_all_but(db, HOLDER, [known.run_id]) == [unheard_of.id]

    assert (await world.task_row(known.id)).status is TaskStatus.IN_PROGRESS
    assert (await world.task_row(direct[0].id)).status is TaskStatus.IN_PROGRESS


async def test_a_task_whose_lease_ran_out_is_settled_as_interrupted(db: Database, world: World) -> None:
    await replicas.beat(db, HOLDER, "invoker")
    await tasks.accept(db, [world.task() for _ in range(2)])
    direct = await tasks.begin_direct(db, [world.direct_task(lease_s=-0.1)])
    [lost] = await task_queue.claim(db, holder=HOLDER, lease_s=-0.1, at_once=5, limit=1)
    [_running] = await claim(db)

    assert await task_queue.interrupt_lost(db) == sorted([lost.id, direct[0].id])

    ended = await world.task_row(lost.id)
    assert ended.failure is not None
    assert (ended.status, ended.failure.kind) == (TaskStatus.FAILED, "interrupted")
    assert ended.status_changed_at > lost.status_changed_at
    assert await tasks.settle(db, [TaskSettlement(id=lost.id, holder=HOLDER, failure=None)]) == [None]


async def test_queued_tasks_of_an_invoker_that_fell_silent_are_interrupted(db: Database, world: World) -> None:
    claimed: dict[str, str] = {}
    for holder in ("silent", "never-heard-of", "alive"):
        await tasks.accept(db, [world.task()])
        [task] = await claim(db, holder=holder)
        claimed[holder] = task.id
    await tasks.begin_direct(db, [world.direct_task(holder="an api, which says nothing of itself")])
    for holder in ("silent", "alive"):
        await replicas.beat(db, holder, "invoker")
    assert await task_queue.interrupt_lost(db) == []
    await db.execute("UPDATE tasks SET started_at = started_at - interval '20 s'")
    await db.execute("UPDATE replicas SET seen_at = now() - interval '16 s' WHERE id = 'silent'")

    assert await task_queue.interrupt_lost(db, silent_holders=False) == []
    assert await task_queue.interrupt_lost(db) == sorted([claimed["silent"], claimed["never-heard-of"]])
    assert await task_queue.interrupt_lost(db) == []


async def test_all_tasks_in_progress_are_interrupted_when_nobody_else_is_there(db: Database, world: World) -> None:
    await tasks.accept(db, [world.task() for _ in range(3)])
    running = [each.id for each in await claim(db, limit=2)]
    direct = await tasks.begin_direct(db, [world.direct_task()])

    assert await task_queue.interrupt_all(db) == sorted([*running, direct[0].id])
    assert await task_queue.interrupt_all(db) == []

    assert len(await claim(db)) == 1


async def test_the_load_of_the_queue_counts_what_is_due(db: Database, world: World) -> None:
    assert await task_queue.load(db) == task_queue.Load(waiting=0, in_progress=0, waited_s=0.0)
    await tasks.begin_direct(db, [world.direct_task()])
    [now] = await tasks.accept(db, [world.task()])
    await tasks.accept(db, [world.task(due_at=now.created_at - timedelta(seconds=60), priority=-1)])
    await tasks.accept(db, [world.task(due_at=now.created_at + timedelta(hours=1), priority=9)])
    await claim(db, limit=1)

    load = await task_queue.load(db)

    assert (load.waiting, load.in_progress) == (1, 1)
    assert 60 <= load.waited_s < 120


async def test_cancelling_and_claiming_at_once_has_one_winner_for_each_task(db: Database, world: World) -> None:
    new = await tasks.accept(db, [world.task() for _ in range(30)])

    cancelled, claimed = await asyncio.gather(
        asyncio.gather(*(tasks.cancel(db, world.environment_id, each.id) for each in new)), claim(db)
    )

    assert sum(cancelled) + len(claimed) <= 30
    assert not {each.id for each in claimed} & {each.id for each, gone in zip(new, cancelled, strict=True) if gone}
    assert len(await claim(db)) == 30 - sum(cancelled) - len(claimed)


async def test_what_is_due_is_found_without_reading_a_hundred_thousand_that_are_not(db: Database, world: World) -> None:
    await db.execute(
        """
        INSERT INTO tasks (id, environment_id, function_name, status, due_at, created_at, updated_at, status_changed_at)
        SELECT lpad(to_hex(n), 24, '0'), $1, 'greeter', 'new', now() + make_interval(days => 1, secs => n), now(),
               now(), now()
        FROM generate_series(1, 100000) n
        """,
        world.environment_id,
    )
    await db.execute("ANALYZE tasks")
    moment = await db.fetchval("SELECT now()")
    await tasks.accept(db, [world.task(due_at=moment + timedelta(milliseconds=200)) for _ in range(5)])
    await asyncio.sleep(0.3)

    async with db.transaction() as connection:
        found = await task_queue.waiting(connection)
        made = await task_queue.make_ready(connection)
        await schedules.fire(connection)
        await task_queue.load(connection)
        read = await connection.fetchval(
            "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname = 'tasks'"
        )

    assert found.due_in_s is not None
    assert found.due_in_s <= 0
    assert made == 5
    assert read < 100
    assert len(await claim(db)) == 5


class FrozenDatabase(Database):
    """A way to the database of a process that stops before it commits."""

    done: list[object]

    async def in_transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.transaction() as connection:
            self.done = [await work(connection)]
            await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def test_an_invoker_that_freezes_in_a_claim_does_not_keep_the_others_from_theirs(
    database_url: str, db: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.database.pool._IDLE_TRANSACTION_S", 0.5)
    frozen = await FrozenDatabase.connect(database_url)
    frozen.done = []
    new = await tasks.accept(db, [world.task() for _ in range(3)])
    async with Supervisor() as supervisor:
        supervisor.spawn("frozen", _claim_and_wait(frozen), critical=False)
        await eventually(lambda: frozen.done)
        async with asyncio.timeout(10):
            claimed = await claim(db)
    await frozen.close()

    assert {each.id for each in claimed} == {each.id for each in new}


async def _claim_and_wait(db: Database) -> None:
    await claim(db, holder="frozen")
