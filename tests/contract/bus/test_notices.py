"""Every subscriber hears every notice."""

from shared.bus.bus import Bus
from shared.messages.messages import Notice
from tests.contract.bus.messages import a_notice
from tests.support.eventually import eventually


def no_gap() -> None:
    raise AssertionError("nothing was missed")


async def test_every_subscriber_hears_every_notice_in_order(bus: Bus) -> None:
    first: list[Notice] = []
    second: list[Notice] = []
    await bus.subscribe(first.append, on_gap=no_gap)
    await bus.subscribe(second.append, on_gap=no_gap)
    notices: list[Notice] = [a_notice() for _ in range(20)]

    for notice in notices:
        bus.notify(notice)

    await eventually(lambda: first == notices)
    await eventually(lambda: second == notices)


async def test_a_subscriber_that_fails_does_not_cost_the_others(bus: Bus) -> None:
    heard: list[Notice] = []

    def fail(notice: Notice) -> None:
        raise RuntimeError("deaf")

    await bus.subscribe(fail, on_gap=no_gap)
    await bus.subscribe(heard.append, on_gap=no_gap)
    notices: list[Notice] = [a_notice(), a_notice()]

    for notice in notices:
        bus.notify(notice)

    await eventually(lambda: heard == notices)


async def test_notify_never_runs_a_subscriber_itself(bus: Bus) -> None:
    heard: list[Notice] = []
    await bus.subscribe(heard.append, on_gap=no_gap)

    bus.notify(a_notice())

    assert heard == []
    await eventually(lambda: len(heard) == 1)


async def test_notices_are_heard_while_the_rest_drains(bus: Bus) -> None:
    heard: list[Notice] = []
    await bus.subscribe(heard.append, on_gap=no_gap)
    await bus.stop_consuming()

    bus.notify(a_notice())

    await eventually(lambda: len(heard) == 1)
