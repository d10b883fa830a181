"""One writer a function: whoever deploys it, looks at it at its cloud or gives a deployment of it up holds its lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from shared.database.pool import Database
from shared.domain.errors import UnavailableError


@asynccontextmanager
async def function_lock(db: Database, function_id: str, *, wait_s: float = 10.0) -> AsyncIterator[None]:
    """
    Be the only one who deploys a function, as long as the context lasts.

    The lock belongs to a connection of its own: when this process dies, the server lets go of it.

    Raises:
        UnavailableError: another deployer has the function, for longer than ``wait_s``.
    """
    async with db.dedicated() as connection:
        await connection.execute(f"SET lock_timeout = {int(wait_s * 1000)}")
        try:
            # Closing the connection unlocks it.
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", function_id)
        except asyncpg.LockNotAvailableError as error:
            raise UnavailableError("another deployer is at work on the function") from error
        yield
