"""The inventory of acceptance checks names tests that exist, for every check."""

import re

import tests.e2e.neo
from tests.architecture.files import ROOT, read

_LINE = re.compile(r"^ ?(\d+)  (\S+\.py)::(test_\w+)$", re.MULTILINE)
_CHECKS = 33


def test_every_check_of_the_neo_contract_names_tests_that_exist() -> None:
    listed = _LINE.findall(tests.e2e.neo.__doc__ or "")

    assert {int(number) for number, _, _ in listed} == set(range(1, _CHECKS + 1))
    for _, path, name in listed:
        assert re.search(rf"^(async )?def {name}\(", read(ROOT / "tests" / path), re.MULTILINE), f"{path}::{name}"
