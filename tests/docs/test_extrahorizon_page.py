"""The page of the Extra Horizon dialect, executed: each curl, each line of the SDK; each answer like the one shown."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import blocks_of, check, javascript, shell
from tests.e2e.extrahorizon.programs import NODE, SDK
from tests.support.backends import open_directory
from tests.support.fixtures_npm import installed_packages
from tests.support.platform import ROOT, Platform, all_in_one

PAGE = ROOT / "docs" / "api" / "extrahorizon.md"
ERRORS = ROOT / "services" / "api" / "dialects" / "extrahorizon" / "errors.py"
CREDENTIALS = {
    "CLIENT_ID": "oauth_client_id",
    "EMAIL": "email",
    "PASSWORD": "password",
    "CONSUMER_KEY": "oauth1_consumer_key",
    "CONSUMER_SECRET": "oauth1_consumer_secret",
}
"""What the page reads of credentials.json, by the variable it goes into."""


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, {"TIDEMILL_STEM_CELLS_PYTHON": "0"}) as platform:
        yield platform, directory


def sdk_environment(directory: Path) -> dict[str, str]:
    """Return what the blocks of the SDK find in their environment, as the first block of the page exports it."""
    known = json.loads((directory / "data" / "credentials.json").read_text("utf-8"))
    exported = {variable: known[name] for variable, name in CREDENTIALS.items()}
    return {"NODE_PATH": str(installed_packages(SDK)), **exported}


def test_every_block_of_the_page_does_what_the_page_shows(running: tuple[Platform, Path]) -> None:
    platform, directory = running
    blocks = blocks_of(PAGE)
    here = {"http://localhost:8080": platform.address, ".tidemill/": f"{directory / 'data'}/"}
    written = re.compile("|".join(map(re.escape, here)))
    assert {block.language for block in blocks} == {"sh", "javascript"}
    tools = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}

    with shell(directory, tools) as terminal, javascript(NODE, directory, sdk_environment(directory)) as node:
        for block in blocks:
            code = written.sub(lambda found: here[found[0]], block.code)
            check(block, code, terminal if block.language == "sh" else node)


def test_every_curl_of_the_page_is_in_a_block_that_is_executed() -> None:
    text = PAGE.read_text("utf-8")

    executed = sum(block.code.count("curl -s") for block in blocks_of(PAGE))

    assert text.count("curl -s") == executed > 0


def test_every_route_of_the_dialect_is_in_the_table_of_the_page(running: tuple[Platform, Path]) -> None:
    platform, _ = running
    with platform.anonymous() as anonymous:
        described = anonymous.get("/openapi.json").json()["paths"]
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    listed = {_bare(f"{verb} {path}") for row in rows for verb, path in re.findall(r"`([A-Z]+) (/\w+/v\d[^`]*)`", row)}

    for path, item in described.items():
        if path.startswith(("/tasks/v1", "/auth/v2", "/users/v1")):
            for method in item:
                assert {_bare(f"{verb} {path}") for verb in (method.upper(), "ANY")} & listed, (method, path)


def test_every_error_of_the_dialect_is_in_the_table_of_the_page() -> None:
    text = PAGE.read_text("utf-8")
    known = re.findall(r'Rendering\(\s*(\d+), (\d+), "(\w+)"', ERRORS.read_text("utf-8"))
    assert len(known) > 30

    for status, number, name in known:
        assert re.search(rf"^\| {number} \| `{name}` \| [^|]*\b{status}\b", text, re.MULTILINE), (number, name, status)


def _bare(route: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", route).partition("?")[0].rstrip("/")
