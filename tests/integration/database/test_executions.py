import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.database import executions, functions, replicas
from shared.database.executions import Dispatch, NewExecution, PutOff
from shared.database.pool import Database
from shared.domain.execution import ExecutionStatus
from shared.domain.ids import new_function_id, new_record_id
from shared.domain.outcome import Failure, Timings
from tests.integration.database.world import FAILURE, HOLDER, World, claim, failure, ledger_of, success

REFUSAL = Failure(kind="refused", name="function.not_found", message="gone")


def just_sent(execution_id: str) -> Dispatch:
    return Dispatch(execution_id=execution_id, function_id="func_0123456789", revision=1)


async def test_an_accepted_execution_is_on_disk_and_queued(db: Database, world: World) -> None:
    function = await world.function()
    new = world.execution(function, params='{"ü":"\\u0000"}'.encode(), created_by_user="u", created_by_application="a")

    [accepted] = await executions.accept(db, [new])

    kept = await executions.find_execution(db, new.id)
    assert kept is not None
    assert (accepted.id, accepted.is_new, accepted.accepted_at) == (new.id, True, kept.accepted_at)
    assert (kept.status, kept.params, kept.version_id) == (ExecutionStatus.QUEUED, new.params, function.version.id)
    assert await ledger_of(db, function.id) == {"accepted": 1, "queued": 1}


async def test_a_batch_is_answered_in_its_order(db: Database, world: World) -> None:
    function = await world.function()
    batch = [world.execution(function) for _ in range(20)]
    random.shuffle(batch)

    accepted = await executions.accept(db, batch)

    assert [each.id for each in accepted] == [each.id for each in batch]
    assert await ledger_of(db, function.id) == {"accepted": 20, "queued": 20}


async def test_an_idempotency_key_gives_the_first_execution_for_a_day(db: Database, world: World) -> None:
    function = await world.function()
    first, again, other = (world.execution(function, idempotency_key=key) for key in ("k", "k", "other"))
    [kept] = await executions.accept(db, [first])

    again_kept, other_kept = await executions.accept(db, [again, other])

    assert (again_kept.id, again_kept.is_new, again_kept.accepted_at) == (first.id, False, kept.accepted_at)
    assert (other_kept.id, other_kept.is_new) == (other.id, True)
    assert await executions.find_execution(db, again.id) is None
    assert await ledger_of(db, function.id) == {"accepted": 2, "queued": 2}


async def test_an_idempotency_key_is_free_again_after_a_day(db: Database, world: World) -> None:
    function = await world.function()
    first, later = (world.execution(function, idempotency_key="k") for _ in range(2))
    await executions.accept(db, [first])
    await db.execute(
        "UPDATE idempotency_keys SET created_at = created_at - $1::interval", timedelta(hours=24, seconds=1)
    )

    [kept] = await executions.accept(db, [later])

    assert (kept.id, kept.is_new) == (later.id, True)
    assert await ledger_of(db, function.id) == {"accepted": 2, "queued": 2}


async def test_an_idempotency_key_counts_in_one_environment_only(db: Database, world: World) -> None:
    function = await world.function()
    here = world.execution(function, idempotency_key="k")
    elsewhere = world.execution(function, idempotency_key="k", environment_id="another")

    assert [each.is_new for each in await executions.accept(db, [here, elsewhere])] == [True, True]


async def test_an_idempotency_key_may_be_long_and_odd(db: Database, world: World) -> None:
    function = await world.function()
    keys = ["k" * 500, "k" * 501, "k" * 100_000, "nul \0", "half \ud800", "ü" * 500, ""]

    first = await executions.accept(db, [world.execution(function, idempotency_key=key) for key in keys])
    again = await executions.accept(db, [world.execution(function, idempotency_key=key) for key in keys])

    assert len({each.id for each in first}) == len(keys)
    assert [each.id for each in again] == [each.id for each in first]


async def test_an_idempotency_key_used_by_many_at_once_makes_one_execution(db: Database, world: World) -> None:
    function = await world.function()
    batches = [[world.execution(function, idempotency_key=f"k{number}") for number in range(3)] * 2 for _ in range(8)]

    answers = await asyncio.gather(*(executions.accept(db, batch) for batch in batches))

    assert len({each.id for answer in answers for each in answer}) == 3
    assert sum(each.is_new for answer in answers for each in answer[:3]) == 3
    assert await ledger_of(db, function.id) == {"accepted": 3, "queued": 3}


async def test_batches_over_the_same_functions_in_any_order_do_not_fail_each_other(db: Database, world: World) -> None:
    made = [await world.function(f"f{number}") for number in range(5)]

    def batch() -> list[NewExecution]:
        return [world.execution(function) for function in random.sample(made, len(made))]

    await asyncio.gather(*(executions.accept(db, batch()) for _ in range(20)))

    assert [await ledger_of(db, function.id) for function in made] == [{"accepted": 20, "queued": 20}] * 5


