"""Query parameters of the Neo dialect (contracts/neo.md 3.1, 3.3, 3.7)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.dialects.neo import queries
from shared.domain.errors import InvalidRequestError


def test_a_page_has_its_defaults_and_bounds() -> None:
    assert queries.page({}) == (10, 0)
    assert queries.page({"limit": "1", "offset": "0"}) == (1, 0)
    assert queries.page({"limit": "100", "offset": "123456"}) == (100, 123456)


@pytest.mark.parametrize(
    ("name", "value", "issue"),
    [
        ("limit", "0", "out of range"), ("limit", "101", "out of range"), ("limit", "-1", "out of range"),
        ("limit", "x", "not an integer"), ("limit", "", "not an integer"), ("limit", "1.0", "not an integer"),
        ("limit", " 1", "not an integer"), ("limit", "٣", "not an integer"), ("limit", "1" * 40, "not an integer"),
        ("offset", "-1", "out of range"), ("offset", "99999999999", "out of range"),
    ],
)  # fmt: skip
def test_a_page_out_of_bounds_is_refused_not_clamped(name: str, value: str, issue: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        queries.page({name: value})

    assert raised.value.fields == {"field": name, "issue": issue}
    assert name in raised.value.message


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_switch_has_four_spellings(text: str, value: bool) -> None:
    assert queries.switch({"include_code": text}, "include_code") is value
    assert queries.switch({}, "include_code") is False


@pytest.mark.parametrize("text", ["", "TRUE", "yes", "2"])
def test_a_switch_takes_nothing_else(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        queries.switch({"include_code": text}, "include_code")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05 02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04Z", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05 02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-0330", datetime(2026, 1, 2, 6, 34, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_moment_is_iso_8601_and_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert queries.since({"start_date": text}, "start_date") == moment
    assert queries.until({"end_date": text}, "end_date") == moment.replace(microsecond=999_999)


def test_a_bound_within_a_second_means_what_is_printed() -> None:
    second = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    text = "2026-01-02T03:04:05.250Z"

    assert queries.since({"d": text}, "d") == second + timedelta(seconds=1)
    assert queries.until({"d": text}, "d") == second.replace(microsecond=999_999)


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.250Z", "2026-01-02T03:04:05,250000001Z"])
def test_a_fraction_may_have_any_number_of_digits(text: str) -> None:
    assert queries.until({"d": text}, "d") == datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)


def test_the_end_of_time_is_no_error() -> None:
    assert queries.since({"d": "9999-12-31T23:59:59.5Z"}, "d") is not None
    assert queries.until({"d": "9999-12-31T23:59:59.5Z"}, "d") is not None


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001 - its zone is the next
    zone=st.none() | st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    separator=st.sampled_from("T "),
    precision=st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    plus=st.sampled_from(["+", " "]),
)
def test_what_is_written_is_what_is_read(
    moment: datetime, zone: timezone | None, separator: str, precision: str, plus: str
) -> None:
    text = moment.replace(tzinfo=zone).isoformat(separator, precision)
    written = datetime.fromisoformat(text).replace(tzinfo=zone or UTC).astimezone(UTC)
    sent = {"d": text.replace("+", plus)}

    first, last = queries.since(sent, "d"), queries.until(sent, "d")

    assert first is not None
    assert last is not None
    assert first.microsecond == 0
    assert timedelta(0) <= first - written < timedelta(seconds=1)
    assert last == written.replace(microsecond=999_999)


@given(text=st.text(max_size=40) | st.text("0123456789-:.,TWZ+ ", max_size=30))
def test_no_text_is_more_than_a_moment_or_a_refusal(text: str) -> None:
    try:
        moment = queries.since({"d": text}, "d")
    except InvalidRequestError:
        return
    assert moment is not None
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-02-30", "2026-1-2", "1767322800", "2026-01-02T25:00:00Z", "20260102", "2026-W01-1",
        "2026-001", "2026-01-02T", "2026-01-02T03", "2026-01-02X03:04:05", "2026-01-02T23:59:60Z", "T03:04",
        "2026-01-02T24:00:00Z", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+02:00:30", "0000-01-01",
        "-2026-01-02", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "٢٠٢٦-01-02", "2026-01-02Z",
        "2026-01-02\0",
    ],
)  # fmt: skip
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        queries.since({"start_date": text}, "start_date")
    assert raised.value.fields["field"] == "start_date"
