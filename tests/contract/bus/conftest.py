"""The same tests for both buses: in memory, and over a real RabbitMQ."""

from collections.abc import AsyncIterator, Callable

import pytest

from shared.bus.bus import Bus
from shared.bus.memory import MemoryBus
from shared.bus.rabbitmq import RabbitBus

PAUSE_S = 0.01
FEW = 3
"""How many may wait in the queue of calls, for the tests that fill it."""

Make = Callable[[], Bus]


@pytest.fixture(params=["memory", "rabbitmq"])
def make_bus(request: pytest.FixtureRequest) -> Make:
    """Return what makes a bus that redelivers without long pauses and has a short queue of calls."""
    if request.param == "memory":
        return lambda: MemoryBus(calls_waiting=FEW, redelivery_pause_s=PAUSE_S)
    url: str = request.getfixturevalue("amqp_url")
    return lambda: RabbitBus(url, replica_id="test", calls_waiting=FEW, redelivery_pause_s=PAUSE_S)


@pytest.fixture
async def bus(make_bus: Make) -> AsyncIterator[Bus]:
    """Return a started bus."""
    made = make_bus()
    await made.start()
    yield made
    await made.close()
