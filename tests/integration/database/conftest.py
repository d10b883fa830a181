from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from tests.integration.database.world import World


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database of this test's own, with the partitions of these days."""
    db = await Database.connect(database_url)
    await ensure_partitions(db, datetime.now(UTC).date())
    yield db
    await db.close()


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)
