from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import structlog

from services.logger import retention, task_counts
from services.logger.ledger import Ledger, LedgerDriftError
from shared.database import executions, idempotency, partitions, tasks
from shared.database.pool import Database
from shared.process import metrics
from tests.integration.database.world import World, failure, success


async def test_partitions_are_there_for_today_and_the_days_ahead(db: Database) -> None:
    await retention.ensure_partitions(db)
    await retention.ensure_partitions(db)

    today = datetime.now(UTC).date()
    assert {partitions.day_of(name) for name in await partitions.partitions(db)} == {
        today + timedelta(days=days) for days in range(3)
    }


async def test_what_is_past_its_time_is_dropped(db: Database, world: World) -> None:
    function = await world.function()
    keyed = world.execution(function, idempotency_key="k")
    await executions.accept(db, [keyed])
    await db.execute("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
    await db.execute("UPDATE deployments SET updated_at = updated_at - interval '8 days'")
    old = datetime.now(UTC).date() - timedelta(days=8)
    await partitions.ensure_days(db, [old])
    canceled, waiting = await tasks.accept(db, [world.task(), world.task()])
    await tasks.cancel(db, world.environment_id, canceled.id)
    await db.execute("UPDATE tasks SET finished_at = finished_at - $1::interval", timedelta(days=8))

    await retention.drop_expired(db, 7)

    assert old not in map(partitions.day_of, await partitions.partitions(db))
    assert await db.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert await db.fetchval("SELECT count(*) FROM deployments") == 0
    assert await executions.find_execution(db, keyed.id) is not None
    assert [row["id"] for row in await db.fetch("SELECT id FROM tasks")] == [waiting.id]


async def test_what_cannot_be_dropped_keeps_nothing_else_from_it(db: Database, world: World) -> None:
    [canceled] = await tasks.accept(db, [world.task()])
    await tasks.cancel(db, world.environment_id, canceled.id)
    await db.execute("UPDATE tasks SET finished_at = finished_at - $1::interval", timedelta(days=8))
    await db.execute("ALTER TABLE idempotency_keys RENAME TO elsewhere")

    with pytest.raises(asyncpg.UndefinedTableError):
        await retention.drop_expired(db, 7)

    assert await db.fetchval("SELECT count(*) FROM tasks") == 0


async def test_what_is_past_its_time_goes_in_batches(db: Database, world: World) -> None:
    function = await world.function()
    await executions.accept(db, [world.execution(function, idempotency_key=f"k{number}") for number in range(5)])
    await db.execute("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")

    assert [await idempotency.forget(db, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def exported() -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("tidemill_ledger")
    }


async def test_the_ledger_is_exported_and_balances(db: Database, world: World) -> None:
    one, two = await world.function("one"), await world.function("two")
    ids = await world.running(one, 3)
    await executions.settle(db, [success(ids[0]), failure(ids[1])])
    [called_off, _] = await world.accepted(two, 2)
    await executions.cancel(db, called_off)
    ledger = Ledger(db)

    await ledger.export()

    assert await ledger.check() is None
    assert exported() == {
        'tidemill_ledger_executions{state="accepted"}': 5.0,
        'tidemill_ledger_executions{state="queued"}': 1.0,
        'tidemill_ledger_executions{state="running"}': 1.0,
        'tidemill_ledger_executions{state="completed"}': 1.0,
        'tidemill_ledger_executions{state="failed"}': 1.0,
        'tidemill_ledger_executions{state="cancelled"}': 1.0,
        "tidemill_ledger_drift": 0.0,
    }


async def test_a_lost_execution_shows_as_drift_and_fails_the_check_until_it_is_found(
    db: Database, world: World
) -> None:
    one, two = await world.function("one"), await world.function("two")
    await world.accepted(one, 3)
    [lost] = await world.accepted(two)
    ledger = Ledger(db)
    await db.execute("DELETE FROM executions WHERE id = $1", lost)
    # Another function's surplus must not hide it.
    await db.execute("UPDATE function_stats SET accepted = accepted - 1 WHERE function_id = $1", one.id)

    with structlog.testing.capture_logs() as said:
        await ledger.export()

    assert exported()["tidemill_ledger_drift"] == 2.0
    assert said[0]["functions"] == {two.id: 1, one.id: -1}
    with pytest.raises(LedgerDriftError, match=two.id):
        await ledger.check()
    await db.execute("UPDATE function_stats SET accepted = accepted - 1 WHERE function_id = $1", two.id)
    await db.execute("UPDATE function_stats SET accepted = accepted + 1 WHERE function_id = $1", one.id)

    await ledger.export()

    assert exported()["tidemill_ledger_drift"] == 0.0
    assert await ledger.check() is None


async def test_what_waits_in_the_queue_of_tasks_is_exported(db: Database, world: World) -> None:
    await tasks.accept(db, [world.task() for _ in range(3)])

    await task_counts.export(db)

    lines = metrics.render().decode().splitlines()
    assert 'tidemill_tasks{state="waiting"} 3.0' in lines
    assert 'tidemill_tasks{state="in_progress"} 0.0' in lines
