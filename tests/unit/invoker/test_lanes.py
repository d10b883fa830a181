"""A lane lets quick executions through as they come, and tells at once when it is jammed by slow ones."""

import asyncio

import pytest

from services.invoker.lanes import Lanes
from tests.support.clock import FakeClock


async def test_a_lane_has_as_many_places_as_it_is_wide() -> None:
    lanes = Lanes(width=2, patience_s=0.01, wait_s=3600)

    assert [await lanes.enter("f") for _ in range(3)] == [True, True, False]


async def test_functions_do_not_share_a_lane() -> None:
    lanes = Lanes(width=1, patience_s=0.01, wait_s=3600)

    assert [await lanes.enter("f"), await lanes.enter("g")] == [True, True]


async def test_a_place_given_back_goes_to_whoever_waits_longest() -> None:
    lanes = Lanes(width=1, patience_s=5, wait_s=3600)
    order: list[int] = []

    async def pass_through(number: int) -> None:
        assert await lanes.enter("f")
        order.append(number)
        await asyncio.sleep(0)
        lanes.leave("f")

    await asyncio.gather(*(pass_through(number) for number in range(5)))

    assert order == [0, 1, 2, 3, 4]


async def test_a_jammed_lane_refuses_until_a_run_ends() -> None:
    lanes = Lanes(width=1, patience_s=0.01, wait_s=3600)
    await lanes.enter("f")

    assert not await lanes.enter("f")
    assert lanes.is_jammed("f")
    lanes.leave("f")

    assert not lanes.is_jammed("f")
    assert await lanes.enter("f")


async def test_whoever_waits_is_not_refused_while_the_lane_moves() -> None:
    clock = FakeClock()
    lanes = Lanes(width=1, patience_s=60, wait_s=3600, now=clock.monotonic)
    await lanes.enter("f")

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(lanes.enter("f")) for _ in range(3)]
        for _ in waiting:
            await asyncio.sleep(0)
            clock.advance(50)
            lanes.leave("f")

    assert [task.result() for task in waiting] == [True] * 3


async def test_nobody_waits_longer_than_its_lease_allows_however_the_lane_moves() -> None:
    clock = FakeClock()
    lanes = Lanes(width=1, patience_s=0.05, wait_s=20, now=clock.monotonic)
    await lanes.enter("f")

    async with asyncio.TaskGroup() as group:
        ahead = [group.create_task(lanes.enter("f")) for _ in range(3)]
        last = group.create_task(lanes.enter("f"))
        await asyncio.sleep(0)
        clock.advance(21)
        lanes.leave("f")

    assert [task.result() for task in ahead] == [True, False, False]
    assert not last.result()
    assert not lanes.is_jammed("f")


async def test_whoever_gives_up_while_waiting_takes_no_place_with_it() -> None:
    lanes = Lanes(width=1, patience_s=60, wait_s=3600)
    await lanes.enter("f")

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(lanes.enter("f"))
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        waiting.result()
    lanes.leave("f")

    assert await lanes.enter("f")
