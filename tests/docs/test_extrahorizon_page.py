"""The page of the Extra Horizon dialect, executed: each curl, each line of the SDK; each answer like the one shown."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import alike, blocks_of, check, read, shell
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
MARK = "=== the block ended"
PROGRAM_S = 60

PRELUDE = """
const text = value => typeof value === 'string' ? value : JSON.stringify(value);
const console = { log: value => process.stdout.write(`${text(value)}\\n`) };
(async () => {
"""
"""The blocks are one program; what they print is compared as JSON."""


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Path]]:
    with open_directory() as directory, all_in_one(directory, {"TIDEMILL_STEM_CELLS_PYTHON": "0"}) as platform:
        yield platform, directory


def printed_by(program: list[str], directory: Path) -> list[str]:
    """Run the blocks of the SDK as one program; return what each printed."""
    code = "".join(f"{block}\nprocess.stdout.write('{MARK}\\n');\n" for block in program)
    known = json.loads((directory / "data" / "credentials.json").read_text("utf-8"))
    given = {variable: known[name] for variable, name in CREDENTIALS.items()}
    run = subprocess.run(
        [NODE, "-e", f"{PRELUDE}{code}}})();"],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "NODE_PATH": str(installed_packages(SDK)), **given},
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.split(f"{MARK}\n")[:-1]


def test_every_block_of_the_page_does_what_the_page_shows(running: tuple[Platform, Path]) -> None:
    platform, directory = running
    blocks = blocks_of(PAGE)
    here = {"http://localhost:8080": platform.address, ".tidemill/": f"{directory / 'data'}/"}
    written = re.compile("|".join(map(re.escape, here)))
    codes = {block: written.sub(lambda found: here[found[0]], block.code) for block in blocks}
    program = [block for block in blocks if block.language == "javascript"]
    assert len(program) > 5
    assert len(blocks) - len(program) > 15

    with shell(directory, {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}) as terminal:
        for block in blocks:
            if block.language == "sh":
                check(block, codes[block], terminal)
            elif block is program[0]:
                printed = printed_by([codes[each] for each in program], directory)
                for each, real in zip(program, printed, strict=True):
                    assert each.answer is None or alike(read(each.answer), read(real)), f"{each.code}\n{real}"


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
