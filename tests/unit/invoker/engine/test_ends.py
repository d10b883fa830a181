"""What a worker says of the end of a run, as an outcome."""

import json

import pytest

from services.invoker.sandbox.ends import raised, told
from services.invoker.sandbox.frames import Frame
from shared.domain.outcome import Outcome, Oversized, Raised, Returned


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (Frame("done", {}, b"[1]"), Returned(result=b"[1]")),
        (Frame("done", {"u": 1}, b"null"), Returned(result=b"null", defined=False)),
        (Frame("done", {}, b"x" * 11), Oversized(size_bytes=11, limit_bytes=10)),
        (Frame("large", {"size": 99}, b""), Oversized(size_bytes=99, limit_bytes=10)),
        (Frame("raised", {}, b'{"name":"E","message":"m","stack":"s"}'), Raised(name="E", message="m", stack="s")),
    ],
)
def test_a_frame_tells_the_outcome(frame: Frame, outcome: Outcome) -> None:
    assert told(frame, 10) == outcome


def test_half_a_surrogate_pair_in_an_error_is_replaced_and_a_whole_one_kept() -> None:
    body = json.dumps({"name": "E", "message": "\ud800 \U0001f600 \udc00", "stack": ""}).encode()

    assert raised(body).message == "\ufffd \U0001f600 \ufffd"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"5", b'{"name":"E"}', b"\xff", b'{"name":"E","message":"m"'])
def test_what_our_runtimes_do_not_write_is_refused(body: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        raised(body)
