from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.database import executions, functions
from shared.database.pool import Database
from shared.domain.execution import ExecutionKind, ExecutionStatus
from shared.domain.ids import new_record_id
from tests.integration.database.world import FAILURE, World, line, now_ms, success


async def test_a_finished_run_is_recorded_whole(db: Database, world: World) -> None:
    function = await world.function()
    event = world.finished(function, lines=(line("hi"),), dropped_log_lines=2, params='{"a":1}', duration_ms=7.6)

    assert await executions.insert_finished(db, [event]) == 1

    kept = await executions.find_execution(db, event.execution_id)
    assert kept is not None
    assert (kept.kind, kept.status, kept.params) == (ExecutionKind.NEO, ExecutionStatus.COMPLETED, b'{"a":1}')
    assert (kept.result, kept.result_defined, kept.failure) == (b'{"ok":true}', True, None)
    assert kept.started_at == datetime.fromtimestamp(event.started_at_ms / 1000, UTC)
    assert kept.finished_at == datetime.fromtimestamp(event.finished_at_ms / 1000, UTC)
    assert (kept.duration_ms, kept.timings) == (8, event.timings)
    assert (kept.log_lines, kept.dropped_log_lines) == (1, 2)


async def test_a_record_that_comes_again_changes_nothing_and_is_not_counted_again(db: Database, world: World) -> None:
    function = await world.function()
    one, two = (world.finished(function) for _ in range(2))

    assert await executions.insert_finished(db, [one, one]) == 1
    assert await executions.insert_finished(db, [two, replace(one, status="failed", failure=FAILURE)]) == 1

    stats = await functions.function_stats(db, function.id)
    assert (stats.completed, stats.failed) == (2, 0)
    assert [row.accepted for row in await executions.ledger(db)] == [2]
    assert all(row.drift == 0 for row in await executions.ledger(db))


async def test_what_a_function_did_with_nul_and_surrogates_is_stored_readably(db: Database, world: World) -> None:
    function = await world.function()
    failure = replace(FAILURE, message="nul \0, half \ud800")
    event = world.finished(
        function, status="failed", result=None, result_defined=False, failure=failure, params='{"a":"\0"}'
    )

    await executions.insert_finished(db, [event])

    kept = await executions.find_execution(db, event.execution_id)
    assert kept is not None
    assert kept.failure == replace(FAILURE, message="nul \ufffd, half \ufffd")
    assert kept.params == '{"a":"\ufffd"}'.encode()


async def test_an_unknown_or_malformed_id_finds_nothing(db: Database) -> None:
    assert await executions.find_execution(db, new_record_id()) is None
    assert await executions.find_execution(db, "exec_0\0'") is None


async def test_the_list_is_newest_first_in_pages_that_do_not_overlap(db: Database, world: World) -> None:
    function, other = await world.function("one"), await world.function("other")
    events = [world.finished(function) for _ in range(5)]
    await executions.insert_finished(db, [*events, world.finished(other)])

    pages = [
        await executions.list_executions(db, function.id, ExecutionKind.NEO, limit=2, offset=offset)
        for offset in (0, 2, 4, 6)
    ]

    assert [total for _, total in pages] == [5, 5, 5, 5]
    assert [each.id for page, _ in pages for each in page] == [each.execution_id for each in events[::-1]]


async def test_the_list_tells_whether_there_is_a_result_without_carrying_it(db: Database, world: World) -> None:
    function = await world.function()
    with_result = world.finished(function, result="[" + "1," * 100_000 + "1]")
    without = world.finished(function, status="failed", result=None, result_defined=False, failure=FAILURE)
    await executions.insert_finished(db, [with_result, without])

    listed, _ = await executions.list_executions(db, function.id, ExecutionKind.NEO)

    assert [(each.id, each.result) for each in listed] == [
        (without.execution_id, None),
        (with_result.execution_id, b""),
    ]


async def test_the_list_is_filtered_by_kind_status_and_start(db: Database, world: World) -> None:
    function = await world.function()
    start = now_ms()
    neo = world.finished(function, started_at_ms=start)
    failed = world.finished(
        function, started_at_ms=start + 60_000, status="failed", result=None, result_defined=False, failure=FAILURE
    )
    task = world.finished(function, kind="task", started_at_ms=start + 120_000)
    await executions.insert_finished(db, [neo, failed, task])
    [queued] = await world.accepted(function)
    moment = datetime.fromtimestamp(start / 1000, UTC)

    async def ids(kind: ExecutionKind = ExecutionKind.NEO, **wanted: Any) -> set[str]:
        listed, total = await executions.list_executions(db, function.id, kind, **wanted)
        assert total == len(listed)
        return {each.id for each in listed}

    assert await ids(ExecutionKind.TASK) == {task.execution_id}
    assert await ids(status=[ExecutionStatus.FAILED]) == {failed.execution_id}
    assert await ids(status=[ExecutionStatus.QUEUED, ExecutionStatus.RUNNING]) == {queued}
    assert await ids(status=[]) == set()
    assert await ids(status=[ExecutionStatus.QUEUED]) == {queued}
    assert await ids(status=[ExecutionStatus.COMPLETED]) == {neo.execution_id}
    assert await ids() == {neo.execution_id, failed.execution_id, queued}
    assert await ids(start=moment + timedelta(seconds=60)) == {failed.execution_id}
    assert await ids(ExecutionKind.TASK, start=moment + timedelta(seconds=60)) == {task.execution_id}
    assert await ids(end=moment, status=[ExecutionStatus.COMPLETED]) == {neo.execution_id}
    assert await ids(start=moment + timedelta(days=1)) == set()


async def test_a_recorded_run_and_a_settled_one_are_counted_together(db: Database, world: World) -> None:
    function = await world.function()
    await executions.insert_finished(db, [world.finished(function)])
    [execution_id] = await world.running(function)
    await executions.settle(db, [success(execution_id)])

    [row] = await executions.ledger(db)

    assert (row.accepted, row.completed, row.drift) == (2, 2, 0)
