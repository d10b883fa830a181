import asyncio

import pytest

from shared.bus.bus import Delivery, Reject
from shared.bus.delivery import Disposition, Fate, InFlight, dispose, pause_s
from shared.domain.errors import InternalError
from shared.messages.messages import RunExecution, Work

WORK = RunExecution(execution_id="e", function_id="f")


@pytest.mark.parametrize(
    ("error", "disposition"),
    [
        (None, Disposition(Fate.DONE)),
        (Reject("gone"), Disposition(Fate.DEAD, "rejected: gone")),
        (RuntimeError("not now"), Disposition(Fate.AGAIN)),
        (TimeoutError(), Disposition(Fate.AGAIN)),
    ],
)
async def test_a_handler_ends_in_exactly_one_disposition(error: Exception | None, disposition: Disposition) -> None:
    async def handle(_work: Work, _delivery: Delivery) -> None:
        if error is not None:
            raise error

    assert await dispose(handle, WORK, Delivery(), limit=3) == disposition


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (InternalError("the store lost it"), "internal.unexpected: the store lost it"),
        (RuntimeError("s3cr3t"), "RuntimeError"),
    ],
)
async def test_what_fails_past_the_limit_is_dead_and_says_what_it_failed_of(error: Exception, cause: str) -> None:
    async def handle(_work: Work, _delivery: Delivery) -> None:
        raise error

    assert await dispose(handle, WORK, Delivery(count=3), limit=3) == Disposition(Fate.AGAIN)
    assert await dispose(handle, WORK, Delivery(count=4), limit=3) == Disposition(Fate.DEAD, f"delivery_limit: {cause}")


async def test_cancellation_gives_no_disposition() -> None:
    async def handle(_work: Work, _delivery: Delivery) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await dispose(handle, WORK, Delivery(), limit=3)


def test_pauses_grow_up_to_a_bound() -> None:
    assert [pause_s(attempt, 0.5) for attempt in (1, 2, 3, 4)] == [0.5, 2.0, 8.0, 10.0]
    assert pause_s(10_000, 0.5) == 10.0


async def test_drained_waits_for_the_last_even_when_another_begins_at_once() -> None:
    in_flight = InFlight(1)
    in_flight.enter()
    assert in_flight.full
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(in_flight.drained())
        await asyncio.sleep(0)
        in_flight.leave()
        in_flight.enter()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not draining.done()
        in_flight.leave()

    assert not in_flight.full


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_in_flight_at_all_is_not_a_limit(limit: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        InFlight(limit)
