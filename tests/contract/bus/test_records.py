"""A record that was handed over reaches the logger at least once, in batches."""

import asyncio
from collections.abc import Sequence

from shared.bus.bus import Bus
from shared.messages.messages import Record
from tests.contract.bus.conftest import Make
from tests.contract.bus.messages import a_record
from tests.support.eventually import eventually


class Logger:
    """Remembers the batches; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.batches: list[list[Record]] = []
        self._failures = failures

    async def __call__(self, records: Sequence[Record]) -> None:
        if self._failures:
            self._failures -= 1
            raise RuntimeError("the database is away")
        self.batches.append(list(records))

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]


async def test_a_record_is_persisted_within_the_wait(bus: Bus) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.05)
    record = a_record()

    bus.record(record)

    await eventually(lambda: logger.records == [record], within_s=1)


async def test_records_come_in_batches_of_bounded_size_and_in_order(bus: Bus) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.05)
    records: list[Record] = [a_record(str(number)) for number in range(1050)]

    for record in records:
        bus.record(record)

    await eventually(lambda: len(logger.records) >= 1050)
    assert sorted(map(str, logger.records)) == sorted(map(str, records))
    assert max(map(len, logger.batches)) == 100
    assert len(logger.batches) <= 1050 / 20


async def test_records_made_before_anybody_consumes_wait(bus: Bus) -> None:
    records: list[Record] = [a_record(), a_record()]
    for record in records:
        bus.record(record)
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.05)

    await eventually(lambda: sorted(map(str, logger.records)) == sorted(map(str, records)))


async def test_a_batch_whose_handler_failed_comes_again(bus: Bus) -> None:
    logger = Logger(failures=3)
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.01)
    records: list[Record] = [a_record(str(number)) for number in range(10)]

    for record in records:
        bus.record(record)
        await asyncio.sleep(0)

    await eventually(lambda: {str(record) for record in logger.records} == set(map(str, records)))


async def test_a_record_of_several_megabytes_arrives(bus: Bus) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.01)
    record = a_record('"quoted" ' * 700_000)

    bus.record(record)

    await eventually(lambda: logger.records == [record], within_s=10)


async def test_closing_hands_over_what_was_recorded(make_bus: Make) -> None:
    bus = make_bus()
    await bus.start()
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.05)
    records: list[Record] = [a_record(str(number)) for number in range(50)]
    for record in records:
        bus.record(record)

    await bus.close()

    if not bus.durable:
        assert logger.records == records
        return
    reader = make_bus()
    await reader.start()
    await reader.consume_records(logger, max_batch=100, max_wait_s=0.05)
    await eventually(lambda: {str(record) for record in logger.records} == set(map(str, records)))
    await reader.close()


async def test_records_still_flow_while_the_rest_drains(bus: Bus) -> None:
    logger = Logger()
    await bus.consume_records(logger, max_batch=100, max_wait_s=0.01)
    await bus.stop_consuming()
    record = a_record()

    bus.record(record)

    await eventually(lambda: logger.records == [record])
