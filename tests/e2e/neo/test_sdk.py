"""The JavaScript SDK (``sdk/javascript``) against a running service, as a program of its users would load it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.domain.runtime import Family
from shared.process.node_programs import find_node
from tests.e2e.neo.conftest import Account
from tests.support.fixtures_npm import installed_app
from tests.support.platform import ROOT, Platform

PACKAGE = ROOT / "sdk" / "javascript"
TESTS = Path(__file__).parent / "sdk"
NAMES = ("neo-service-layer-sdk", "@tidemill/neo")
RUN_S = 90


@pytest.fixture(scope="module")
def installed() -> Path:
    """Return a directory with the tests, TypeScript, and the package under both of its names."""
    directory = installed_app(TESTS)
    for name in NAMES:
        link = directory / "node_modules" / name
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(PACKAGE)
    return directory


def node(version: Family = Family.NODE) -> Path:
    program = find_node(version)
    assert program is not None, f"no {version} is installed"
    return program


def run(program: Path, arguments: Sequence[str | Path], directory: Path, **environ: str) -> str:
    """Run Node.js; return what it printed, fail with all of it when it fails."""
    done = subprocess.run(
        [program, *arguments],
        cwd=directory,
        env={"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(directory), **environ},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", [Family.NODE18, Family.NODE])
def test_the_sdk_does_what_the_service_offers(
    platform: Platform, account: Account, installed: Path, version: Family
) -> None:
    files = [path.name for path in sorted(TESTS.iterdir()) if ".test." in path.name]
    assert files == ["module.test.mjs", "samples.test.js", "sdk.test.js"]

    for file in files:
        printed = run(
            node(version),
            ["--test", file],
            installed,
            TIDEMILL_URL=platform.address,
            TIDEMILL_TEST_KEY=account.key,
        )
        assert "fail 0" in printed


def test_the_types_say_what_the_sdk_does(installed: Path) -> None:
    run(node(), ["node_modules/typescript/bin/tsc", "--project", "tsconfig.json"], installed)


def test_the_package_holds_its_files_and_no_more(tmp_path: Path) -> None:
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    [packed] = json.loads(run(node(), [npm, "pack", "--dry-run", "--json"], PACKAGE, HOME=str(tmp_path)))

    assert sorted(file["path"] for file in packed["files"]) == [
        "README.md", "index.d.mts", "index.d.ts", "index.js", "index.mjs", "package.json",
    ]  # fmt: skip
    described = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert not {"dependencies", "devDependencies", "scripts"} & described.keys()
