"""A lease outlives the function's time limit, and the broker's consumer timeout outlives both."""

import pytest

from services.invoker.executions import SETTLE_S, WAIT_FOR_WORKER_S, WAIT_IN_LANE_S, lease_s
from shared.bus.delivery import HELD_S
from shared.messages.topology import ASYNC_QUEUE
from shared.process.settings import LONGEST_TIMEOUT_S


@pytest.mark.parametrize("timeout_s", [1, 30, 300, LONGEST_TIMEOUT_S])
def test_a_lease_outlives_waiting_running_and_settling(timeout_s: int) -> None:
    assert lease_s(timeout_s) >= WAIT_IN_LANE_S + WAIT_FOR_WORKER_S + timeout_s + SETTLE_S
    assert lease_s(timeout_s) - timeout_s >= 60, "a database that is away for a minute costs no finished run"


def test_the_consumer_timeout_outlives_holding_a_message_and_then_the_longest_lease() -> None:
    assert ASYNC_QUEUE.consumer_timeout_s > HELD_S + lease_s(LONGEST_TIMEOUT_S)
