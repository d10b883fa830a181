from collections.abc import AsyncIterator

import pytest

from services.logger.batches import RecordWriter
from shared.database.pool import Database
from tests.integration.database.world import World


@pytest.fixture
async def db(bare_database_url: str) -> AsyncIterator[Database]:
    """A database of this test's own, without partitions: those are the logger's to make."""
    db = await Database.connect(bare_database_url)
    yield db
    await db.close()


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


@pytest.fixture
def writer(db: Database) -> RecordWriter:
    return RecordWriter(db, keep_days=7)
