import multiprocessing
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import ids

moments = st.datetimes(datetime(1970, 1, 1), datetime(2106, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001 - given a zone in the next step


def test_record_ids_have_their_form_sort_by_creation_and_never_repeat() -> None:
    made = [ids.new_record_id() for _ in range(10_000)]

    assert all(ids.is_record_id(each) for each in made)
    assert len(set(made)) == len(made)
    # The counter wraps around once in sixteen million ids; seconds come first.
    assert sorted(made, key=lambda each: each[:8]) == made


def test_a_record_id_tells_its_second() -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    told = ids.record_time(ids.new_record_id())

    assert before <= told <= datetime.now(UTC)


@given(moments, st.integers(0, 2**64 - 1), st.integers(1, 10**6))
def test_every_id_of_a_second_lies_between_its_bound_and_the_next(moment: datetime, rest: int, seconds: int) -> None:
    record_id = f"{int(moment.timestamp()):08x}{rest:016x}"

    assert ids.first_id_at(moment) <= record_id < ids.first_id_at(moment + timedelta(seconds=seconds))
    assert ids.record_time(record_id) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    "text", ["", "0" * 23, "0" * 25, "G" * 24, "A" * 24, "0" * 23 + "\n", "0" * 24 + "\n", "\0" * 24, "\u0660" * 24]
)
def test_what_has_another_form_is_no_record_id(text: str) -> None:
    assert not ids.is_record_id(text)


def test_a_forked_process_makes_ids_of_its_own() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(ids.new_record_id)[8:18] != ids.new_record_id()[8:18]
    before = ids._process
    ids._renew_after_fork()
    assert ids._process != before


@pytest.mark.parametrize(("make", "prefix"), [(ids.new_function_id, "func_"), (ids.new_key_id, "key_")])
def test_function_and_key_ids_are_a_prefix_and_ten_characters(make: object, prefix: str) -> None:
    assert callable(make)
    made = [make() for _ in range(100)]

    assert all(re.fullmatch(prefix + "[a-z0-9]{10}", each) for each in made)
    assert len(set(made)) == 100
