import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.redaction import MASK, Redactor
from shared.domain.outcome import Crashed, LogLine, Raised, Report, Returned, TimedOut, Timings

KEY = "sk_live_51H8-Zqé"
PEM = "-----BEGIN KEY-----\nMIIB'quoted'\nAAAA\"more\"\n-----END KEY-----\n"


def line(text: str, message: str | None = None) -> LogLine:
    return LogLine(timestamp_ms=1, level="info", message=message or text, text=text)


def report(*lines: LogLine, outcome: Raised | Returned | TimedOut | Crashed = Returned(result=b"null")) -> Report:  # noqa: B008
    return Report(outcome=outcome, timings=Timings(), logs=lines)


def test_a_value_is_masked_wherever_it_stands() -> None:
    redactor = Redactor([KEY])

    assert redactor.text(f"{KEY} and again {KEY}.") == "*** and again ***."
    assert redactor.text("nothing here") == "nothing here"


@pytest.mark.parametrize(("value", "masked"), [("abc", False), ("abcd", True), ("äöüß", True)])
def test_only_values_of_four_characters_or_more_are_masked(value: str, masked: bool) -> None:
    assert (Redactor([value]).text(f"<{value}>") == "<***>") is masked


def test_of_values_that_contain_each_other_nothing_is_left() -> None:
    redactor = Redactor(["pass", "password", "my password is long"])

    assert redactor.text("my password is long, password, pass, my password") == "***, ***, ***, my ***"


def test_of_values_that_overlap_nothing_is_left() -> None:
    assert Redactor(["abcdEF", "EFghij"]).text("<abcdEFghij>") == "<***>"
    assert Redactor(["aaaa"]).text("<aaaaaa>") == "<***>"


def test_a_value_of_several_lines_is_masked_as_one() -> None:
    assert Redactor([PEM]).text(f"key:\n{PEM}end") == "key:\n***end"


def test_a_result_is_not_touched() -> None:
    returned = report(outcome=Returned(result=f'"{KEY}"'.encode()))

    assert Redactor([KEY]).report(returned) == returned


def test_lines_and_errors_are_masked_and_keep_the_rest() -> None:
    raised = Raised(name=f"{KEY}Error", message=f"bad key {KEY}", stack=f"Error: bad key {KEY}\n    at f ({KEY}.js:1)")
    seen = Redactor([KEY]).report(report(line("a"), line(KEY, f"INFO\t{KEY}"), outcome=raised))

    assert seen.logs == (line("a"), line(MASK, f"INFO\t{MASK}"))
    assert seen.outcome == Raised(
        name="***Error", message="bad key ***", stack="Error: bad key ***\n    at f (***.js:1)"
    )


@given(cut=st.integers(4, len(KEY) - 1), before=st.text(max_size=20))
def test_the_beginning_of_a_value_that_a_long_line_was_cut_in_is_masked(cut: int, before: str) -> None:
    kept = Redactor([KEY]).report(report(line(f"{before}<{KEY[:cut]}…(truncated)"))).logs[0]

    assert kept.text.endswith("<***…(truncated)")


def test_a_character_halved_by_the_cut_does_not_save_the_beginning_of_a_value() -> None:
    assert Redactor([KEY]).text(f"<{KEY[:6]}\ufffd", cut=True) == "<***"


@pytest.mark.parametrize("outcome", [TimedOut(limit_s=1), Crashed(signal=9)])
def test_the_last_line_of_a_process_that_was_killed_may_be_cut(outcome: TimedOut | Crashed) -> None:
    lines = (line(f"<{KEY[:6]}"), line(f"<{KEY[:6]}"))

    assert [each.text for each in Redactor([KEY]).report(report(*lines, outcome=outcome)).logs] == ["<sk_liv", "<***"]
    assert Redactor([KEY]).report(report(*lines)).logs == lines


def test_an_ending_that_only_looks_like_a_beginning_stays_in_a_whole_line() -> None:
    assert Redactor(["password123"]).text("wrong password") == "wrong password"


def test_the_end_of_a_text_as_long_as_runtimes_send_may_be_cut() -> None:
    long = "x" * 20_000 + KEY[:8]
    raised = Redactor([KEY]).report(report(line(long), outcome=Raised(name="E", message=long, stack=long)))

    assert isinstance(raised.outcome, Raised)
    for text in (raised.outcome.message, raised.outcome.stack, raised.logs[0].text):
        assert text == "x" * 20_000 + MASK


def test_a_value_broken_by_inspect_and_then_cut_leaves_nothing() -> None:
    broken = "{\n  key: '-----BEGIN KEY-----\\n' +\n    \"MIIB'qu…(truncated)"

    assert Redactor([PEM]).report(report(line(broken))).logs[0].text == "{\n  key: '***…(truncated)"


@given(values=st.lists(st.text(min_size=4, max_size=30), max_size=5), texts=st.lists(st.text(max_size=10), max_size=5))
def test_no_value_is_left_in_any_text(values: list[str], texts: list[str]) -> None:
    text = "".join(piece for pair in zip([*texts, *[""] * 5], [*values, *[""] * 5], strict=False) for piece in pair)

    masked = Redactor(values).text(text)

    assert all(value not in masked.replace(MASK, "\0") or "\0" in value for value in values)


def by_every_place(value: str, text: str) -> str:
    """Return what is expected, found the slow way: every character that belongs to a place of the value is masked."""
    places = [at for at in range(len(text)) if text.startswith(value, at)]
    covered = {at + index for at in places for index in range(len(value))}
    marked = "".join("\0" if at in covered else character for at, character in enumerate(text))
    return re.sub("\0+", MASK, marked)


@given(
    value=st.text("ab", min_size=4, max_size=9),
    text=st.text("ab", max_size=60),
)
def test_values_that_overlap_themselves_leave_nothing(value: str, text: str) -> None:
    assert Redactor([value]).text(text) == by_every_place(value, text)


@pytest.mark.parametrize("value", ["aaaa", "a" * 5000, "ab" * 2500, "a" * 4999 + "b", "b" + "a" * 4999])
def test_no_value_and_no_log_makes_redaction_slow(value: str) -> None:
    lines = (line("a" * 4096 + "…(truncated)"), line("ab" * 2048), line("a" * 4095 + "b…(truncated)"))

    began = time.process_time()
    Redactor([value]).report(report(*(lines * 100)))

    assert time.process_time() - began < 2.0
