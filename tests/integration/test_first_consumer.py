"""The first OAuth 1.0 application: made by ``migrate`` with the master key the apis have, and not without one."""

import asyncio
from contextlib import AsyncExitStack

from services.credentials import Credentials
from services.keyring import open_envelope
from services.prepare import prepare_database
from shared.database import applications, sealed_rows
from shared.database.applications import ConsumerRow
from shared.database.pool import Database
from shared.process.health import Health
from shared.process.settings import load_settings

CREDENTIALS = Credentials(
    email="admin@example.com",
    password="a long enough password",
    api_key="sl_" + "0" * 64,
    oauth_client_id="client",
    oauth1_consumer_key="ck",
    oauth1_consumer_secret="cs",
)
WITH_KEY = load_settings({"TIDEMILL_MASTER_KEY": bytes(range(32)).hex()})


async def consumer_in(dsn: str) -> ConsumerRow | None:
    db = await Database.connect(dsn, max_size=1)
    try:
        return await applications.find_consumer(db, "ck")
    finally:
        await db.close()


async def test_processes_that_start_together_make_one_that_every_api_can_open(empty_database_url: str) -> None:
    await asyncio.gather(*(prepare_database(WITH_KEY, empty_database_url, CREDENTIALS) for _ in range(3)))

    found = await consumer_in(empty_database_url)
    assert found is not None
    async with AsyncExitStack() as stack:
        envelope = open_envelope(WITH_KEY.master_key, Health("api"), stack)
        assert await envelope.open(found.sealed, found.version_id) == b"cs"
    db = await Database.connect(empty_database_url, max_size=1)
    try:
        assert await db.fetchval("SELECT count(*) FROM applications WHERE type = 'oauth1'") == 1
        assert [(use.table, use.rows) for use in await sealed_rows.uses(db)] == [("oauth1_consumers", 1)]
    finally:
        await db.close()


async def test_without_a_master_key_it_is_made_at_a_later_start_with_one(empty_database_url: str) -> None:
    await prepare_database(load_settings({}), empty_database_url, CREDENTIALS)
    assert await consumer_in(empty_database_url) is None

    await prepare_database(WITH_KEY, empty_database_url, CREDENTIALS)

    assert await consumer_in(empty_database_url) is not None
