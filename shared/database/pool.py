"""
The connection pool, and what may go wrong with it.

``Database`` is a thin wrapper of an asyncpg pool with JSON codecs. Every wait has a deadline: for a connection,
for a statement. A database that is away is waited for, for a short while; then, and when a connection is lost
in the middle of a statement, the caller gets ``UnavailableError``: whether the statement took effect is then not
known, which is why statements are guarded or idempotent. A statement that lost a deadlock took no effect and is
tried again here. What the statements say is left to the modules named for their nouns.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeAlias, TypeVar

import asyncpg
import orjson

from shared.crypto.variables import Variables
from shared.database.text import json_text
from shared.domain.errors import UnavailableError

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

_STATEMENT_S = 30.0
_STATEMENT_OF_NOBODY_S = 40.0
"""The server's own limit, for a process that cannot say any more that it has waited long enough."""
_IDLE_TRANSACTION_S = 15.0
"""A transaction its process does not go on with for so long is undone: its locks may be what all others wait for."""
_ACQUIRE_S = 5.0
_FIRST_CONNECT_S = 15.0
_CLOSE_S = 5.0
_RETRIES = 5
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # we were stopped in the middle of it
    asyncpg.OperatorInterventionError,  # shutting down, starting, or the operator's own time limit
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.ReadOnlySQLTransactionError,  # a standby that was promoted elsewhere
)
_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Database:
    """
    PostgreSQL, as the functions of this package take it: a pool, or (where they say so) one of its connections.

    ``variables`` seals and opens environment variables of functions, in processes that may.

    Raises everywhere:
        UnavailableError: no connection in time, the connection was lost, or the statement took too long.
    """

    def __init__(self, dsn: str, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._dsn = dsn
        self.pool = pool
        self.variables: Variables | None = None

    @classmethod
    async def connect(cls, dsn: str, *, max_size: int = 10, deadline_s: float = _FIRST_CONNECT_S) -> Self:
        """
        Open a pool of at most ``max_size`` connections.

        A server that is still starting is waited for, until ``deadline_s``.
        """

        async def opened() -> "asyncpg.Pool[asyncpg.Record]":
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                init=_prepare,
                reset=_leave_as_it_is,
                command_timeout=_STATEMENT_S,
                timeout=_ACQUIRE_S,
                # Plans over partitions look costly enough for the compiler, which then costs more than the query.
                server_settings={
                    "application_name": "tidemill",
                    "jit": "off",
                    "timezone": "UTC",
                    "statement_timeout": f"{round(_STATEMENT_OF_NOBODY_S * 1000)}",
                    "idle_in_transaction_session_timeout": f"{round(_IDLE_TRANSACTION_S * 1000)}",
                },
            )

        return cls(dsn, await _patiently(opened, deadline_s))

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """Run one statement in a transaction of its own; return its rows."""
        return await self._run(lambda connection: connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        """Run one statement; return its first row."""
        return await self._run(lambda connection: connection.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: object) -> Any:
        """Run one statement; return the first value of its first row."""
        return await self._run(lambda connection: connection.fetchval(sql, *args))

    async def execute(self, sql: str, *args: object) -> str:
        """Run one statement, or without arguments several; return the server's word about it."""
        return await self._run(lambda connection: connection.execute(sql, *args))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Do several statements in one transaction. A lost deadlock is raised: see ``in_transaction``."""
        async with self.connection() as connection:
            try:
                async with connection.transaction():
                    yield connection
            except Exception as error:
                raise _translated(error) from error

    async def in_transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run ``work`` in a transaction; when it loses a deadlock, again from its beginning."""

        async def attempt() -> T:
            async with self.transaction() as connection:
                return await work(connection)

        return await _again_when_deadlocked(attempt)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Take a connection of the pool. Errors of statements are raised as asyncpg gives them."""

        async def acquired() -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
            return await self.pool.acquire(timeout=_ACQUIRE_S)

        connection = await _patiently(acquired, _ACQUIRE_S)
        try:
            yield connection
        finally:
            await self._release(connection)

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Open a connection outside the pool, for what holds it long: a session's lock."""
        connection = await _patiently(lambda: asyncpg.connect(self._dsn, timeout=_ACQUIRE_S), _ACQUIRE_S)
        try:
            yield connection
        finally:
            await _closed(connection)

    async def ping(self) -> None:
        """Ask the server for a sign of life; raise ``UnavailableError`` if there is none."""
        await self.fetchval("SELECT 1")

    async def close(self) -> None:
        """Give connections in use a moment to come back, then close them all."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def _run(self, statement: Callable[[Connection], Awaitable[T]]) -> T:
        async def attempt() -> T:
            async with self.connection() as connection:
                try:
                    return await statement(connection)
                except Exception as error:
                    raise _translated(error) from error

        return await _again_when_deadlocked(attempt)

    async def _release(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        # A connection that breaks on its way back is ended by the pool, which opens another when one is asked for.
        # What was done with it is done: that must not become an error of the statement.
        with suppress(*_AWAY, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError):
            await self.pool.release(connection, timeout=_CLOSE_S)


Queries: TypeAlias = "Database | Connection"
"""What most functions of this package take: the pool, or a connection in the caller's transaction."""


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for type_name in ("json", "jsonb"):
        await connection.set_type_codec(
            type_name, schema="pg_catalog", encoder=json_text, decoder=orjson.loads, format="text"
        )


async def _leave_as_it_is(_connection: object) -> None:
    """
    Give a connection back to the pool; a transaction that was left open has been rolled back by then.

    Otherwise asyncpg asks the server to forget session locks, settings, cursors and subscriptions, after each use: half
    the cost of a short statement. Ours leave none; a test reads them all.
    """


def _is_away(error: Exception) -> bool:
    if isinstance(error, _AWAY):
        return True
    # A server that ends its session while a statement is being sent: asyncpg does not know where it stands any more.
    if isinstance(error, asyncpg.InternalClientError):
        return True
    # asyncpg says both "the pool is closed" and "wrong number of arguments" with this type: only one is an outage.
    return isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)


def _translated(error: Exception) -> Exception:
    """Return the error a caller of the database should see."""
    if _is_away(error):
        return UnavailableError(f"the database is away: {error}")
    if isinstance(error, TimeoutError):
        return UnavailableError(f"the database took longer than {_STATEMENT_S:g} s")
    return error


async def _patiently(connect: Callable[[], Awaitable[T]], deadline_s: float) -> T:
    """Connect; while the server is away, try again until the deadline."""
    pause_s = _FIRST_PAUSE_S
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + deadline_s
    while True:
        try:
            return await connect()
        except TimeoutError as error:
            raise UnavailableError("no database connection was free in time") from error
        except (*_AWAY, asyncpg.InterfaceError) as error:
            if not _is_away(error):
                raise
            if loop.time() + pause_s >= give_up_at or isinstance(error, asyncpg.InterfaceError):
                raise UnavailableError(f"the database cannot be reached: {error}") from error
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def _again_when_deadlocked(attempt: Callable[[], Awaitable[T]]) -> T:
    for tried in range(_RETRIES):
        try:
            return await attempt()
        except _TRY_AGAIN:
            # Those it collided with must not come back in step with it.
            await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_S * 2**tried))  # noqa: S311 - jitter
    return await attempt()


async def _closed(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    try:
        await connection.close(timeout=_CLOSE_S)
    except (*_AWAY, asyncpg.InterfaceError, TimeoutError):
        connection.terminate()
