"""What every package store promises: run on PostgreSQL and on S3."""

import asyncio
import hashlib

import pytest

from shared.domain.errors import NotFoundError
from shared.packages.store import PackageStore

LARGEST = 50 << 20


async def test_what_was_put_is_got_by_its_sha256(store: PackageStore) -> None:
    content = bytes(range(256)) * 10

    sha256 = await store.put(content)

    assert sha256 == hashlib.sha256(content).hexdigest()
    assert await store.get(sha256) == content
    assert await store.renew(sha256)


async def test_what_nobody_put_is_not_found(store: PackageStore) -> None:
    absent = hashlib.sha256(b"absent").hexdigest()

    assert not await store.renew(absent)
    with pytest.raises(NotFoundError):
        await store.get(absent)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
async def test_what_is_no_digest_is_not_found(store: PackageStore, name: str) -> None:
    assert not await store.renew(name)
    with pytest.raises(NotFoundError):
        await store.get(name)


async def test_putting_twice_keeps_one(store: PackageStore) -> None:
    assert await store.put(b"same") == await store.put(b"same")


async def test_many_at_once_put_and_get_the_same_package(store: PackageStore) -> None:
    async with asyncio.TaskGroup() as group:
        puts = [group.create_task(store.put(b"x" * 100_000)) for _ in range(8)]
    (sha256,) = {put.result() for put in puts}

    async with asyncio.TaskGroup() as group:
        gets = [group.create_task(store.get(sha256)) for _ in range(8)]
    assert {get.result() for get in gets} == {b"x" * 100_000}


async def test_an_empty_package_is_a_package(store: PackageStore) -> None:
    assert await store.get(await store.put(b"")) == b""


async def test_the_largest_package_fits(store: PackageStore) -> None:
    content = bytes(LARGEST)

    assert await store.get(await store.put(content)) == content
