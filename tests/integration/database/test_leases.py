"""A running execution has one holder, for as long as its lease lasts and its holder is heard of."""

from dataclasses import replace
from datetime import timedelta

from shared.database import executions, replicas
from shared.database.executions import PutOff
from shared.database.pool import Database
from shared.domain.execution import ExecutionStatus
from tests.integration.database.world import HOLDER, World, age, claim, ledger_of, success


async def test_executions_whose_holder_lives_and_whose_lease_lasts_are_not_interrupted(
    db: Database, world: World
) -> None:
    function = await world.function()
    await world.running(function)
    await age(db, timedelta(seconds=20))
    await replicas.beat(db, HOLDER, "invoker")

    assert await executions.interrupt_lost(db) == []


async def test_an_execution_whose_lease_ran_out_is_interrupted(db: Database, world: World) -> None:
    function = await world.function()
    [execution_id] = await world.accepted(function)
    await replicas.beat(db, HOLDER, "invoker")
    await executions.claim(db, [claim(execution_id, lease_s=-0.1)])

    assert await executions.interrupt_lost(db) == [execution_id]

    kept = await executions.find_execution(db, execution_id)
    assert kept is not None
    assert kept.failure is not None
    assert (kept.status, kept.failure.kind) == (ExecutionStatus.FAILED, "interrupted")
    assert await executions.settle(db, [success(execution_id)]) == [False]
    assert await ledger_of(db, function.id) == {"accepted": 1, "failed": 1}


async def test_executions_of_a_holder_that_fell_silent_are_interrupted(db: Database, world: World) -> None:
    function = await world.function()
    silent = await world.running(function, 2, "silent")
    unknown = await world.running(function, 1, "never-heard-of")
    alive = await world.running(function, 1, "alive")
    for holder in ("silent", "alive"):
        await replicas.beat(db, holder, "invoker")
    await age(db, timedelta(seconds=20))
    await db.execute("UPDATE replicas SET seen_at = now() - interval '16 s' WHERE id = 'silent'")

    assert await executions.interrupt_lost(db) == sorted(silent + unknown)
    assert await executions.interrupt_lost(db) == []
    assert await ledger_of(db, function.id) == {"accepted": 4, "failed": 3, "running": 1}
    assert await executions.settle(db, [success(alive[0], "alive")]) == [True]


async def test_a_holder_that_has_just_claimed_has_time_to_be_heard_of(db: Database, world: World) -> None:
    function = await world.function()
    await world.running(function, 1, "new")

    assert await executions.interrupt_lost(db) == []


async def test_an_execution_that_was_put_off_is_queued_again_and_may_be_claimed_by_another(
    db: Database, world: World
) -> None:
    function = await world.function()
    [execution_id] = await world.running(function)

    others = PutOff(id=execution_id, holder="somebody else")
    own = PutOff(id=execution_id, holder=HOLDER)
    assert await executions.put_off(db, [others], due_in_s=0) == [False]
    assert await executions.put_off(db, [own], due_in_s=0) == [True]

    assert [each.execution_id for each in await executions.undispatched(db, 10)] == [execution_id]
    [claimed] = await executions.claim(db, [claim(execution_id, "another")])
    assert claimed is not None
    [ledger] = await executions.ledger(db)
    assert (ledger.accepted, ledger.queued, ledger.running) == (1, 0, 1)


async def test_a_claim_whose_answer_was_lost_is_taken_up_by_its_holder_alone(db: Database, world: World) -> None:
    [execution_id] = await world.running(await world.function())

    [plain] = await executions.claim(db, [claim(execution_id)])
    [others] = await executions.claim(db, [replace(claim(execution_id, "another"), again=True)])
    [again] = await executions.claim(db, [replace(claim(execution_id), again=True)])

    assert (plain, others) == (None, None)
    assert again is not None


async def test_a_silent_holder_is_spared_when_nobody_could_be_heard(db: Database, world: World) -> None:
    [execution_id] = await world.running(await world.function(), holder="gone")
    await db.execute("UPDATE executions SET started_at = now() - interval '1 minute'")

    assert await executions.interrupt_lost(db, silent_holders=False) == []
    assert await executions.interrupt_lost(db, silent_holders=True) == [execution_id]


async def test_who_is_alone_interrupts_everything_that_runs_and_nothing_else(db: Database, world: World) -> None:
    function = await world.function()
    running = await world.running(function, 3)
    await replicas.beat(db, HOLDER, "invoker")
    await world.accepted(function, 2)

    assert await executions.interrupt_all(db, limit=2) == sorted(running)[:2]
    assert await executions.interrupt_all(db, limit=2) == sorted(running)[2:]
    assert await executions.interrupt_all(db) == []
    assert await ledger_of(db, function.id) == {"accepted": 5, "queued": 2, "failed": 3}
