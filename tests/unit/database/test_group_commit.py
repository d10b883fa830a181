import asyncio
from collections.abc import Sequence

import pytest

from shared.database.group_commit import GroupCommit
from shared.domain.errors import UnavailableError
from tests.support.eventually import eventually


class Row(int):
    """A row that is as large as its number."""

    @property
    def size_bytes(self) -> int:
        return self


class Table:
    """Commits when it is let to; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def flush(self, rows: Sequence[Row]) -> list[str]:
        self.batches.append(list(rows))
        await self.open.wait()
        if 13 in rows:
            raise ValueError("13")
        return [f"kept {row}" for row in rows]


async def test_rows_that_arrive_during_a_commit_go_together_in_the_next_one() -> None:
    table = Table()
    group = GroupCommit(table.flush)
    async with asyncio.TaskGroup() as tasks:
        results = [tasks.create_task(group.submit(Row(1)))]
        await eventually(lambda: table.batches == [[1]])
        results += [tasks.create_task(group.submit(Row(row))) for row in (2, 3, 4)]
        await asyncio.sleep(0)
        table.open.set()

    assert table.batches == [[1], [2, 3, 4]]
    assert [result.result() for result in results] == ["kept 1", "kept 2", "kept 3", "kept 4"]


async def test_rows_of_one_turn_of_the_loop_are_one_batch() -> None:
    table = Table()
    table.open.set()
    group = GroupCommit(table.flush)

    await asyncio.gather(*(group.submit(Row(row)) for row in range(5)))

    assert table.batches == [[0, 1, 2, 3, 4]]


async def test_a_batch_is_never_larger_than_its_bound() -> None:
    table = Table()
    table.open.set()
    group = GroupCommit(table.flush, max_batch=2)

    await asyncio.gather(*(group.submit(Row(row)) for row in range(5)))

    assert table.batches == [[0, 1], [2, 3], [4]]


async def test_large_rows_go_in_small_batches_and_a_very_large_one_alone() -> None:
    table = Table()
    table.open.set()
    group = GroupCommit(table.flush, max_bytes=10)

    await asyncio.gather(*(group.submit(Row(size)) for size in (6, 4, 1, 99, 5, 5)))

    assert table.batches == [[6, 4], [1], [99], [5, 5]]


async def test_a_batch_that_fails_fails_its_rows_and_no_others() -> None:
    table = Table()
    table.open.set()
    group = GroupCommit(table.flush, max_batch=2)

    results = await asyncio.gather(*(group.submit(Row(row)) for row in (1, 13, 2)), return_exceptions=True)

    assert [str(result) for result in results] == ["13", "13", "kept 2"]


async def test_too_many_waiting_rows_are_refused_at_once() -> None:
    table = Table()
    group = GroupCommit(table.flush, max_batch=1, max_waiting=2)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(group.submit(Row(1)))
        await eventually(lambda: table.batches == [[1]])
        for row in (2, 3):
            tasks.create_task(group.submit(Row(row)))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await group.submit(Row(4))
        table.open.set()

    assert table.batches == [[1], [2], [3]]


async def test_waiting_rows_that_are_too_large_together_are_refused_at_once() -> None:
    table = Table()
    group = GroupCommit(table.flush, max_batch=1, max_waiting_bytes=10)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(group.submit(Row(99)))
        await eventually(lambda: table.batches == [[99]])
        for row in (6, 4):
            tasks.create_task(group.submit(Row(row)))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await group.submit(Row(1))
        table.open.set()
    assert await group.submit(Row(11)) == "kept 11"

    assert table.batches == [[99], [6], [4], [11]]


async def test_a_submitter_that_gives_up_does_not_call_back_the_batch_of_the_others() -> None:
    table = Table()
    group = GroupCommit(table.flush)
    async with asyncio.TaskGroup() as tasks:
        impatient = tasks.create_task(group.submit(Row(1)))
        patient = tasks.create_task(group.submit(Row(2)))
        await eventually(lambda: table.batches == [[1, 2]])
        impatient.cancel()
        await asyncio.wait([impatient])
        table.open.set()

    assert patient.result() == "kept 2"


async def test_a_row_whose_submitter_gave_up_before_it_left_is_not_committed() -> None:
    table = Table()
    group = GroupCommit(table.flush)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(group.submit(Row(1)))
        await eventually(lambda: table.batches == [[1]])
        impatient = tasks.create_task(group.submit(Row(2)))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        tasks.create_task(group.submit(Row(3)))
        await asyncio.sleep(0)
        table.open.set()

    assert table.batches == [[1], [3]]


async def test_two_batches_may_be_on_their_way_when_that_is_allowed() -> None:
    table = Table()
    group = GroupCommit(table.flush, max_batch=1, max_in_flight=2)
    async with asyncio.TaskGroup() as tasks:
        for row in (1, 2, 3):
            tasks.create_task(group.submit(Row(row)))
        await eventually(lambda: table.batches == [[1], [2]])
        table.open.set()

    assert table.batches == [[1], [2], [3]]


async def test_closing_leaves_nobody_waiting() -> None:
    table = Table()
    group = GroupCommit(table.flush, max_batch=1)
    submitters = [asyncio.ensure_future(group.submit(Row(row))) for row in (1, 2)]  # noqa: TID251 - awaited below
    await eventually(lambda: table.batches == [[1]])

    await group.close()

    done, waiting = await asyncio.wait(submitters, timeout=1.0)
    assert not waiting
    assert all(each.cancelled() for each in done)
    with pytest.raises(UnavailableError):
        await group.submit(Row(3))
