"""A flag is its variable, written shorter, and goes before it."""

import pytest

from services.__main__ import _environ, parse


@pytest.mark.parametrize(
    ("flag", "variable", "value"),
    [
        ("--host", "TIDEMILL_HOST", "0.0.0.0"),
        ("--port", "TIDEMILL_PORT", "0"),
        ("--data-dir", "TIDEMILL_DATA_DIR", "/somewhere/else"),
    ],
)
def test_a_flag_is_its_variable_and_goes_before_it(
    monkeypatch: pytest.MonkeyPatch, flag: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, "from the environment")

    with_flag = _environ(parse(["up", flag, value]))
    without = _environ(parse(["up"]))

    assert (with_flag[variable], without[variable]) == (value, "from the environment")
