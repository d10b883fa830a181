"""Work that was sent is handled at least once, and ends done or as a dead letter with its true reason."""

import asyncio

import pytest

from shared.bus.bus import Bus, DeadLetter, Delivery, Reject
from shared.domain.errors import InternalError, UnavailableError
from shared.messages.messages import Work
from shared.messages.topology import ASYNC_QUEUE, DEPLOY_QUEUE
from tests.contract.bus.conftest import Make
from tests.contract.bus.messages import a_deployment, a_run
from tests.support.eventually import eventually


class Handler:
    """Remembers what it was given; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0, error: Exception | None = None) -> None:
        self.seen: list[Work] = []
        self.counts: list[int] = []
        self._failures, self._error = failures, error or RuntimeError("not now")

    async def __call__(self, work: Work, delivery: Delivery) -> None:
        self.seen.append(work)
        self.counts.append(delivery.count)
        if len(self.seen) <= self._failures:
            raise self._error


class Letters:
    """Remembers dead letters; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.seen: list[DeadLetter] = []
        self._failures = failures

    async def __call__(self, letter: DeadLetter) -> None:
        self.seen.append(letter)
        if len(self.seen) <= self._failures:
            raise RuntimeError("not now")


async def test_work_reaches_the_consumer_of_its_queue(bus: Bus) -> None:
    runs, deployments = Handler(), Handler()
    await bus.consume_work(ASYNC_QUEUE, runs, max_in_flight=4)
    await bus.consume_work(DEPLOY_QUEUE, deployments, max_in_flight=4)
    run, deployment = a_run(), a_deployment()

    await bus.send(run)
    await bus.send(deployment)

    await eventually(lambda: runs.seen == [run])
    await eventually(lambda: deployments.seen == [deployment])
    assert runs.counts == deployments.counts == [1]


async def test_work_sent_before_anybody_consumes_waits(bus: Bus) -> None:
    sent: list[Work] = [a_run() for _ in range(5)]
    for work in sent:
        await bus.send(work)
    handler = Handler()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=1)

    await eventually(lambda: handler.seen == sent)


async def test_every_one_of_many_concurrent_sends_arrives(bus: Bus) -> None:
    handler = Handler()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=8)
    sent: list[Work] = [a_run() for _ in range(300)]

    await asyncio.gather(*map(bus.send, sent))

    await eventually(lambda: len(handler.seen) >= 300)
    assert sorted(map(str, handler.seen)) == sorted(map(str, sent))


async def test_no_more_work_is_handled_at_once_than_asked_for(bus: Bus) -> None:
    running = most = done = 0

    async def handle(work: Work, delivery: Delivery) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        done += 1

    for _ in range(20):
        await bus.send(a_run())
    await bus.consume_work(ASYNC_QUEUE, handle, max_in_flight=3)

    await eventually(lambda: done == 20)
    assert most == 3


async def test_work_whose_handler_failed_is_delivered_again_and_the_count_says_so(bus: Bus) -> None:
    handler = Handler(failures=2)
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=4)
    work = a_run()

    await bus.send(work)

    await eventually(lambda: handler.counts == [1, 2, 3])
    assert handler.seen == [work] * 3


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (InternalError("the package store lost it"), "internal.unexpected: the package store lost it"),
        (KeyError("a bug of ours"), "KeyError"),
    ],
)
async def test_work_past_the_delivery_limit_becomes_a_dead_letter_that_says_what_it_failed_of(
    bus: Bus, error: Exception, cause: str
) -> None:
    handler, letters = Handler(failures=99, error=error), Letters()
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=4)
    await bus.consume_dead_letters(letters)
    work = a_run()

    await bus.send(work)

    await eventually(lambda: letters.seen == [DeadLetter(work=work, reason=f"delivery_limit: {cause}")], within_s=10)
    assert handler.counts == [1, 2, 3, 4]
    assert ASYNC_QUEUE.delivery_limit == 3


async def test_rejected_work_becomes_a_dead_letter_at_once_with_the_true_reason(bus: Bus) -> None:
    handler, letters = Handler(failures=1, error=Reject("no such execution: ä")), Letters()
    await bus.consume_work(DEPLOY_QUEUE, handler, max_in_flight=4)
    await bus.consume_dead_letters(letters)
    work = a_deployment()

    await bus.send(work)

    await eventually(lambda: letters.seen == [DeadLetter(work=work, reason="rejected: no such execution: ä")])
    assert handler.counts == [1]


async def test_a_dead_letter_whose_handler_failed_is_seen_again(bus: Bus) -> None:
    handler, letters = Handler(failures=1, error=Reject("no")), Letters(failures=2)
    await bus.consume_work(ASYNC_QUEUE, handler, max_in_flight=4)
    await bus.consume_dead_letters(letters)
    work = a_run()

    await bus.send(work)

    await eventually(lambda: len(letters.seen) == 3)
    assert letters.seen == [DeadLetter(work=work, reason="rejected: no")] * 3


async def test_dead_letters_are_settled_one_at_a_time(bus: Bus) -> None:
    running = most = done = 0

    async def settle(letter: DeadLetter) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        done += 1

    await bus.consume_work(ASYNC_QUEUE, Handler(failures=99, error=Reject("no")), max_in_flight=4)
    await bus.consume_dead_letters(settle)
    for _ in range(5):
        await bus.send(a_run())

    await eventually(lambda: done == 5)
    assert most == 1


async def test_one_failing_piece_of_work_does_not_hold_up_the_others(bus: Bus) -> None:
    bad = a_run()
    done: list[Work] = []

    async def handle(work: Work, delivery: Delivery) -> None:
        if work == bad:
            raise RuntimeError("never")
        done.append(work)

    await bus.consume_work(ASYNC_QUEUE, handle, max_in_flight=2)
    await bus.send(bad)
    for _ in range(10):
        await bus.send(a_run())

    await eventually(lambda: len(done) == 10)


async def test_draining_finishes_the_work_in_flight_and_takes_no_more(bus: Bus) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    seen: list[Work] = []
    done: list[Work] = []

    async def handle(work: Work, delivery: Delivery) -> None:
        seen.append(work)
        begun.set()
        await gate.wait()
        done.append(work)

    await bus.consume_work(ASYNC_QUEUE, handle, max_in_flight=1)
    first = a_run()
    await bus.send(first)
    await begun.wait()
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(bus.stop_consuming())
        await asyncio.sleep(0.05)
        await bus.send(a_run())
        assert not draining.done()
        gate.set()

    assert done == seen == [first]


async def test_a_queue_can_be_consumed_once_only(bus: Bus) -> None:
    await bus.consume_work(ASYNC_QUEUE, Handler(), max_in_flight=1)
    with pytest.raises(RuntimeError):
        await bus.consume_work(ASYNC_QUEUE, Handler(), max_in_flight=1)


async def test_a_closed_bus_takes_no_work(make_bus: Make) -> None:
    bus = make_bus()
    await bus.start()
    await bus.close()

    with pytest.raises(UnavailableError):
        await bus.send(a_run())
    assert bus.problems()
