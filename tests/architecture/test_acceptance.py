"""The inventories of acceptance checks name tests that exist, for every check."""

import re

import pytest

import tests.e2e.extrahorizon
import tests.e2e.gateways
import tests.e2e.neo
from tests.architecture.files import ROOT, read
from tests.e2e.extrahorizon.programs import cases_of, programs

_LINE = re.compile(r"^ ?(\d+)  (\S+?\.(?:py|js))::(.+)$", re.MULTILINE)
_CHECKS = {"neo": (tests.e2e.neo, 33), "extrahorizon": (tests.e2e.extrahorizon, 36)}
_FILE = re.compile(r"^(\S+\.py)\n((?:    [\d ]+  test_\w+\n)+)", re.MULTILINE)
_TESTED = re.compile(r"^    ([\d ]+?) +(test_\w+)$", re.MULTILINE)
_GATEWAYS_CHECKS = 54


@pytest.mark.parametrize("contract", _CHECKS)
def test_every_check_of_a_contract_names_tests_that_exist(contract: str) -> None:
    package, checks = _CHECKS[contract]
    listed = _LINE.findall(package.__doc__ or "")

    assert {int(number) for number, _, _ in listed} == set(range(1, checks + 1))
    for _, path, name in listed:
        assert name in names_in(path), f"{path}::{name}"


def test_every_check_of_the_gateways_contract_names_tests_that_exist() -> None:
    found = [
        (numbers.split(), path, name)
        for path, tested in _FILE.findall(tests.e2e.gateways.__doc__ or "")
        for numbers, name in _TESTED.findall(tested)
    ]

    assert {int(number) for numbers, _, _ in found for number in numbers} == set(range(1, _GATEWAYS_CHECKS + 1))
    for _, path, name in found:
        assert name in names_in(path), f"{path}::{name}"


def names_in(path: str) -> list[str]:
    """Return the names of the tests in a module, or of the cases in a program of the SDK."""
    if path.endswith(".js"):
        return cases_of(next(program for program in programs() if program.name == path))
    return re.findall(r"^(?:async )?def (test_\w+)\(", read(ROOT / "tests" / path), re.MULTILINE)
