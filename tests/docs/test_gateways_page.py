"""The pages of the Gateways dialect, executed: each curl is run, each answer shown is like the one that comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import alike, blocks_of, read, shell
from tests.support.backends import open_directory
from tests.support.platform import ROOT, Platform, all_in_one

PAGES = ("gateways.md", "gateways-functions.md", "gateways-connections.md")
SHOWN = "http://localhost:8080"
FEW_CELLS = {"TIDEMILL_STEM_CELLS_PYTHON": "0"}


@pytest.fixture
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, FEW_CELLS) as platform:
        yield platform, directory


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_page_does_what_the_page_shows(running: tuple[Platform, Path], page: str) -> None:
    """Each page has a platform of its own: what it shows begins with the first id."""
    platform, directory = running
    blocks = blocks_of(ROOT / "docs" / "api" / page)
    assert len(blocks) > 10

    with shell(directory, {}) as terminal:
        for block in blocks:
            code = block.code.replace(SHOWN, platform.address)
            real = terminal.run(code).replace(platform.address, SHOWN)
            assert block.answer is None or alike(read(block.answer), read(real)), f"{code}\n{block.answer}\n{real}"
