"""How alembic runs our migrations: over asyncpg, all in one transaction, one process at a time."""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 0x7469_6465_6D69_6C6C  # "tidemill": whoever migrates holds this advisory lock
_LOCK_WAIT = "60s"


async def _migrate(dsn: str) -> None:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(dsn)

    # Our own connect, because SQLAlchemy does not read every form of PostgreSQL URL that asyncpg does.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.run_sync(_apply)
    finally:
        await engine.dispose()


def _apply(connection: Connection) -> None:
    context.configure(connection=connection)
    context.run_migrations()


asyncio.run(_migrate(context.config.attributes["dsn"]))
