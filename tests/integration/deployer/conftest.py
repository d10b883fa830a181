from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.database.pool import Database
from shared.process.supervise import Supervisor
from tests.integration.database.world import World
from tests.integration.deployer.yard import Yard


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


@pytest.fixture
async def yard(db: Database, world: World, tmp_path: Path) -> AsyncIterator[Yard]:
    """A bus, a package store, and who listens; no deployer yet."""
    async with Supervisor() as supervisor:
        yard = Yard(db, world, supervisor)
        await yard.open()
        yield yard
        await yard.close()
