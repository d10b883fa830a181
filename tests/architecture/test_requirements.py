"""What the code imports is asked for by name: a package that only comes along with another may leave with it."""

import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.architecture.files import ROOT, imported, our_files, read

OURS = {"services", "shared", "tests", "bench"}
# What a package offers as `import` is often not what it is called: `yaml` comes from `pyyaml`.
DISTRIBUTIONS = packages_distributions()


@pytest.mark.parametrize(
    ("asked_in", "directories"), [("runtime", ["services", "shared"]), ("test", ["tests", "bench"])]
)
def test_every_import_is_asked_for_by_name(asked_in: str, directories: list[str]) -> None:
    asked = _asked_for(asked_in)
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for directory in directories
        for path in our_files(ROOT / directory)
        if path.suffix == ".py" and "functions" not in path.parts
        for name in imported(path) - OURS - sys.stdlib_module_names
        if not asked & {_normal(distribution) for distribution in DISTRIBUTIONS.get(name, [])}
    }

    assert asked
    assert missing == set()


def _asked_for(name: str) -> set[str]:
    """Return the distributions that `requirements/<name>.in` names, and those of the files that it includes."""
    asked: set[str] = set()
    for line in read(ROOT / "requirements" / f"{name}.in").splitlines():
        if line.startswith("-r "):
            asked |= _asked_for(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith("#"):
            asked.add(_normal(re.split(r"[\[<>=!~; ]", line)[0]))
    return asked


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
