"""A database that stalls at the worst moment, seen from one connection pool."""

from collections.abc import Iterator

import pytest

from shared.database import pool
from shared.database.pool import Database
from tests.support.apps_outage import StallingDatabase, stalling_database


@pytest.fixture
def way(database_url: str) -> Iterator[StallingDatabase]:
    with stalling_database(database_url) as stalling:
        yield stalling


async def test_what_a_statement_did_is_known_although_its_connection_stalls_on_its_way_back(
    way: StallingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CLOSE_S", 0.2)
    db = await Database.connect(way.url, max_size=1)
    try:
        async with db.connection() as connection:
            answer = await connection.fetchval("SELECT 41 + 1")
            way.stall()
        way.heal()

        assert answer == 42
        assert await db.fetchval("SELECT 1") == 1
    finally:
        way.heal()
        await db.close()
