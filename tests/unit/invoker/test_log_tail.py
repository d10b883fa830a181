"""How much of a run's log travels with its reply."""

from services.invoker.invoke import log_tail
from shared.domain.outcome import LogLine, Report, Returned, Timings


def report(*messages: str) -> Report:
    lines = tuple(LogLine(timestamp_ms=1, level="info", message=message, text=message) for message in messages)
    return Report(outcome=Returned(result=b"null"), timings=Timings(), logs=lines)


def test_the_last_whole_lines_that_fit_are_kept_in_their_order() -> None:
    assert log_tail(report("one", "two", "three"), 100) == "one\ntwo\nthree\n"
    assert log_tail(report("one", "two", "three"), 10) == "two\nthree\n"
    assert log_tail(report(), 10) == ""


def test_of_one_line_that_is_too_long_the_end_is_kept() -> None:
    assert log_tail(report("first", "0123456789"), 5) == "6789\n"
    assert len(log_tail(report("é" * 100), 6).encode()) <= 8
