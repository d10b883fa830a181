"""Bodies of tasks, schedules and direct executions (contracts/extrahorizon.md sections 3.1, 3.4, 3.5 and 8)."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.extrahorizon.errors import rendering_of
from services.api.dialects.extrahorizon.task_bodies import (
    DATA_BYTES,
    ScheduleFields,
    TaskFields,
    read_execution,
    read_new_schedule,
    read_new_task,
)
from shared.domain.errors import InvalidRequestError


def text_of(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def test_every_field_of_a_task_is_read_and_others_are_ignored() -> None:
    body = {
        "functionName": "any name",
        "data": {"who": "Bo"},
        "tags": ["a", ""],
        "priority": -5,
        "startTimestamp": "2030-05-01T12:00:00.1239+02:00",
        "status": "complete",
    }

    assert read_new_task(text_of(body)) == TaskFields(
        function_name="any name",
        data=b'{"who":"Bo"}',
        starts_at=datetime(2030, 5, 1, 10, 0, 0, 123000, tzinfo=UTC),
        priority=-5,
        tags=("a", ""),
    )


def test_null_counts_as_not_given() -> None:
    body = {"functionName": "f", "data": None, "tags": None, "priority": None, "startTimestamp": None}

    assert read_new_task(text_of(body)) == TaskFields(
        function_name="f", data=None, starts_at=None, priority=None, tags=()
    )


def test_every_field_of_a_schedule_is_read() -> None:
    body = {"functionName": "f", "interval": 60, "data": {}, "priority": 1, "startTimestamp": "2030-05-01"}

    assert read_new_schedule(text_of(body)) == ScheduleFields(
        function_name="f", interval_s=60, data=b"{}", starts_at=datetime(2030, 5, 1, tzinfo=UTC), priority=1
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 13),
        ("{", 22),
        ("[]", 22),
        ({}, 14),
        ({"functionName": None}, 14),
        ({"functionName": 5}, 15),
        ({"functionName": ""}, 15),
        ({"functionName": "x" * 129}, 15),
        ({"functionName": "a\0b"}, 15),
        ({"functionName": "f", "data": []}, 15),
        ({"functionName": "f", "data": "text"}, 15),
        ({"functionName": "f", "data": {"x": "a\0b"}}, 15),
        ({"functionName": "f", "data": {"deep": [{"\0": 1}]}}, 15),
        ({"functionName": "f", "data": {"x": "y" * 250 * 1024}}, 15),
        ('{"functionName":"f","data":' + '{"x":' * 300 + "1" + "}" * 301, 15),
        ({"functionName": "f", "priority": 2**53}, 15),
        ({"functionName": "f", "priority": -(2**53)}, 15),
        ({"functionName": "f", "priority": 1.5}, 15),
        ({"functionName": "f", "priority": True}, 15),
        ({"functionName": "f", "tags": "x"}, 15),
        ({"functionName": "f", "tags": [1]}, 15),
        ({"functionName": "f", "tags": ["a\0"]}, 15),
        ({"functionName": "f", "tags": ["x"] * 101}, 15),
        ({"functionName": "f", "tags": ["x" * 257]}, 15),
        ({"functionName": "f", "startTimestamp": "tomorrow"}, 15),
        ({"functionName": "f", "startTimestamp": 1700000000000}, 15),
        ({"functionName": "f", "startTimestamp": "0001-01-01T00:00:00+14:00"}, 15),
        ({"functionName": "f", "startTimestamp": "0001-01-01T00:00:00Z"}, 15),
    ],
)
def test_a_task_with_a_wrong_field_is_refused(body: Any, code: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_new_task(text_of(body))

    assert rendering_of(caught.value).number == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"interval": 1}, 14),
        ({"functionName": "f"}, 14),
        ({"functionName": "f", "interval": 0}, 15),
        ({"functionName": "f", "interval": -5}, 15),
        ({"functionName": "f", "interval": 1.5}, 15),
        ({"functionName": "f", "interval": "60"}, 15),
        ({"functionName": "f", "interval": 2**60}, 15),
        ({"functionName": "f", "interval": 60, "data": 5}, 15),
        ({"functionName": "f", "interval": 60, "priority": "high"}, 15),
        ({"functionName": "f", "interval": 60, "startTimestamp": "soon"}, 15),
        ({"functionName": "f", "interval": 60, "startTimestamp": "0001-01-01T00:00:00Z"}, 15),
    ],
)
def test_a_schedule_with_a_wrong_field_is_refused(body: Any, code: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_new_schedule(text_of(body))

    assert rendering_of(caught.value).number == code


def test_data_may_be_as_large_as_said_and_no_byte_more() -> None:
    def body(size: int) -> bytes:
        return text_of({"functionName": "f", "data": {"x": "y" * (size - len('{"x":""}'))}})

    data = read_new_task(body(DATA_BYTES)).data
    assert data is not None
    assert len(data) == DATA_BYTES
    with pytest.raises(InvalidRequestError):
        read_new_task(body(DATA_BYTES + 1))


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert read_execution(rb'{"data":"\\u0000"}') == rb'"\\u0000"'
    with pytest.raises(InvalidRequestError):
        read_execution(rb'{"data":{"x":["\u0000"]}}')


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"data":null}', b'{"result":1}'])
def test_an_execution_needs_no_data(body: bytes) -> None:
    assert read_execution(body) is None


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_data_is_handed_on_as_it_was_or_refused_for_a_nul(data: Any) -> None:
    body = json.dumps({"data": data}).encode()
    try:
        read = read_execution(body)
    except InvalidRequestError:
        assert b"\\u0000" in body
    else:
        assert data == (None if read is None else orjson.loads(read))
