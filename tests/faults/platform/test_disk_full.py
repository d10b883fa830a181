"""The database's disk is full for a while: what needs it is refused, what was accepted or answered is not lost."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.apps_cluster import QUIET
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync
from tests.support.platform import all_in_one

SIZE = "140m"
PAD = "x" * 20_000
"""Makes an execution large enough to need new space on the disk."""
BLOCK = bytes(65536)


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """Give the all-in-one's database a small file system of its own."""
    mounted = directory / "data" / "postgres"
    mounted.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(mounted))
    yield mounted
    run("umount", "--lazy", str(mounted))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr} (this test needs root)"


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave no room on a disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(BLOCK)
    assert shutil.disk_usage(disk).free == 0
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_refuses_what_needs_it_and_loses_nothing(directory: Path, small_disk: Path) -> None:
    with all_in_one(directory, QUIET) as platform, platform.neo() as neo, platform.extra_horizon() as exh:
        functions = Functions(neo=neo, exh=exh)
        name = functions.create_neo("module.exports = ({ params }) => params.n")
        told = [call(functions, name, later=True), call(functions, name)]

        with filled(small_disk):
            while told[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE:
                told.append(call(functions, name, later=True))
            during = [call(functions, name) for _ in range(5)]

        eventually_sync(lambda: call(functions, name, later=True).is_success, within_s=20)
        kept = [id_of(each) for each in told + during if each.is_success]
        eventually_sync(lambda: all_completed(functions, name, kept), within_s=30)

    assert {each.status_code for each in told} == {200, 202, 503}
    assert {each.status_code for each in during} == {200}, "a synchronous call needs no disk"


def call(functions: Functions, name: str, *, later: bool = False) -> httpx.Response:
    return functions.invoke(name, {"n": 1, "pad": PAD}, **{"async": later})


def id_of(told: httpx.Response) -> str:
    return str(told.json()["data"]["execution"]["id"])


def all_completed(functions: Functions, name: str, ids: list[str]) -> bool:
    for each in ids:
        found = functions.neo.get(f"/v1/functions/{name}/executions/{each}")
        assert found.status_code == httpx.codes.OK, found.text
        assert found.json()["data"]["status"] == "completed"
    return True
