import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.api.task_notices import TaskNotices
from shared.bus.memory import MemoryBus
from shared.messages.messages import Notice, TasksWaiting
from tests.support.eventually import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE_S = 0.1


class Told:
    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.notices = TaskNotices(self.bus, pause_s=PAUSE_S)
        self.heard: list[Notice] = []


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    await told.bus.start()
    await told.bus.subscribe(told.heard.append, on_gap=lambda: None)
    yield told
    told.notices.close()
    await told.bus.close()


async def test_a_lone_task_is_told_at_once(told: Told) -> None:
    told.notices.planned(NOW, NOW)
    await asyncio.sleep(0)

    assert told.heard == [TasksWaiting()]


async def test_a_burst_is_told_when_it_begins_and_once_more_when_the_pause_is_over(told: Told) -> None:
    for _ in range(100):
        told.notices.planned(NOW, NOW)
    await asyncio.sleep(0)
    assert len(told.heard) == 1

    await eventually(lambda: len(told.heard) == 2)
    await asyncio.sleep(2 * PAUSE_S)

    assert len(told.heard) == 2
    told.notices.planned(NOW, NOW)
    await eventually(lambda: len(told.heard) == 3)


async def test_what_is_due_later_than_invokers_look_is_not_told(told: Told) -> None:
    told.notices.planned(NOW, NOW + timedelta(seconds=3))
    await asyncio.sleep(0)
    assert told.heard == []

    told.notices.planned(NOW, NOW + timedelta(seconds=1))
    await asyncio.sleep(0)
    assert len(told.heard) == 1
