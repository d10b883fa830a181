import asyncio
import hashlib

from shared.database import packages, replicas
from shared.database.pool import Database


async def test_a_package_comes_back_byte_for_byte_and_is_kept_once(db: Database) -> None:
    content = bytes(range(256)) * 5000
    sha256 = hashlib.sha256(content).hexdigest()

    await asyncio.gather(*(packages.put_package(db, sha256, content) for _ in range(3)))

    assert await packages.get_package(db, sha256) == content
    assert await packages.get_package(db, "0" * 64) is None
    assert await db.fetchval("SELECT size FROM packages") == len(content)


async def test_who_beats_is_alive_until_silent(db: Database) -> None:
    for replica in ("b", "a", "a"):
        await replicas.beat(db, replica, "invoker")
    assert await replicas.alive(db) == ["a", "b"]
    started = await db.fetchval("SELECT started_at FROM replicas WHERE id = 'a'")
    await db.execute("UPDATE replicas SET seen_at = seen_at - interval '16 s' WHERE id = 'b'")

    await replicas.beat(db, "a", "invoker")

    assert await replicas.alive(db) == ["a"]
    assert await db.fetchval("SELECT started_at FROM replicas WHERE id = 'a'") == started


async def test_what_an_invoker_says_of_itself_is_read_while_it_is_alive(db: Database) -> None:
    for replica, version in (("a", "16.0.0"), ("b", "16.1.0"), ("a", "16.2.0")):
        await replicas.beat(db, replica, "invoker", {"runtimes": {"node16": {"version": version}}})
    await replicas.beat(db, "other", "logger")

    told = await replicas.details_of(db, "invoker")

    assert [each["runtimes"]["node16"]["version"] for each in told] == ["16.1.0", "16.2.0"]
    await db.execute("UPDATE replicas SET seen_at = seen_at - interval '16 s' WHERE id = 'b'")
    assert len(await replicas.details_of(db, "invoker")) == 1


async def test_those_not_heard_of_for_a_day_are_forgotten(db: Database) -> None:
    await replicas.beat(db, "old", "invoker")
    await db.execute("UPDATE replicas SET seen_at = seen_at - interval '25 hours'")

    await replicas.beat(db, "new", "invoker")

    assert [row["id"] for row in await db.fetch("SELECT id FROM replicas")] == ["new"]
