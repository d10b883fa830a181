"""The page about users and roles, executed: each command, each curl; and every permission there is stands on it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.permission import EXTRA_HORIZON_PERMISSIONS
from tests.docs.page import blocks_of, check, shell
from tests.support.backends import open_directory
from tests.support.platform import ROOT, Platform, all_in_one

PAGE = ROOT / "docs" / "howto" / "users-and-roles.md"
NO_FUNCTIONS = {"TIDEMILL_STEM_CELLS_PYTHON": "0", "TIDEMILL_STEM_CELLS_NODE": "0"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, NO_FUNCTIONS) as platform:
        yield platform, directory


def test_every_block_of_the_page_does_what_the_page_shows(running: tuple[Platform, Path]) -> None:
    platform, directory = running
    here = {
        "http://localhost:8080": platform.address,
        ".tidemill/": f"{directory / 'data'}/",
        "./tidemill ": f"{sys.executable} -m services ",
    }
    tools = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "TIDEMILL_DATA_DIR": str(directory / "data"),
    }

    with shell(directory, tools) as terminal:
        for block in blocks_of(PAGE):
            code = block.code
            for written, real in here.items():
                code = code.replace(written, real)
            check(block, code, terminal)


def test_every_permission_that_means_something_is_on_the_page() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]

    for name in EXTRA_HORIZON_PERMISSIONS:
        assert any(f"`{name}`" in row.split("|")[1] for row in rows), name
