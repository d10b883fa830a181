"""The page of the Neo dialect, executed: each curl is run, each answer shown is like the one that comes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.runtime import Family
from shared.process.node_programs import find_node
from tests.docs.page import Block, alike, blocks_of, check, read, shell
from tests.support.backends import open_directory
from tests.support.platform import API_KEY, ROOT, Platform, all_in_one

PAGE = ROOT / "docs" / "api" / "neo.md"
SDK = ROOT / "sdk" / "javascript"
LIMITED = {"TIDEMILL_RATE_LIMIT": "on", "TIDEMILL_STEM_CELLS_PYTHON": "0"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, LIMITED) as platform:
        yield platform, directory


def written_for(block: Block, platform: Platform) -> str:
    """Return a block's code with the address and the key of this platform in place of the reader's."""
    code = block.code.replace("http://localhost:8080", platform.address)
    return re.sub(r"KEY=\$\(python3 .*credentials\.json.*\)", f"KEY={API_KEY}", code)


def test_every_block_of_the_page_does_what_the_page_shows(running: tuple[Platform, Path]) -> None:
    platform, directory = running
    blocks = blocks_of(PAGE)
    assert len(blocks) > 30
    tools = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}

    with shell(directory, tools) as terminal:
        for block in blocks:
            if block.language == "sh":
                check(block, written_for(block, platform), terminal)
            else:
                check_javascript(block, directory, platform)


def check_javascript(block: Block, directory: Path, platform: Platform) -> None:
    node = find_node(Family.NODE)
    assert node is not None
    package = directory / "node_modules" / "@tidemill" / "neo"
    package.parent.mkdir(parents=True)
    package.symlink_to(SDK)
    environ = {"KEY": API_KEY, "TIDEMILL": platform.address}
    run = subprocess.run(
        [node, "-e", block.code], cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert block.answer is not None
    assert read(block.answer) == read(run.stdout)


def test_every_curl_of_the_page_is_in_a_block_that_is_executed() -> None:
    text = PAGE.read_text("utf-8")

    executed = sum(block.code.count("curl -s") for block in blocks_of(PAGE))

    assert text.count("curl -s") == executed > 0


def test_every_route_of_the_dialect_has_a_curl_on_the_page(running: tuple[Platform, Path]) -> None:
    platform, _ = running
    code = "\n".join(block.code for block in blocks_of(PAGE)).replace("\\\n", " ")
    curls = [
        ("POST" if " -d" in call and "-X" not in call else (re.search(r"-X (\w+)", call) or ["", "GET"])[1], call)
        for call in re.findall(r"curl [^|\n]*(?:'[^']*')?", code)
    ]
    with platform.anonymous() as anonymous:
        described = anonymous.get("/openapi.json").json()["paths"]

    for path, item in described.items():
        if path.startswith("/v1/"):
            pattern = re.compile(r"\$TIDEMILL" + re.sub(r"\{[^}]+\}", r"[^/?\\s\"]+", path) + r'[\s"?]')
            for method in item:
                assert any(verb == method.upper() and pattern.search(call + " ") for verb, call in curls), (
                    method,
                    path,
                )


def test_answers_are_told_apart_by_what_is_not_different_each_time() -> None:
    shown = {"id": "func_a1b2c3d4e5", "at": "2026-01-02T03:04:05Z", "duration": 5, "n": [1, None]}

    assert alike(shown, {"id": "func_0000000000", "at": "2027-01-02T03:04:05Z", "duration": 999, "n": [1, None]})
    for different in ({"id": "exec_a1b2c3d4e5"}, {"n": [1]}, {"n": [1, 0]}, {"duration": None}, {"more": 1}):
        assert not alike(shown, {**shown, **different}), different
