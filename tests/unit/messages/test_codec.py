import struct

import orjson
import pytest

from shared.domain.errors import ErrorRecord
from shared.messages import codec
from shared.messages.messages import (
    ApiAnswer,
    ApiCall,
    FunctionChanged,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    RunExecution,
)

RUN = RunExecution(execution_id="a" * 24, function_id="func_0123456789")


def frame(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else orjson.dumps(header)
    return struct.pack("!II", len(text), len(payload)) + text + payload


def run(**changes: object) -> dict[str, object]:
    header: dict[str, object] = {
        "type": "execution.run",
        "version": 1,
        "execution_id": RUN.execution_id,
        "function_id": RUN.function_id,
    }
    return header | changes


def invoke(payload: bytes) -> InvokeFunction:
    return InvokeFunction(
        record_id="b" * 24, kind="api", function_id="func_0123456789", revision=1, expires_at_ms=2, payload=payload
    )


def test_the_payload_travels_raw_behind_the_header() -> None:
    payload = bytes(range(256))

    encoded = codec.encode(invoke(payload))

    assert encoded.endswith(payload)
    assert codec.decode(encoded) == invoke(payload)


def test_the_header_says_type_and_version_first() -> None:
    assert codec.encode(RUN)[8:].startswith(b'{"type":"execution.run","version":1,"execution_id":')


def test_a_field_the_reader_does_not_know_is_ignored() -> None:
    assert codec.decode(frame(run(since_version_7=[1, {"a": None}]))) == RUN


def test_an_absent_field_takes_its_default() -> None:
    decoded = codec.decode(frame({"type": "function.invoked", "version": 1, "record_id": "x", "cold_start": True}))

    assert decoded == InvocationReply(record_id="x", cold_start=True)


def test_an_integer_is_read_where_a_number_is_expected() -> None:
    header = {"type": "function.invoked", "version": 1, "record_id": "x", "duration_ms": 3}

    decoded = codec.decode(frame(header))

    assert isinstance(decoded, InvocationReply)
    assert type(decoded.duration_ms) is float


def test_nested_values_and_mappings_come_back_typed() -> None:
    reply = InvocationReply(
        record_id="x",
        error=ErrorRecord(code="c", kind="k", message="m", fields={"limit": 3, "field": "f"}),
        answer=ApiAnswer(status=200, headers={"a": "b"}),
    )

    assert codec.decode(codec.encode(reply)) == reply


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "stray"),
        (b"\x00\x00", "stray"),
        (struct.pack("!II", 10, 0) + b"{}", "cut"),
        (struct.pack("!II", 2, 9) + b"{}", "cut"),
        (frame(b"{nope"), "not JSON"),
        (frame(b"\xff\xfe"), "not JSON"),
        (frame([1]), "not a JSON object"),
        (frame({}), "unknown message type 'None'"),
        (frame({"type": [], "version": 1}), "unknown message type"),
        (frame({"type": "execution.run", "version": True}), "unknown message type"),
        (frame(run(version=2)), "unknown message type 'execution.run' version 2"),
        (frame(run(type="nobody.knows")), "unknown message type 'nobody.knows'"),
        (frame(run(execution_id=7)), "execution_id: expected a text, got int"),
        (frame(run(execution_id=None)), "execution_id: expected a text, got NoneType"),
        (frame({"type": "execution.run", "version": 1, "execution_id": "x"}), "function_id is missing"),
        (codec.encode(RUN) * 2, "more than one message"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(codec.UndecodableError, match=reason):
        codec.decode(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deleted", 1),
        ("deleted", "true"),
        ("revision", True),
        ("revision", 1.0),
        ("revision", "1"),
    ],
)
def test_a_value_is_never_coerced_into_its_type(field: str, value: object) -> None:
    header = orjson.loads(
        codec.encode(FunctionChanged(function_id="f", environment_id="e", name="n", revision=1))[8:]
    ) | {field: value}

    with pytest.raises(codec.UndecodableError, match=field):
        codec.decode(frame(header))


def test_the_reason_names_the_nested_field() -> None:
    header = {
        "type": "log.written",
        "version": 1,
        "record_id": "x",
        "first_number": 1,
        "lines": [{"timestamp_ms": "now"}],
    }

    with pytest.raises(codec.UndecodableError, match=r"log\.written: lines: timestamp_ms: expected an integer"):
        codec.decode(frame(header))


def test_an_empty_body_holds_no_messages() -> None:
    assert codec.decode_batch(b"") == []
    assert codec.split(b"") == []


def test_a_frame_that_cannot_be_read_leaves_its_neighbours_readable() -> None:
    body = codec.encode(RUN) + frame(run(version=9)) + codec.encode(RUN)

    first, bad, last = codec.split(body)

    assert codec.decode(first) == codec.decode(last) == RUN
    with pytest.raises(codec.UndecodableError):
        codec.decode(bad)
    with pytest.raises(codec.UndecodableError):
        codec.decode_batch(body)


def test_a_frame_over_the_limit_is_not_made() -> None:
    codec.encode(invoke(b"x" * (codec.MAX_FRAME_BYTES - 1000)))
    with pytest.raises(codec.UnencodableError, match="over the limit"):
        codec.encode(invoke(b"x" * codec.MAX_FRAME_BYTES))


def test_text_that_is_not_unicode_is_not_sent() -> None:
    with pytest.raises(codec.UnencodableError, match=r"execution\.run"):
        codec.encode(RunExecution(execution_id="\ud800", function_id="f"))


def test_a_large_header_travels_compressed_and_comes_back() -> None:
    changed = FunctionChanged(
        function_id="f", environment_id="e", name='say "hello" ' * (codec.COMPRESS_OVER_BYTES // 8), revision=1
    )

    encoded = codec.encode(changed)

    assert len(encoded) < codec.COMPRESS_OVER_BYTES // 4
    assert codec.decode(encoded) == changed
    with pytest.raises(codec.UndecodableError, match="compressed header"):
        codec.decode(encoded[:8] + b"\x00" * (len(encoded) - 8))


def test_a_compressed_header_cannot_unfold_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = FunctionChanged(
        function_id="f", environment_id="e", name="0" * (codec.COMPRESS_OVER_BYTES + 1), revision=1
    )
    encoded = codec.encode(changed)
    monkeypatch.setattr(codec, "MAX_HEADER_BYTES", codec.COMPRESS_OVER_BYTES)

    with pytest.raises(codec.UndecodableError, match="or over"):
        codec.decode(encoded)


def test_an_api_call_is_optional() -> None:
    call = ApiCall(method="GET", path="/", user_id=None, application_id="a")
    command = InvokeFunction(
        record_id="b" * 24, kind="api", function_id="f", revision=1, expires_at_ms=2, api_call=call, payload=b""
    )

    assert codec.decode(codec.encode(command)) == command
    assert codec.decode(codec.encode(invoke(b""))) == invoke(b"")


def test_log_lines_are_a_tuple_again() -> None:
    written = LogLinesWritten(record_id="r", first_number=1, lines=())

    decoded = codec.decode(codec.encode(written))

    assert isinstance(decoded, LogLinesWritten)
    assert decoded.lines == ()
