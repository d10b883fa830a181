"""House rules that no linter knows."""

import os
import re
from pathlib import Path

import pytest

from shared.process.settings import Settings
from shared.process.settings_pages import PAGES
from shared.process.variables import variables
from tests.architecture.files import ROOT, our_files, read

# Written so that this file does not name what it looks for.
REGISTRY_HOST = re.compile(r"(py[p]i|python[h]osted|npm[j]s|crat[e]s|golan[g])\.(org|com|io)|repo1?\.mave[n]")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SKIPPED = re.compile(r"pytest\.sk[i]p|mark\.sk[i]p|mark\.xf[a]il|import[o]rskip")
UNFINISHED = re.compile(r"\b(TO[D]O|FI[X]ME|X[X]X)\b")
SESSION_STATE = re.compile(
    r"""["'] *SET (?!LOCAL)|\bset_config\([^)]*false|\bpg_(try_)?advisory_lock(_shared)?\(|["']\s*LISTEN\s"""
    r"""|\bWITH HOLD\b|\bCREATE TEMP|\badd_listener\("""
)
MOST_LINES = 400


def test_no_package_registry_is_named_by_its_host() -> None:
    assert [str(path.relative_to(ROOT)) for path in our_files() if REGISTRY_HOST.search(read(path))] == []


def test_links_between_documents_resolve() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in our_files()
        if path.suffix == ".md"
        for target in LINK.findall(read(path))
        if "://" not in target and not target.startswith(("#", "mailto:"))
        if not (path.parent / target.split("#")[0]).exists()
    ]

    assert broken == []


def test_no_test_is_skipped() -> None:
    assert [str(path.relative_to(ROOT)) for path in our_files(ROOT / "tests") if SKIPPED.search(read(path))] == []


def test_nothing_is_left_for_later_in_the_code() -> None:
    code = [path for path in our_files() if path.suffix in {".py", ".js", ".mjs", ".sh"}]

    assert [str(path.relative_to(ROOT)) for path in code if UNFINISHED.search(read(path))] == []


def test_no_statement_leaves_anything_in_a_session_of_the_pool() -> None:
    """See ``shared.database.pool``: sessions are not reset. The locks of functions have connections of their own."""
    code = [path for name in ("shared", "services") for path in our_files(ROOT / name) if path.suffix == ".py"]
    leaving = {path.relative_to(ROOT).as_posix() for path in code if SESSION_STATE.search(read(path))}

    assert leaving == {"shared/database/function_locks.py"}


def test_no_python_file_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in our_files()
        if path.suffix == ".py" and (count := len(read(path).splitlines())) > MOST_LINES
    }

    assert long == {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_generated_pages_are_what_the_code_says(path: Path) -> None:
    assert path.read_text("utf-8") == PAGES[path]()


def test_the_example_environment_lists_exactly_our_variables() -> None:
    listed = re.findall(r"^#?((?:TIDEMILL|LAMBDA)_\w+)=", read(ROOT / ".env.example"), re.MULTILINE)

    assert sorted(listed) == sorted(variable.name for _, variable in variables(Settings))


def test_every_setting_is_read_by_somebody() -> None:
    code = "".join(read(path) for name in ("services", "shared") for path in our_files(ROOT / name))
    unread = [variable.name for path, variable in variables(Settings) if not re.search(rf"\.{path[-1]}\b", code)]

    assert unread == []


@pytest.mark.parametrize("name", ["tidemill", ".ci/run"])
def test_what_people_start_is_executable(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


def test_the_locks_pin_every_package_with_hashes() -> None:
    for name in ("runtime", "test", "neo-go"):
        lock = read(ROOT / "requirements" / f"{name}.txt")
        packages = re.findall(r"^[a-zA-Z0-9]\S*==[^\\]+ \\\n    --hash=sha256:", lock, re.MULTILINE)
        assert len(packages) == len(re.findall(r"^[a-zA-Z0-9]", lock, re.MULTILINE)) > 0


def test_the_test_lock_holds_the_runtime_lock() -> None:
    """One environment serves both: installing the one must not undo the other."""
    runtime, test = (
        set(re.findall(r"^(\S+==\S+) ", read(ROOT / "requirements" / f"{name}.txt"), re.MULTILINE))
        for name in ("runtime", "test")
    )

    assert runtime <= test
