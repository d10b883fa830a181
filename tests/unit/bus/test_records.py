import pytest

from shared.bus.records import RecordBuffer, dropped


def count_of(reason: str) -> float:
    counter = dropped.labels(reason)
    return next(sample.value for metric in counter.collect() for sample in metric.samples if "_total" in sample.name)


def taken(buffer: RecordBuffer[str], count: int = 100, size: int = 1000) -> list[str]:
    return [held.item for held in buffer.take(count, size)]


def a_buffer(*items: str, max_count: int = 10, max_bytes: int = 1000) -> RecordBuffer[str]:
    buffer: RecordBuffer[str] = RecordBuffer(max_count=max_count, max_bytes=max_bytes)
    for item in items:
        buffer.add(item, 100)
    return buffer


def test_records_leave_in_the_order_they_came() -> None:
    assert taken(a_buffer("a", "b", "c")) == ["a", "b", "c"]


def test_a_batch_is_bounded_by_count() -> None:
    buffer = a_buffer("a", "b", "c")

    assert taken(buffer, count=2) == ["a", "b"]
    assert taken(buffer, count=2) == ["c"]
    assert taken(buffer, count=2) == []


def test_a_batch_is_bounded_by_size_but_never_empty() -> None:
    buffer = a_buffer("a", "b", "c")

    assert taken(buffer, size=250) == ["a", "b"]
    assert taken(buffer, size=10) == ["c"]


@pytest.mark.parametrize("bounds", [{"max_count": 2}, {"max_bytes": 250}])
def test_what_is_over_the_bound_is_dropped_and_counted(bounds: dict[str, int]) -> None:
    before = count_of("buffer_full")

    buffer = a_buffer("a", "b", "c", "d", **bounds)

    assert taken(buffer) == ["a", "b"]
    assert count_of("buffer_full") == before + 2


def test_one_record_larger_than_the_bound_is_kept_when_it_is_alone() -> None:
    buffer: RecordBuffer[str] = RecordBuffer(max_bytes=10)
    buffer.add("large", 100)

    assert taken(buffer) == ["large"]


def test_what_was_taken_counts_until_it_is_done() -> None:
    buffer = a_buffer("a", "b", max_count=2)
    held = buffer.take(2, 1000)
    buffer.add("refused", 1)
    assert len(buffer) == 2

    buffer.done(held)
    buffer.add("kept", 1)

    assert taken(buffer) == ["kept"]


def test_what_is_put_back_comes_first_again() -> None:
    buffer = a_buffer("a", "b", "c")
    held = buffer.take(2, 1000)

    buffer.put_back(held)

    assert taken(buffer) == ["a", "b", "c"]


async def test_waiting_ends_when_something_is_there_and_when_nothing_is() -> None:
    buffer = a_buffer()
    await buffer.emptied()
    buffer.add("a", 1)
    await buffer.filled()

    held = buffer.take(1, 1)
    buffer.put_back(held)
    await buffer.filled()
    buffer.done(buffer.take(1, 1))

    await buffer.emptied()
