"""Whatever a message holds, it comes back from its bytes the same; whatever the bytes, decoding answers or refuses."""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.messages import codec
from shared.messages.messages import MESSAGES, Message

SIXTY_FOUR_BITS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    simple = {
        str: st.text(max_size=40),
        int: SIXTY_FOUR_BITS,
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bytes: st.binary(max_size=200),
        type(None): st.none(),
    }
    if hint in simple:
        return simple[hint]
    if dataclasses.is_dataclass(hint):
        return instances_of(typing.cast("type[Any]", hint))
    arguments = get_args(hint)
    if get_origin(hint) is types.UnionType:
        return st.one_of(*map(values_of, arguments))
    if get_origin(hint) is tuple:
        return st.lists(values_of(arguments[0]), max_size=4).map(tuple)
    assert get_origin(hint) is Mapping
    return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=4)


def instances_of(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(cls)})


any_message: st.SearchStrategy[Message] = st.one_of(*map(instances_of, MESSAGES))


@given(any_message)
def test_a_message_comes_back_from_its_bytes_unchanged(message: Message) -> None:
    assert codec.decode(codec.encode(message)) == message


@given(st.lists(any_message, max_size=5))
def test_a_batch_keeps_every_message_and_their_order(messages: list[Message]) -> None:
    body = codec.encode_batch(messages)

    assert codec.decode_batch(body) == messages
    assert b"".join(codec.split(body)) == body


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused_never_anything_else(body: bytes) -> None:
    with contextlib.suppress(codec.UndecodableError):
        codec.decode_batch(body)


@settings(max_examples=200)
@given(any_message, st.data())
def test_a_frame_with_one_damaged_byte_is_read_or_refused_never_anything_else(
    message: Message, data: st.DataObject
) -> None:
    frame = bytearray(codec.encode(message))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = codec.decode_batch(bytes(frame))
    except codec.UndecodableError:
        return
    assert all(type(each) in MESSAGES for each in decoded)


@given(any_message, st.data())
def test_a_cut_frame_is_refused(message: Message, data: st.DataObject) -> None:
    frame = codec.encode(message)
    cut = frame[: data.draw(st.integers(1, len(frame) - 1))]
    with pytest.raises(codec.UndecodableError):
        codec.decode_batch(cut)
