import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.sandbox.frames import Frame, FrameReader, ProtocolError, encode

bodies = st.lists(st.binary(max_size=300), max_size=6)


def read(reader: FrameReader, data: bytes) -> list[Frame]:
    return list(reader.feed(data))


@given(bodies, st.integers(1, 50))
def test_frames_survive_any_cutting(many: list[bytes], step: int) -> None:
    stream = b"".join(encode({"t": "done", "id": str(n)}, body) for n, body in enumerate(many))
    reader = FrameReader(1000)
    got = [frame for at in range(0, len(stream), step) for frame in reader.feed(stream[at : at + step])]

    assert many == [frame.body for frame in got]
    assert [str(n) for n in range(len(many))] == [frame.header["id"] for frame in got]


def read_in_steps(reader: FrameReader, data: bytes, step: int) -> None:
    for at in range(0, len(data), step):
        read(reader, data[at : at + step])


def test_a_whole_frame_in_one_read_is_one_frame() -> None:
    (frame,) = read(FrameReader(10), b'{"t":"done","n":2}\n{}')

    assert (frame.type, frame.body) == ("done", b"{}")


def test_a_body_may_hold_newlines_and_what_looks_like_a_header() -> None:
    body = b'\n{"t":"done","n":0}\n'
    (frame,) = read(FrameReader(100), encode({"t": "done"}, body))

    assert body == frame.body


@pytest.mark.parametrize(
    "data",
    [b"garbage\n", b"[]\n", b'"text"\n', b'{"n":0}\n', b'{"t":1,"n":0}\n', b'{"t":"x"}\n', b'{"t":"x","n":-1}\n',
     b'{"t":"x","n":true}\n', b'{"t":"x","n":1.5}\n', b'{"t":"x","n":"1"}\n', b'{"t":"x","n":11}\n', b"x" * 5000,
     b"\xff\xfe\n", b"\n"],
)  # fmt: skip
@pytest.mark.parametrize("step", [1, 10_000])
def test_what_is_no_frame_is_refused(data: bytes, step: int) -> None:
    reader = FrameReader(10)

    with pytest.raises(ProtocolError):
        read_in_steps(reader, data, step)


def test_the_header_tells_the_size_of_the_body() -> None:
    line, _, body = encode({"t": "run", "id": "a"}, b"{}").partition(b"\n")

    assert json.loads(line) == {"t": "run", "id": "a", "n": 2}
    assert body == b"{}"