async def test_claiming_gives_an_execution_to_one_claimer(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.accepted(function)

    answers = await asyncio.gather(*(executions.claim(db, [claim(execution_id, f"i{n}")]) for n in range(5)))

    [claimed] = [each for answer in answers for each in answer if each is not None]
    assert (claimed.id, claimed.function_id, claimed.params) == (execution_id, function.id, b'{"n":1}')
    assert await ledger_of(db, function.id) == {"accepted": 1, "running": 1}


async def test_a_batch_with_two_claims_of_one_execution_gives_it_once(db: Database, world: World) -> None:
    function = await world.function()
    one, two = await world.accepted(function, 2)
    unknown = new_record_id()

    claimed = await executions.claim(db, [claim(two), claim(one), claim(two), claim(unknown)])

    assert [each and each.id for each in claimed] == [two, one, None, None]


async def test_a_settled_execution_has_its_result_and_is_counted(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.running(function)

    settled = await executions.settle(
        db, [success(execution_id, result=b'{"a":"\\u0000"}', duration_ms=12.4, log_lines=3, dropped_log_lines=1)]
    )

    kept = await executions.find_execution(db, execution_id)
    assert kept is not None
    assert settled == [True]
    assert (kept.status, kept.result, kept.result_defined) == (ExecutionStatus.COMPLETED, b'{"a":"\\u0000"}', True)
    assert (kept.duration_ms, kept.log_lines, kept.dropped_log_lines) == (12, 3, 1)
    assert kept.timings == Timings(handler_ms=5.0)
    assert kept.started_at is not None
    assert kept.finished_at is not None
    assert kept.accepted_at <= kept.started_at <= kept.finished_at
    assert await ledger_of(db, function.id) == {"accepted": 1, "completed": 1}


async def test_a_failed_execution_keeps_why(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.running(function)

    await executions.settle(db, [failure(execution_id)])

    kept = await executions.find_execution(db, execution_id)
    assert kept is not None
    assert (kept.status, kept.failure, kept.result) == (ExecutionStatus.FAILED, FAILURE, None)
    assert await ledger_of(db, function.id) == {"accepted": 1, "failed": 1}


async def test_only_the_holder_of_the_lease_settles_and_only_once(db: Database, world: World) -> None:
    function = await world.function()
    mine, others = await world.running(function, 2)
    [queued] = await world.accepted(function)

    assert await executions.settle(db, [success(others, "thief"), success(mine), success(queued)]) == [
        False,
        True,
        False,
    ]
    assert await executions.settle(db, [success(mine), failure(mine)]) == [False, False]
    assert await ledger_of(db, function.id) == {"accepted": 3, "running": 1, "completed": 1, "queued": 1}


async def test_an_execution_that_cannot_start_is_refused_from_the_queue_only(db: Database, world: World) -> None:
    function = await world.function()
    [queued] = await world.accepted(function)
    [running] = await world.running(function)

    assert await executions.refuse(db, queued, REFUSAL)
    assert not await executions.refuse(db, queued, REFUSAL)
    assert not await executions.refuse(db, running, REFUSAL)
    assert not await executions.refuse(db, new_record_id(), REFUSAL)

    kept = await executions.find_execution(db, queued)
    assert kept is not None
    assert (kept.status, kept.failure) == (ExecutionStatus.FAILED, REFUSAL)
    assert await ledger_of(db, function.id) == {"accepted": 2, "running": 1, "failed": 1}


async def test_only_a_queued_execution_can_be_called_off(db: Database, world: World) -> None:
    function = await world.function()
    [queued] = await world.accepted(function)
    [running] = await world.running(function)

    assert await executions.cancel(db, queued)
    assert not await executions.cancel(db, queued)
    assert not await executions.cancel(db, running)

    assert await executions.claim(db, [claim(queued)]) == [None]
    assert await ledger_of(db, function.id) == {"accepted": 2, "running": 1, "cancelled": 1}


async def test_executions_never_dispatched_are_found_after_a_while_once(db: Database, world: World) -> None:
    function = await world.function()
    ids = await world.accepted(function, 5)
    assert await executions.undispatched(db, 10) == []
    await db.execute("UPDATE executions SET accepted_at = accepted_at - interval '3 s'")

    found = await asyncio.gather(*(executions.undispatched(db, 2) for _ in range(4)))

    assert sorted(each.execution_id for batch in found for each in batch) == sorted(ids)
    assert {(each.function_id, each.revision) for batch in found for each in batch} == {
        (function.id, function.revision)
    }
    assert await executions.undispatched(db, 10) == []


async def test_executions_dispatched_long_ago_and_still_queued_are_sent_again(db: Database, world: World) -> None:
    function = await world.function()
    old, _recent = await world.accepted(function, 2)
    [running] = await world.running(function)
    await executions.mark_dispatched(db, [just_sent(each) for each in (old, _recent, running)])
    await db.execute(
        "UPDATE executions SET dispatched_at = now() - interval '16 min' WHERE id = ANY($1::text[])", [old, running]
    )

    assert [each.execution_id for each in await executions.undispatched(db, 10)] == [old]


async def test_after_the_bus_is_gone_every_queued_execution_is_sent_again(db: Database, world: World) -> None:
    function = await world.function()
    queued = await world.accepted(function, 2)
    [running] = await world.running(function)
    await executions.mark_dispatched(db, [just_sent(each) for each in (*queued, running)])
    await db.execute("UPDATE executions SET accepted_at = accepted_at - interval '3 s'")

    await executions.undispatch_all(db)

    assert [each.execution_id for each in await executions.undispatched(db, 10)] == sorted(queued)


async def test_a_stamp_does_not_cover_an_execution_that_was_put_off_meanwhile(db: Database, world: World) -> None:
    [execution_id] = await world.accepted(await world.function())

    row = PutOff(id=execution_id, holder=HOLDER)

    await executions.put_off(db, [row], due_in_s=0)
    await executions.mark_dispatched(db, [just_sent(execution_id)])
    [again] = await executions.undispatched(db, 10)
    await executions.put_off(db, [row], due_in_s=0)
    await executions.mark_dispatched(db, [again])

    assert [each.execution_id for each in await executions.undispatched(db, 10)] == [execution_id]


async def test_an_execution_names_the_version_that_ran(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.accepted(function)

    await executions.claim(db, [replace(claim(execution_id), version_id="f" * 24)])

    found = await executions.find_execution(db, execution_id)
    assert found is not None
    assert found.version_id == "f" * 24


@pytest.mark.parametrize("seed", range(3))
async def test_the_ledger_balances_whatever_is_done_at_once(db: Database, world: World, seed: int) -> None:
    chance = random.Random(seed)
    made = [await world.function(f"f{number}") for number in range(3)]
    await replicas.beat(db, HOLDER, "invoker")

    async def life() -> None:
        batch = [world.execution(chance.choice(made)) for _ in range(chance.randint(1, 6))]
        ids = [each.id for each in await executions.accept(db, batch)]
        await executions.mark_dispatched(db, [just_sent(each) for each in ids])
        for execution_id in ids:
            match chance.choice(["leave", "refuse", "cancel", "claim", "expire", "settle", "fail", "settle twice"]):
                case "refuse":
                    await executions.refuse(db, execution_id, REFUSAL)
                case "cancel":
                    await executions.cancel(db, execution_id)
                case "claim":
                    await executions.claim(db, [claim(execution_id)])
                case "expire":
                    await executions.claim(db, [claim(execution_id, lease_s=-1)])
                    await executions.interrupt_lost(db)
                case "settle" | "fail" | "settle twice" as how:
                    await executions.claim(db, [claim(execution_id)])
                    ends = [failure(execution_id) if how == "fail" else success(execution_id)]
                    await asyncio.gather(*(executions.settle(db, ends) for _ in range(1 + how.endswith("twice"))))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(15):
            tasks.create_task(life())
        for _ in range(10):
            assert all(row.drift == 0 for row in await executions.ledger(db))
            await asyncio.sleep(0.01)

    assert sum(row.accepted for row in await executions.ledger(db)) == await db.fetchval(
        "SELECT count(*) FROM executions"
    )
    assert all(row.drift == 0 for row in await executions.ledger(db))


async def test_the_ledger_and_the_counts_outlive_the_records(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.running(function)
    await executions.settle(db, [success(execution_id)])
    await db.execute("TRUNCATE executions")

    assert await ledger_of(db, function.id) == {"accepted": 1, "completed": 1}
    stats = await functions.function_stats(db, function.id)
    assert (stats.completed, stats.last_24_hours, stats.mean_duration_ms) == (1, 0, 5)
    assert stats.last_invocation is not None


async def test_a_function_that_was_never_run_has_no_stats(db: Database) -> None:
    stats = await functions.function_stats(db, new_function_id())

    assert (stats.completed, stats.failed, stats.last_24_hours, stats.mean_duration_ms) == (0, 0, 0, 0)
    assert stats.last_invocation is None


async def test_stats_count_ends_and_average_durations_and_a_running_one_is_the_last_invocation(
    db: Database, world: World
) -> None:
    function = await world.function()
    ids = await world.running(function, 4)
    await executions.settle(
        db, [success(each, duration_ms=duration) for each, duration in zip(ids[:3], (10, 20, 33), strict=True)]
    )
    await executions.settle(db, [failure(ids[3])])
    [going_on] = await world.running(function)

    stats = await functions.function_stats(db, function.id)

    kept = await executions.find_execution(db, going_on)
    assert kept is not None
    assert (stats.completed, stats.failed, stats.last_24_hours) == (3, 1, 4)
    assert stats.mean_duration_ms == round((10 + 20 + 33 + 5) / 4)
    assert stats.last_invocation == kept.started_at
