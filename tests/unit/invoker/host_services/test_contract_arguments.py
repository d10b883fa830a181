from typing import Any

import pytest

from services.invoker.host_services.contract_arguments import contract_arguments
from services.invoker.host_services.errors import InvalidArgumentError

HASH = "56c989e76f9a2ca05bb5caa6c96f524d905accd8"
KEY = "03297033a5449621c119a71f1a9a78d7797d228026d31e14a268333d618730f22e"


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("Hash160", HASH, HASH), ("Hash160", f"0x{HASH.upper()}", HASH),
        ("Hash160", "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP", HASH), ("Integer", 5, "5"), ("Integer", -7, "-7"),
        ("Integer", "340282366920938463463374607431768211456", "340282366920938463463374607431768211456"),
        ("String", "é", "é"), ("String", "", ""), ("ByteArray", "AQI=", "AQI="), ("ByteArray", "", ""),
        ("Boolean", True, True), ("PublicKey", KEY, KEY),
    ],
)  # fmt: skip
def test_an_argument_is_sent_as_the_node_takes_it(kind: str, value: object, sent: object) -> None:
    assert contract_arguments([{"type": kind, "value": value, "more": 1}]) == [{"type": kind, "value": sent}]


def test_arrays_hold_arguments() -> None:
    inner = {"type": "Array", "value": [{"type": "Integer", "value": 1}, {"type": "Array", "value": []}]}

    assert contract_arguments([inner]) == [
        {"type": "Array", "value": [{"type": "Integer", "value": "1"}, {"type": "Array", "value": []}]}
    ]
    assert contract_arguments(None) == []


def nested(depth: int) -> list[Any]:
    argument: dict[str, Any] = {"type": "Array", "value": []}
    for _ in range(depth):
        argument = {"type": "Array", "value": [argument]}
    return [argument]


@pytest.mark.parametrize(
    "given",
    [
        *({}, "x", 5, [5], [None], [{}], [{"type": "Integer"}], [{"type": "Map", "value": {}}]),
        *(
            [{"type": [], "value": 1}],
            [{"type": "Array", "value": 5}],
            [{"type": "Integer", "value": 1}] * 65,
            nested(9),
        ),
        *([{"type": "Integer", "value": value}] for value in (1.5, 2**53, True, "1e3", "9" * 81, "\u0661", "", None)),
        *([{"type": "Hash160", "value": value}] for value in ("12", "g" * 40, 5, None)),
        *([{"type": "String", "value": value}] for value in (1, None, "x" * 65537)),
        *([{"type": "ByteArray", "value": value}] for value in ("!", 5, None, "AQI")),
        *([{"type": "PublicKey", "value": value}] for value in (KEY[:-1], "04" + KEY[2:], 5)),
        [{"type": "Boolean", "value": 1}],
    ],
)
def test_what_is_no_argument_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgumentError):
        contract_arguments(given)
