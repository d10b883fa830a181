"""
What a database needs before services start on it: the schema, the partitions of these days, the first account.

Kept apart from the services, so that ``migrate`` does not import them.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from services.credentials import Credentials
from services.first_consumer import ensure_first_consumer
from services.keyring import open_envelope
from shared.crypto.envelope import Envelope
from shared.crypto.passwords import hash_password, verify_password
from shared.crypto.tokens import sha256_hex, shown_prefix
from shared.database import access, accounts, migrate
from shared.database.accounts import AdminCredentials
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.process.health import Health
from shared.process.settings import Settings


async def prepare_database(settings: Settings, dsn: str, credentials: Credentials) -> None:
    """Migrate a database and make the first account in it."""
    await migrate.migrate(dsn)
    async with AsyncExitStack() as stack:
        db = await Database.connect(dsn, max_size=1)
        stack.push_async_callback(db.close)
        # Work may be accepted before a logger is there to make the partitions of the day.
        await ensure_partitions(db, datetime.now(UTC).date())
        await ensure_first_account(db, open_envelope(settings.master_key, Health("migrate"), stack), credentials)


async def _password_hash(db: Database, credentials: Credentials) -> str:
    """Return the hash the first user has, if it is of their password; else a new one."""
    known = await access.find_user_by_email(db, credentials.email)
    if known is not None and await asyncio.to_thread(verify_password, credentials.password, known.password_hash):
        return known.password_hash
    return await asyncio.to_thread(hash_password, credentials.password)


async def ensure_first_account(db: Database, envelope: Envelope, credentials: Credentials) -> None:
    """Make the first account, or give it these credentials if it is there."""
    first = await accounts.ensure_first_account(
        db,
        AdminCredentials(
            email=credentials.email,
            password_hash=await _password_hash(db, credentials),
            api_key_sha256=sha256_hex(credentials.api_key),
            api_key_prefix=shown_prefix(credentials.api_key),
            oauth_client_id=credentials.oauth_client_id,
        ),
    )
    await ensure_first_consumer(db, envelope, first.environment, credentials)
