"""The names ``services`` and ``shared`` are generic: they must be found once, here, and be proper packages."""

import ast
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from tests.architecture.files import ROOT, imported, our_files

RUNTIME_FILES = sorted((ROOT / "services" / "invoker" / "runtimes").rglob("*.py"))


@pytest.mark.parametrize("name", ["services", "shared"])
def test_each_package_is_found_exactly_once_on_the_path(name: str) -> None:
    found = {
        Path(spec.origin).parent.resolve()
        for entry in dict.fromkeys(sys.path)
        if (spec := PathFinder.find_spec(name, [entry or "."])) is not None and spec.origin is not None
    }

    assert found == {ROOT / name}


def test_every_directory_with_code_is_a_package_that_says_what_it_is() -> None:
    code = [path for name in ("services", "shared") for path in our_files(ROOT / name) if path.suffix == ".py"]
    silent = [
        str(directory.relative_to(ROOT))
        for directory in sorted({path.parent for path in code})
        if not (init := directory / "__init__.py").exists() or ast.get_docstring(ast.parse(init.read_text())) is None
    ]

    assert silent == []


def test_importing_a_package_does_nothing_but_import() -> None:
    """Composition roots open things; modules do not. An import must not touch the event loop, the disk or the net."""
    script = "import sys, shared.process.settings, shared.bus.bus; sys.exit('aio_pika' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_what_runs_beside_user_code_needs_only_the_standard_library() -> None:
    foreign = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in RUNTIME_FILES
        for name in imported(path)
        if name not in sys.stdlib_module_names
    }

    assert RUNTIME_FILES
    assert foreign == set()
