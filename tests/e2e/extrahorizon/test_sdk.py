"""The unmodified Extra Horizon SDK cannot tell this platform from the real one: each case of each of its programs."""

import pytest

from tests.e2e.extrahorizon.programs import Programs, cases_of
from tests.e2e.extrahorizon.programs import programs as all_programs

CASES = [(program.name, case) for program in all_programs() for case in cases_of(program)]


@pytest.mark.parametrize(("program", "case"), CASES)
def test_the_unmodified_sdk_agrees(programs: Programs, program: str, case: str) -> None:
    result = programs.result(program, case)

    assert result.passed, result.problem
