"""The disk cache of unpacked packages: one fetch for all, bounded, never taking away what was just given."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.domain.errors import InvalidPackageError, NotFoundError, UnavailableError
from shared.packages.cache import PackageCache
from shared.packages.package import build_package
from shared.packages.store import PackageStore, digest, no_package
from tests.support.eventually import eventually

LARGE = 1 << 20
ROOMY = 100 * LARGE

OpenCache = Callable[..., PackageCache]


class DictStore:
    """Packages in a dict; counts what is asked for and can be made to wait."""

    def __init__(self) -> None:
        self.packages: dict[str, bytes] = {}
        self.gets: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def put(self, content: bytes) -> str:
        sha256 = await digest(content)
        self.packages[sha256] = content
        return sha256

    async def get(self, sha256: str) -> bytes:
        self.gets.append(sha256)
        await self.open.wait()
        if sha256 not in self.packages:
            raise no_package(sha256)
        return self.packages[sha256]

    async def renew(self, sha256: str) -> bool:
        return sha256 in self.packages

    async def delete(self, sha256: str) -> None:
        del self.packages[sha256]


@pytest.fixture
async def store() -> DictStore:
    return DictStore()


@pytest.fixture
async def open_cache(store: DictStore, tmp_path: Path) -> AsyncIterator[OpenCache]:
    """Caches on one directory, closed when the test ends."""
    port: PackageStore = store
    async with AsyncExitStack() as stack:

        def opened(max_bytes: int = ROOMY, keep_s: float = 60.0) -> PackageCache:
            cache = PackageCache(port, tmp_path / "cache", max_bytes, keep_s=keep_s)
            stack.push_async_callback(cache.close)
            return cache

        yield opened


def package(number: int, size: int = 100) -> bytes:
    return build_package({"index.js": b"%d" % number, "data": os.urandom(size)})


def unpacked(directory: Path) -> list[str]:
    """Return what the cache holds complete, over all places."""
    return sorted(path.name[:64] for path in directory.glob("cache/*/*-*") if len(path.name) > 64)


def leftovers(directory: Path) -> list[Path]:
    return [*directory.glob("cache/*/new-*"), *directory.glob("cache/*/old-*")]


async def test_a_package_is_fetched_once_and_stays(store: DictStore, open_cache: OpenCache) -> None:
    sha256 = await store.put(package(1))
    cache = open_cache()

    first = await cache.fetch(sha256)

    assert (first / "index.js").read_bytes() == b"1"
    assert await cache.fetch(sha256) == first
    assert store.gets == [sha256]


async def test_all_who_ask_together_share_one_fetch(store: DictStore, open_cache: OpenCache) -> None:
    sha256 = await store.put(package(1))
    cache = open_cache()
    store.open.clear()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(cache.fetch(sha256)) for _ in range(20)]
        await eventually(lambda: store.gets)
        store.open.set()

    assert len({task.result() for task in tasks}) == 1
    assert store.gets == [sha256]


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(
    store: DictStore, open_cache: OpenCache, tmp_path: Path
) -> None:
    sha256 = await store.put(package(1, LARGE))
    cache = open_cache()
    store.open.clear()

    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(cache.fetch(sha256))
        patient = group.create_task(cache.fetch(sha256))
        await eventually(lambda: store.gets)
        impatient.cancel()
        store.open.set()

    assert (patient.result() / "index.js").is_file()
    await eventually(lambda: not leftovers(tmp_path))


async def test_what_is_not_in_the_store_or_no_digest_is_not_found(open_cache: OpenCache, tmp_path: Path) -> None:
    cache = open_cache()

    for sha256 in ("0" * 64, "../../etc", "", "A" * 64):
        with pytest.raises(NotFoundError):
            await cache.fetch(sha256)

    assert unpacked(tmp_path) == []


async def test_a_broken_package_leaves_nothing_behind(store: DictStore, open_cache: OpenCache, tmp_path: Path) -> None:
    content = bytearray(package(1, 5000))
    content[200] ^= 1
    sha256 = await store.put(bytes(content))
    cache = open_cache()

    with pytest.raises(InvalidPackageError):
        await cache.fetch(sha256)

    assert unpacked(tmp_path) == []
    await eventually(lambda: not leftovers(tmp_path))


async def test_the_least_recently_used_goes_when_there_is_no_room(
    store: DictStore, open_cache: OpenCache, tmp_path: Path
) -> None:
    oldest, used, newest = [await store.put(package(number, LARGE)) for number in range(3)]
    cache = open_cache(max_bytes=int(2.5 * LARGE), keep_s=0)
    for sha256 in (oldest, used, oldest, used, newest):
        await cache.fetch(sha256)

    assert unpacked(tmp_path) == sorted([used, newest])
    await eventually(lambda: not leftovers(tmp_path))
    assert (await cache.fetch(oldest) / "index.js").is_file()
    assert unpacked(tmp_path) == sorted([newest, oldest])


async def test_what_was_just_given_is_not_taken_away(store: DictStore, open_cache: OpenCache, tmp_path: Path) -> None:
    given, other = [await store.put(package(number, LARGE)) for number in range(2)]
    cache = open_cache(max_bytes=int(1.5 * LARGE), keep_s=60)
    path = await cache.fetch(given)

    with pytest.raises(UnavailableError, match="in use"):
        await cache.fetch(other)

    assert (path / "index.js").is_file()
    await eventually(lambda: not leftovers(tmp_path))


async def test_a_package_larger_than_the_cache_is_refused_and_removed(
    store: DictStore, open_cache: OpenCache, tmp_path: Path
) -> None:
    cache = open_cache(max_bytes=LARGE // 2)

    with pytest.raises(UnavailableError):
        await cache.fetch(await store.put(package(1, LARGE)))

    await eventually(lambda: not leftovers(tmp_path))


async def test_a_new_process_finds_what_the_last_one_kept(store: DictStore, open_cache: OpenCache) -> None:
    sha256 = await store.put(package(1))
    last = open_cache()
    path = await last.fetch(sha256)
    await last.close()

    assert await open_cache().fetch(sha256) == path
    assert store.gets == [sha256]


async def test_the_size_of_what_was_kept_counts(store: DictStore, open_cache: OpenCache, tmp_path: Path) -> None:
    kept, other = [await store.put(package(number, LARGE)) for number in range(2)]
    last = open_cache()
    await last.fetch(kept)
    await last.close()

    await open_cache(max_bytes=int(1.5 * LARGE)).fetch(other)

    assert unpacked(tmp_path) == [other]


async def test_what_a_killed_process_left_half_done_is_removed_and_never_taken(
    store: DictStore, open_cache: OpenCache, tmp_path: Path
) -> None:
    sha256 = await store.put(package(1))
    place = tmp_path / "cache" / "0"
    for name in ("new-1", "old-2", sha256):
        (place / name).mkdir(parents=True)
        (place / name / "index.js").write_text("half")

    path = await open_cache().fetch(sha256)

    assert (path / "index.js").read_bytes() == b"1"
    await eventually(lambda: not leftovers(tmp_path))


async def test_nothing_from_before_a_reboot_is_believed(
    store: DictStore, open_cache: OpenCache, tmp_path: Path
) -> None:
    sha256 = await store.put(package(1))
    last = open_cache()
    path = await last.fetch(sha256)
    await last.close()
    (tmp_path / "cache" / "0" / "boot").write_text("another boot\n")
    (path / "index.js").unlink()

    assert (await open_cache().fetch(sha256) / "index.js").read_bytes() == b"1"
    assert store.gets == [sha256, sha256]


async def test_two_processes_on_one_directory_do_not_share_a_place(store: DictStore, open_cache: OpenCache) -> None:
    sha256 = await store.put(package(1))
    first, second = open_cache(), open_cache()

    paths = {await first.fetch(sha256), await second.fetch(sha256)}

    assert len(paths) == 2
    assert store.gets == [sha256, sha256]
