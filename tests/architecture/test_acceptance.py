"""The inventories of acceptance checks name tests that exist, for every check."""

import re

import tests.e2e.gateways
import tests.e2e.neo
from tests.architecture.files import ROOT, read

_LINE = re.compile(r"^ ?(\d+)  (\S+\.py)::(test_\w+)$", re.MULTILINE)
_CHECKS = 33
_FILE = re.compile(r"^(\S+\.py)\n((?:    [\d ]+  test_\w+\n)+)", re.MULTILINE)
_TESTED = re.compile(r"^    ([\d ]+?) +(test_\w+)$", re.MULTILINE)
_GATEWAYS_CHECKS = 54


def test_every_check_of_the_neo_contract_names_tests_that_exist() -> None:
    listed = _LINE.findall(tests.e2e.neo.__doc__ or "")

    assert {int(number) for number, _, _ in listed} == set(range(1, _CHECKS + 1))
    for _, path, name in listed:
        assert re.search(rf"^(async )?def {name}\(", read(ROOT / "tests" / path), re.MULTILINE), f"{path}::{name}"


def test_every_check_of_the_gateways_contract_names_tests_that_exist() -> None:
    found = [
        (numbers.split(), path, name)
        for path, tested in _FILE.findall(tests.e2e.gateways.__doc__ or "")
        for numbers, name in _TESTED.findall(tested)
    ]

    assert {int(number) for numbers, _, _ in found for number in numbers} == set(range(1, _GATEWAYS_CHECKS + 1))
    for _, path, name in found:
        assert re.search(rf"^(async )?def {name}\(", read(ROOT / "tests" / path), re.MULTILINE), f"{path}::{name}"
