import asyncio
import contextlib
from collections.abc import Awaitable

import asyncpg
import pytest

from shared.database.pool import Connection, Database
from shared.domain.errors import UnavailableError
from shared.domain.outcome import Failure
from tests.support.eventually import eventually


async def test_a_server_that_is_not_there_is_unavailable_when_the_deadline_has_passed() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await Database.connect("postgresql://postgres@127.0.0.1:1/none", deadline_s=0.2)


async def test_a_connection_that_breaks_in_a_statement_is_unavailable_and_the_next_statement_gets_another(
    db: Database,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        sleeping = tasks.create_task(_outcome(db.execute("SELECT pg_sleep(20)")))
        await eventually(lambda: _terminated(db, "SELECT pg_sleep(20)"))

    assert isinstance(sleeping.result(), UnavailableError)
    await db.ping()


async def test_a_connection_that_breaks_in_a_transaction_is_unavailable(db: Database) -> None:
    async def broken() -> None:
        async with db.transaction() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await db.fetchval("SELECT pg_terminate_backend($1)", pid)
            await connection.execute("SELECT 1")

    with pytest.raises(UnavailableError):
        await broken()

    await db.ping()


async def test_a_transaction_that_is_left_open_is_rolled_back_on_its_way_into_the_pool(database_url: str) -> None:
    db = await Database.connect(database_url, max_size=1)
    try:
        with contextlib.suppress(asyncpg.UndefinedTableError):
            await db.execute("BEGIN; CREATE TABLE left_open (); SELECT 1 FROM there_is_no_such_table")

        assert await db.fetchval("SELECT to_regclass('left_open')") is None
    finally:
        await db.close()


async def test_a_transaction_nobody_goes_on_with_lets_go_of_its_locks(
    database_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.database.pool._IDLE_TRANSACTION_S", 0.3)
    frozen = await Database.connect(database_url)

    async def holds_a_lock() -> None:
        async with frozen.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(7)")
            await eventually(lambda: db.fetchval("SELECT pg_try_advisory_lock(7)"))
            await connection.execute("SELECT 1")

    with pytest.raises(UnavailableError):
        await holds_a_lock()

    await frozen.ping()
    await frozen.close()


async def test_a_statement_nobody_waits_for_any_more_ends(
    database_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.database.pool._STATEMENT_OF_NOBODY_S", 0.3)
    frozen = await Database.connect(database_url)

    with pytest.raises(UnavailableError):
        await frozen.execute("SELECT pg_sleep(20)")

    still_there = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'"
    assert await db.fetchval(still_there) == 0
    await frozen.close()


async def test_when_every_connection_is_taken_the_wait_ends(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.database.pool._ACQUIRE_S", 0.1)
    db = await Database.connect(database_url, max_size=1)
    try:
        async with db.transaction():
            with pytest.raises(UnavailableError, match="no database connection was free"):
                await db.ping()
        await db.ping()
    finally:
        await db.close()


async def test_two_that_deadlock_both_get_through_in_the_end(db: Database) -> None:
    await db.execute("CREATE TABLE pair (id integer PRIMARY KEY, hits integer NOT NULL)")
    await db.execute("INSERT INTO pair VALUES (1, 0), (2, 0)")
    both_hold_one = asyncio.Barrier(2)
    attempts = 0

    def hit(*ids: int) -> "asyncio.Future[None]":
        async def work(connection: Connection) -> None:
            nonlocal attempts
            attempts += 1
            await connection.execute("UPDATE pair SET hits = hits + 1 WHERE id = $1", ids[0])
            if attempts <= both_hold_one.parties:
                await both_hold_one.wait()
            await connection.execute("UPDATE pair SET hits = hits + 1 WHERE id = $1", ids[1])

        return asyncio.ensure_future(db.in_transaction(work))  # noqa: TID251 - awaited below

    await asyncio.gather(hit(1, 2), hit(2, 1))

    assert [row["hits"] for row in await db.fetch("SELECT hits FROM pair")] == [2, 2]
    assert attempts > both_hold_one.parties


async def test_a_failed_transaction_leaves_nothing(db: Database) -> None:
    await db.execute("CREATE TABLE kept (id integer)")

    async def failed() -> None:
        async with db.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            await connection.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await failed()

    assert await db.fetchval("SELECT count(*) FROM kept") == 0


async def test_a_mistake_in_a_statement_is_not_taken_for_an_outage(db: Database) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        await db.execute("SELECT $1::int, $2::int", 1)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"a": [1, 2.5, None, True], "ü": "✓"}, {"a": [1, 2.5, None, True], "ü": "✓"}),
        ({"a\0": ["b\0c"]}, {"a\ufffd": ["b\ufffdc"]}),
        ({"a": "\\u0000"}, {"a": "\\u0000"}),
        ({"lone": "\ud800!", "pair": "\ud83d\ude00"}, {"lone": "\ufffd!", "pair": "😀"}),
        (
            Failure(kind="raised", name="E\0", message="\udc00"),
            {"kind": "raised", "name": "E\ufffd", "message": "\ufffd", "stack": "", "limit": None},
        ),
    ],
)
async def test_json_is_stored_whole_but_for_what_postgresql_cannot_hold(
    db: Database, given: object, stored: object
) -> None:
    assert await db.fetchval("SELECT $1::jsonb", given) == stored


async def test_closing_waits_for_nobody_for_ever(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.database.pool._CLOSE_S", 0.2)
    db = await Database.connect(database_url)
    with contextlib.suppress(UnavailableError, asyncpg.InterfaceError):
        async with db.transaction():
            async with asyncio.timeout(5):
                await db.close()

    with pytest.raises(UnavailableError):
        await db.ping()


async def _terminated(db: Database, query: str) -> bool:
    return bool(
        await db.fetchval("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = $1", query)
    )


async def _outcome(work: Awaitable[object]) -> object:
    try:
        return await work
    except UnavailableError as error:
        return error
