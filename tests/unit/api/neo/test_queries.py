"""Query parameters of the Neo dialect (contracts/neo.md 3.1, 3.3, 3.7)."""

from datetime import UTC, datetime, timedelta

import pytest

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


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-1-2", "1767322800", "2026-01-02T25:00:00Z"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        queries.since({"start_date": text}, "start_date")
    assert raised.value.fields["field"] == "start_date"
