from shared.bus.coalesce import MAX_BATCH_BYTES, Leaving, batches, body_of


def leaving(*sizes: int) -> list[Leaving]:
    return [
        Leaving(record_id=str(number), frame=bytes(size), expires_at_ms=number) for number, size in enumerate(sizes)
    ]


def ids(batched: list[list[Leaving]]) -> list[list[str]]:
    return [[each.record_id for each in batch] for batch in batched]


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], 3)) == []


def test_batches_are_bounded_by_count_and_keep_the_order() -> None:
    assert ids(list(batches(leaving(1, 1, 1, 1, 1), 2))) == [["0", "1"], ["2", "3"], ["4"]]


def test_batches_are_bounded_by_size() -> None:
    half = MAX_BATCH_BYTES // 2

    assert ids(list(batches(leaving(half, half, 1), 9))) == [["0", "1"], ["2"]]


def test_what_is_too_large_for_a_batch_goes_alone() -> None:
    assert ids(list(batches(leaving(1, 2 * MAX_BATCH_BYTES, 1), 9))) == [["0"], ["1"], ["2"]]


def test_the_body_of_a_batch_is_its_frames_in_order() -> None:
    pair = [
        Leaving(record_id="a", frame=b"first", expires_at_ms=1),
        Leaving(record_id="b", frame=b"second", expires_at_ms=1),
    ]

    assert body_of(pair) == b"firstsecond"
