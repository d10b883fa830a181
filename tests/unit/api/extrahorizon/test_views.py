"""What the clients are shown."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from services.api.dialects.extrahorizon.views import page, selected
from shared.domain.moments import iso

VIEW = {"id": "1", "error": {"type": "runtime", "name": "X"}, "method": "GET"}


@pytest.mark.parametrize(
    ("fields", "narrowed"),
    [
        ((), VIEW),
        (("id",), {"id": "1"}),
        (("error",), {"error": {"type": "runtime", "name": "X"}}),
        (("error.type",), {"error": {"type": "runtime"}}),
        (("error.type", "error.name", "id"), {"id": "1", "error": {"type": "runtime", "name": "X"}}),
        (("error.nothing",), {"error": {}}),
        (("method.nothing", "nothing", "nothing.at.all"), {}),
    ],
)
def test_only_the_selected_fields_are_shown(fields: tuple[str, ...], narrowed: dict[str, Any]) -> None:
    assert selected(VIEW, fields) == narrowed


def test_moments_are_utc_with_milliseconds() -> None:
    assert iso(datetime(2024, 5, 1, 10, tzinfo=UTC)) == "2024-05-01T10:00:00.000Z"
    assert iso(datetime(2024, 5, 1, 12, 0, 0, 123_999, timezone(timedelta(hours=2)))) == "2024-05-01T10:00:00.123Z"


def test_a_page_nobody_counted_has_no_total() -> None:
    assert page([], offset=0, limit=20, total=0) == {"page": {"total": 0, "offset": 0, "limit": 20}, "data": []}
    assert page([], offset=5, limit=20, total=None) == {"page": {"offset": 5, "limit": 20}, "data": []}
