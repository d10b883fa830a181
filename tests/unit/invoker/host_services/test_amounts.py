from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.host_services.amounts import in_tokens


@pytest.mark.parametrize(
    ("amount", "decimals", "told"),
    [
        (1250000000, 8, "12.5"), (5200000000000000, 8, "52000000"), (100000000, 0, "100000000"), (0, 8, "0"),
        (0, 0, "0"), (1, 8, "0.00000001"), (10, 8, "0.0000001"), (-1250000000, 8, "-12.5"), (-5, 0, "-5"),
        (123456789012345678901234567890, 18, "123456789012.34567890123456789"), (100, 2, "1"),
        (7, 30, "0." + "0" * 29 + "7"),
    ],
)  # fmt: skip
def test_amounts_are_told_in_whole_tokens(amount: int, decimals: int, told: str) -> None:
    assert told == in_tokens(amount, decimals)


@given(st.integers(-(2**256), 2**256), st.integers(0, 255))
def test_no_unit_is_lost(amount: int, decimals: int) -> None:
    told = in_tokens(amount, decimals)

    assert Decimal(told).as_integer_ratio() == Decimal(f"{amount}E-{decimals}").as_integer_ratio()
    assert not told.endswith(".")
    assert "." not in told or not told.endswith("0")
