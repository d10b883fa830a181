"""The disk cache when its process is killed in the middle of its work."""

import asyncio
import subprocess
import sys
from pathlib import Path

from shared.packages.cache import PackageCache
from shared.packages.package import build_package
from shared.packages.store import digest, no_package
from tests.support.eventually import eventually
from tests.support.platform import ROOT

FILES = 3_000
FETCH = """
import asyncio, pathlib, sys
from shared.packages.cache import PackageCache
from tests.integration.packages.test_cache_crash import OneFile

async def main(store, directory):
    cache = PackageCache(OneFile(pathlib.Path(store)), pathlib.Path(directory), 1 << 30)
    await cache.fetch(pathlib.Path(store).name)

asyncio.run(main(*sys.argv[1:]))
"""


class OneFile:
    """A store of one package, which is a file named for its digest."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, content: bytes) -> str:
        raise AssertionError(f"{len(content)} bytes put into a store that is only read")

    async def get(self, sha256: str) -> bytes:
        if sha256 != self._path.name:
            raise no_package(sha256)
        return self._path.read_bytes()

    async def renew(self, sha256: str) -> bool:
        return sha256 == self._path.name

    async def delete(self, sha256: str) -> None:
        raise NotImplementedError


async def test_a_process_killed_while_unpacking_leaves_no_half_package(tmp_path: Path) -> None:
    content = build_package({f"lib/{number}.js": b"x" * 2000 for number in range(FILES)})
    sha256 = await digest(content)
    stored, directory = tmp_path / sha256, tmp_path / "cache"
    stored.write_bytes(content)
    process = subprocess.Popen([sys.executable, "-c", FETCH, stored, directory], cwd=ROOT)
    try:
        # Killed as soon as a part of it is there, long before three thousand files are.
        await eventually(lambda: any(directory.glob("0/new-*/lib/*")), within_s=20)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    assert not any(path.name.startswith(sha256) for path in directory.glob("0/*"))

    cache = PackageCache(OneFile(stored), directory, 1 << 30)
    path = await cache.fetch(sha256)

    assert path.parent == directory / "0"
    assert len(list((path / "lib").iterdir())) == FILES
    await eventually(lambda: not any(directory.glob("0/new-*")))
    await cache.close()
