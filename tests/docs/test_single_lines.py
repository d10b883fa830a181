"""Pages with few lines to paste, executed: each curl is answered with a success."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import blocks_of, shell
from tests.support.backends import open_directory
from tests.support.platform import API_KEY, ROOT, Platform, all_in_one

NO_FUNCTIONS = {"TIDEMILL_STEM_CELLS_PYTHON": "0", "TIDEMILL_STEM_CELLS_NODE": "0"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, NO_FUNCTIONS) as platform:
        body = {"name": "hello", "runtime": "node18", "code": "module.exports = async () => 1"}
        with platform.neo() as neo:
            neo.post("/v1/functions", json=body).raise_for_status()
        yield platform, directory


@pytest.mark.parametrize("page", ["secrets.md", "receipts.md"])
def test_every_curl_of_the_page_succeeds(running: tuple[Platform, Path], page: str) -> None:
    platform, directory = running
    lines = [
        line
        for block in blocks_of(ROOT / "docs" / "howto" / page)
        for line in block.code.splitlines()
        if line.startswith("curl ")
    ]
    assert lines

    with shell(directory, {"ADDRESS": platform.address, "API_KEY": API_KEY}) as terminal:
        for line in lines:
            terminal.run(line.replace("http://localhost:8080", platform.address).replace("curl -s", "curl -s --fail"))
