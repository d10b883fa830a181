import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest

from shared.database import task_queue, tasks
from shared.database.pool import Database
from shared.database.tasks import Retry, TaskSettlement
from shared.domain.ids import new_record_id
from shared.domain.outcome import Failure, Timings
from shared.domain.task import Task, TaskStatus
from tests.integration.database.world import FAILURE, HOLDER, World


async def claimed(db: Database, world: World, **changes: Any) -> Task:
    await tasks.accept(db, [world.task(**changes)])
    [task] = await task_queue.claim(db, holder=HOLDER, lease_s=60.0, at_once=5, limit=1)
    return task


async def test_an_accepted_task_is_kept_as_it_was_given(db: Database, world: World) -> None:
    due_at = datetime(2100, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    new = world.task(
        data='{"who":"Bö","n":[1,2.5,null]}'.encode(),
        tags=("nightly", "ü", 'with "quotes" and , commas', ""),
        priority=-9_007_199_254_740_991,
        due_at=due_at,
        created_by_user="u",
        created_by_application="a",
    )

    [task] = await tasks.accept(db, [new])

    assert task == await world.task_row(new.id)
    assert (task.status, task.direct, task.due_at, task.priority) == (TaskStatus.NEW, False, due_at, new.priority)
    assert (task.tags, orjson.loads(task.data or b"")) == (new.tags, {"who": "Bö", "n": [1, 2.5, None]})
    assert (task.created_by_user, task.created_by_application) == ("u", "a")
    assert task.created_at == task.updated_at == task.status_changed_at
    assert (task.retry_for, task.retried_by, task.run_id, task.failure) == ((), None, None, None)


async def test_a_task_without_a_time_is_due_at_once_to_the_millisecond(db: Database, world: World) -> None:
    [task] = await tasks.accept(db, [world.task()])

    assert task.due_at == task.created_at
    assert task.due_at.microsecond % 1000 == 0
    assert task.data is None
    assert (await task_queue.waiting(db)).ready


async def test_a_batch_is_answered_in_its_order(db: Database, world: World) -> None:
    batch = [world.task(priority=number) for number in range(20)]
    random.shuffle(batch)

    kept = await tasks.accept(db, batch)

    assert [(each.id, each.priority) for each in kept] == [(each.id, each.priority) for each in batch]


async def test_an_idempotency_key_gives_the_first_task_as_it_is_now(db: Database, world: World) -> None:
    first, again, other = (world.task(idempotency_key=key) for key in ("k", "k", "other"))
    plain = world.task()
    await tasks.accept(db, [first])
    await tasks.cancel(db, world.environment_id, first.id)

    kept = await tasks.accept(db, [plain, again, other])

    assert [(each.id, each.status) for each in kept] == [
        (plain.id, TaskStatus.NEW),
        (first.id, TaskStatus.CANCELED),
        (other.id, TaskStatus.NEW),
    ]
    assert await tasks.find_task(db, world.environment_id, again.id) is None


async def test_an_idempotency_key_of_a_task_is_free_again_after_a_day(db: Database, world: World) -> None:
    first, later = (world.task(idempotency_key="k") for _ in range(2))
    await tasks.accept(db, [first])
    await db.execute("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours 1 second'")

    assert [each.id for each in await tasks.accept(db, [later])] == [later.id]


async def test_an_idempotency_key_of_a_task_counts_in_one_environment_only(db: Database, world: World) -> None:
    batch = [world.task(idempotency_key="k"), world.task(idempotency_key="k", environment_id="another")]

    assert [each.id for each in await tasks.accept(db, batch)] == [each.id for each in batch]


async def test_an_idempotency_key_used_by_many_at_once_makes_one_task(db: Database, world: World) -> None:
    batches = [[world.task(idempotency_key=f"k{number}") for number in range(3)] * 2 for _ in range(8)]
    for batch in batches:
        random.shuffle(batch)

    answers = await asyncio.gather(*(tasks.accept(db, batch) for batch in batches))

    key_of = {each.id: each.idempotency_key for batch in batches for each in batch}
    for batch, answer in zip(batches, answers, strict=True):
        assert [key_of[each.id] for each in answer] == [each.idempotency_key for each in batch]
    made = {row["id"] for row in await db.fetch("SELECT id FROM tasks")}
    assert len(made) == 3
    assert {each.id for answer in answers for each in answer} == made


async def test_a_batch_with_a_key_is_kept_whole_or_not_at_all(db: Database, world: World) -> None:
    taken = world.task()
    await tasks.accept(db, [taken])
    keyed = world.task(idempotency_key="k")

    with pytest.raises(asyncpg.UniqueViolationError):
        await tasks.accept(db, [keyed, taken])

    [kept] = await tasks.accept(db, [world.task(idempotency_key="k")])
    assert kept.id != keyed.id


async def test_a_task_is_found_in_its_own_environment_only(db: Database, world: World) -> None:
    [task] = await tasks.accept(db, [world.task()])

    assert await tasks.find_task(db, "another", task.id) is None
    assert await tasks.find_task(db, world.environment_id, new_record_id()) is None
    assert await tasks.find_task(db, world.environment_id, "no id") is None


async def test_a_waiting_task_is_called_off_once_and_never_runs(db: Database, world: World) -> None:
    [task] = await tasks.accept(db, [world.task()])

    assert not await tasks.cancel(db, "another", task.id)
    assert await tasks.cancel(db, world.environment_id, task.id)
    assert not await tasks.cancel(db, world.environment_id, task.id)

    assert (await world.task_row(task.id)).status is TaskStatus.CANCELED
    assert await task_queue.claim(db, holder=HOLDER, lease_s=60.0, at_once=5, limit=5) == []


async def test_a_task_that_has_begun_cannot_be_called_off(db: Database, world: World) -> None:
    task = await claimed(db, world)

    assert not await tasks.cancel(db, world.environment_id, task.id)


async def test_a_settled_task_tells_how_it_ended(db: Database, world: World) -> None:
    task = await claimed(db, world)
    end = TaskSettlement(
        id=task.id, holder=HOLDER, failure=None, duration_ms=7.5, timings=Timings(handler_ms=7.5), log_lines=3
    )

    [settled] = await tasks.settle(db, [end])

    assert settled is not None
    assert settled == await world.task_row(task.id)
    assert (settled.status, settled.failure, settled.log_lines) == (TaskStatus.COMPLETE, None, 3)
    assert settled.status_changed_at == settled.updated_at >= task.status_changed_at
    assert settled.run_id == task.run_id


async def test_a_failed_task_keeps_its_failure(db: Database, world: World) -> None:
    task = await claimed(db, world)
    odd = Failure(kind="raised", name="Bad\0Name", message="half \ud800 of a pair")

    [settled] = await tasks.settle(db, [TaskSettlement(id=task.id, holder=HOLDER, failure=odd)])

    assert settled is not None
    assert settled.status is TaskStatus.FAILED
    assert settled.failure == Failure(kind="raised", name="Bad\ufffdName", message="half \ufffd of a pair")


async def test_only_the_holder_settles_and_only_once(db: Database, world: World) -> None:
    task = await claimed(db, world)
    end = TaskSettlement(id=task.id, holder=HOLDER, failure=None)

    assert await tasks.settle(db, [TaskSettlement(id=task.id, holder="another", failure=None)]) == [None]
    [settled] = await tasks.settle(db, [end])
    assert settled is not None
    assert await tasks.settle(db, [end]) == [None]


@pytest.mark.parametrize("pause_s", [2.0, 10.0])
async def test_a_retried_task_and_the_one_that_takes_its_place_name_each_other(
    db: Database, world: World, pause_s: float
) -> None:
    first = await claimed(
        db, world, data=b'{"n":1}', tags=("t",), priority=3, created_by_user="u", created_by_application="a"
    )
    retry = Retry(id=new_record_id(), pause_s=pause_s)

    [ended] = await tasks.settle(db, [TaskSettlement(id=first.id, holder=HOLDER, failure=FAILURE, retry=retry)])

    assert ended is not None
    second = await world.task_row(retry.id)
    assert (ended.status, ended.retried_by, ended.failure) == (TaskStatus.RETRIED, second.id, FAILURE)
    assert (second.status, second.retry_for) == (TaskStatus.NEW, (first.id,))
    assert second.due_at - ended.status_changed_at == timedelta(seconds=pause_s)
    for name in ("function_name", "data", "tags", "priority", "created_by_user", "created_by_application"):
        assert getattr(second, name) == getattr(first, name)


async def test_a_retry_names_all_tries_before_it_oldest_first(db: Database, world: World) -> None:
    first = await claimed(db, world)
    expected = [first.id]
    for _ in range(3):
        retry = Retry(id=new_record_id(), pause_s=0.0)
        await tasks.settle(db, [TaskSettlement(id=expected[-1], holder=HOLDER, failure=FAILURE, retry=retry)])
        assert (await world.task_row(retry.id)).retry_for == tuple(expected)
        assert await task_queue.make_ready(db) == 1
        [task] = await task_queue.claim(db, holder=HOLDER, lease_s=60.0, at_once=5, limit=5)
        assert task.id == retry.id
        expected.append(task.id)


async def test_a_direct_task_is_in_progress_from_the_start_and_in_nobodys_turn(db: Database, world: World) -> None:
    new = world.direct_task(data=b'{"n":1}', created_by_user="u", created_by_application="a")

    [task] = await tasks.begin_direct(db, [new])

    kept = await world.task_row(new.id)
    assert (replace(task, data=kept.data), kept.data) == (kept, b'{"n": 1}')
    assert (task.status, task.direct, task.run_id) == (TaskStatus.IN_PROGRESS, True, new.run_id)
    assert (task.tags, task.priority, task.due_at) == ((), 0, task.created_at)
    assert await task_queue.claim(db, holder="another", lease_s=60.0, at_once=5, limit=5) == []
    [settled] = await tasks.settle(db, [TaskSettlement(id=task.id, holder=HOLDER, failure=None)])
    assert settled is not None
    assert settled.status is TaskStatus.COMPLETE


async def test_who_begins_or_ends_a_task_is_not_sent_its_data_at_its_longest(db: Database, world: World) -> None:
    data = orjson.dumps([1e-300] * 1_000)

    [begun] = await tasks.begin_direct(db, [world.direct_task(data=data)])
    [ended] = await tasks.settle(db, [TaskSettlement(id=begun.id, holder=HOLDER, failure=None)])

    assert len((await world.task_row(begun.id)).data or b"") > 40 * len(data)
    assert ended is not None
    assert (begun.data, ended.data) == (None, None)


async def test_ended_tasks_are_forgotten_after_their_time_and_waiting_ones_never(db: Database, world: World) -> None:
    ended = [await claimed(db, world) for _ in range(2)]
    await tasks.settle(db, [TaskSettlement(id=each.id, holder=HOLDER, failure=None) for each in ended])
    canceled, waiting = await tasks.accept(db, [world.task(), world.task()])
    await tasks.cancel(db, world.environment_id, canceled.id)
    running = await tasks.begin_direct(db, [world.direct_task()])
    await db.execute("UPDATE tasks SET created_at = created_at - interval '10 days'")
    await db.execute("UPDATE tasks SET finished_at = now() - interval '31 days' WHERE id <> $1", ended[1].id)
    await db.execute("UPDATE tasks SET finished_at = NULL WHERE status IN ('new', 'inProgress')")

    assert await tasks.forget_ended(db, 30, limit=1) == 1
    assert await tasks.forget_ended(db, 30) == 1
    assert await tasks.forget_ended(db, 30) == 0

    left = {row["id"] for row in await db.fetch("SELECT id FROM tasks")}
    assert left == {ended[1].id, waiting.id, running[0].id}
