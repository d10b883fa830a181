"""Deleting packages beside those who ask for them: run on PostgreSQL and on S3."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from services.deployer.sweep import sweep
from shared.database import package_uses
from shared.database.pool import Database
from shared.domain.errors import NotFoundError, UnavailableError
from shared.packages.store import PackageStore
from tests.support.eventually import eventually

HOUR_S = 3600.0


class GatedStore:
    """A store that waits for its gate before it deletes, and that can fail to."""

    def __init__(self, store: PackageStore) -> None:
        self._store = store
        self.gate = asyncio.Event()
        self.deleting: list[str] = []
        self.is_away = False

    async def put(self, content: bytes) -> str:
        return await self._store.put(content)

    async def get(self, sha256: str) -> bytes:
        return await self._store.get(sha256)

    async def renew(self, sha256: str) -> bool:
        return await self._store.renew(sha256)

    async def delete(self, sha256: str) -> None:
        self.deleting.append(sha256)
        await self.gate.wait()
        if self.is_away:
            raise UnavailableError("the store is away")
        await self._store.delete(sha256)


@pytest.fixture
def gated(store: PackageStore) -> GatedStore:
    return GatedStore(store)


async def put_long_ago(db: Database, store: PackageStore, *contents: bytes) -> list[str]:
    put = [await store.put(content) for content in contents]
    await db.execute("UPDATE package_uses SET used_at = used_at - $1::interval", timedelta(hours=2))
    return put


async def waits_for_a_lock(db: Database) -> bool:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await db.fetchval(sql))


async def test_what_nothing_needs_is_deleted_once_it_is_old(db: Database, store: PackageStore) -> None:
    [old] = await put_long_ago(db, store, b"old")
    young = await store.put(b"young")

    await sweep(db, store, older_than_s=HOUR_S)

    with pytest.raises(NotFoundError):
        await store.get(old)
    assert await store.get(young) == b"young"
    assert [row["sha256"] for row in await db.fetch("SELECT sha256 FROM package_uses")] == [young]


async def test_what_is_put_while_it_is_deleted_is_there_afterwards(
    db: Database, store: PackageStore, gated: GatedStore
) -> None:
    [sha256] = await put_long_ago(db, store, b"x")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sweep(db, gated, older_than_s=HOUR_S))
        await eventually(lambda: gated.deleting)
        putting = group.create_task(store.put(b"x"))
        await eventually(lambda: waits_for_a_lock(db))
        assert not putting.done()
        gated.gate.set()

    assert await store.get(sha256) == b"x"
    await sweep(db, store, older_than_s=HOUR_S)
    assert await store.get(sha256) == b"x"


async def test_whoever_looks_while_a_package_is_deleted_finds_none(
    db: Database, store: PackageStore, gated: GatedStore
) -> None:
    [sha256] = await put_long_ago(db, store, b"x")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sweep(db, gated, older_than_s=HOUR_S))
        await eventually(lambda: gated.deleting)
        looking = group.create_task(store.renew(sha256))
        await eventually(lambda: waits_for_a_lock(db))
        gated.gate.set()

    assert not looking.result()


async def test_what_was_found_in_time_is_not_deleted(db: Database, store: PackageStore, gated: GatedStore) -> None:
    old = await put_long_ago(db, store, b"1", b"2")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sweep(db, gated, older_than_s=HOUR_S))
        await eventually(lambda: gated.deleting)
        [later] = set(old) - set(gated.deleting)  # on the list of what is to be deleted already
        assert await store.renew(later)
        gated.gate.set()

    assert gated.deleting == [sha256 for sha256 in old if sha256 != later]
    assert await store.get(later) in {b"1", b"2"}


async def test_a_package_the_store_could_not_delete_comes_up_again(
    db: Database, store: PackageStore, gated: GatedStore
) -> None:
    old = await put_long_ago(db, store, b"x")
    gated.gate.set()
    gated.is_away = True

    with structlog.testing.capture_logs() as said:
        await sweep(db, gated, older_than_s=HOUR_S)

    assert [line["event"] for line in said] == ["packages_not_deleted"]
    assert await package_uses.unneeded(db, HOUR_S, limit=10) == old
    await sweep(db, store, older_than_s=HOUR_S)
    with pytest.raises(NotFoundError):
        await store.get(old[0])
