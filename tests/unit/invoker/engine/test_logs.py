import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.sandbox.logs import LogCollector, parse_line

ID = "5b0c8c1e-0d3a-4f55-9d0e-7f6a1b2c3d4e"
NOW = 1_714_557_600_000


def collector(max_bytes: int = 1000, max_line_bytes: int = 100) -> LogCollector:
    return LogCollector(max_bytes=max_bytes, max_line_bytes=max_line_bytes)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        (f"2024-05-01T10:00:00.131Z\t{ID}\tINFO\tstarting", "info", "starting"),
        (f"2024-05-01T10:00:00.131Z\t{ID}\tERROR\ta\tb", "error", "a\tb"),
        (f"2024-05-01T10:00:00.131Z\t{ID}\tODD\tx", "info", f"2024-05-01T10:00:00.131Z\t{ID}\tODD\tx"),
        ("plain", "info", "plain"),
        ("", "info", ""),
        ("WARN\tnot a prefix", "info", "WARN\tnot a prefix"),
    ],
)
def test_the_level_is_read_from_lambdas_prefix(line: str, level: str, text: str) -> None:
    parsed = parse_line(line.encode(), NOW)

    assert (line, level, text) == (parsed.message, parsed.level, parsed.text)


def test_the_time_of_a_prefix_is_the_lines_time() -> None:
    assert parse_line(f"2024-05-01T10:00:00.131Z\t{ID}\tINFO\tx".encode(), 5).timestamp_ms == 1_714_557_600_131
    assert parse_line(f"2024-99-01T10:00:00.131Z\t{ID}\tINFO\tx".encode(), 5).timestamp_ms == 5
    assert parse_line(b"x", 5).timestamp_ms == 5


def test_framed_lines_keep_their_newlines() -> None:
    neo = parse_line(b"\0Nwarn\ttwo\0lines", NOW)
    python = parse_line(f"\0L[WARNING]\t2024-05-01T10:00:00.131Z\t{ID}\ttwo\0lines".encode(), NOW)

    assert (neo.level, neo.text, neo.message) == ("warn", "two\nlines", "two\nlines")
    assert (python.level, python.text, python.timestamp_ms) == ("warn", "two\nlines", 1_714_557_600_131)


def test_nothing_unstorable_is_left_in_a_line() -> None:
    assert parse_line(b"\xff\0A", NOW).message == "\ufffd\ufffdA"
    assert "\0" not in parse_line(b"\0Nodd\0", NOW).message
    assert "\0" not in parse_line(b"\0Lodd\0", NOW).message


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 30))
def test_no_cutting_changes_the_lines(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cut, whole = collector(10_000), collector(10_000)
    for at in range(0, len(stream), step):
        cut.feed(stream[at : at + step], NOW)
    whole.feed(stream, NOW)

    assert whole.take(NOW) == cut.take(NOW)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 64), st.booleans())
def test_every_line_is_kept_or_counted(lengths: list[int], step: int, unfinished: bool) -> None:
    stream = b"".join(b"x" * length + b"\n" for length in lengths) + (b"tail" if unfinished else b"")
    bounded = collector(max_bytes=200, max_line_bytes=1000)
    for at in range(0, len(stream), step):
        bounded.feed(stream[at : at + step], NOW)
    lines, dropped = bounded.take(NOW)

    assert len(lengths) + unfinished == len(lines) + dropped
    assert sum(len(line.message) + 1 for line in lines) <= 200 + 31


def test_a_line_that_the_runtime_did_not_keep_is_counted_and_not_shown() -> None:
    collected = collector()
    collected.feed(b"\0Ninfo\tkept\n\0D\n\0D\n\0", NOW)
    collected.feed(b"D\n\0Dx\n", NOW)

    lines, dropped = collected.take(NOW)

    assert [line.message for line in lines] == ["kept", "\ufffdDx"]
    assert dropped == 3


def test_a_long_line_is_cut_once_and_the_next_is_whole() -> None:
    for step in (1, 7, 1000):
        collected = collector(max_line_bytes=10)
        stream = b"a" * 35 + b"\nnext\n"
        for at in range(0, len(stream), step):
            collected.feed(stream[at : at + step], NOW)
        lines, dropped = collected.take(NOW)

        assert [line.message for line in lines] == ["a" * 10, "next"]
        assert dropped == 0


def test_taking_starts_anew() -> None:
    collected = collector(max_bytes=5)
    collected.feed(b"123456\n7\nlost", NOW)

    first, dropped = collected.take(NOW)
    collected.feed(b"new\n", NOW)
    second, none = collected.take(NOW)

    assert ([line.message for line in first], dropped) == (["123456"], 2)
    assert ([line.message for line in second], none) == (["new"], 0)


def test_why_a_process_ended_is_found_even_in_what_was_dropped() -> None:
    collected = collector(max_bytes=5)
    collected.feed(b"123456\nFATAL: heap out of memory", NOW)

    assert collected.mentions("heap out of memory")
    assert not collected.mentions("other")
