"""
A day of records is a partition of each records table: made ahead of need, dropped whole when its time is over.

Record ids begin with their second, so a day is a range of ids. A partition is made on its own and then attached,
because that lets reading and writing go on; several processes may do it at once.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import asyncpg

from shared.database.api_request_counts import SHARD, count_dropped
from shared.database.pool import Connection, Database, Queries
from shared.database.stats import SETTLE_SHARD, count_ended, count_gone
from shared.domain.errors import UnavailableError
from shared.domain.ids import first_id_at, record_time
from shared.domain.states import EXECUTION, sources

_EXECUTIONS = "executions"
_API_REQUESTS = "api_requests"
TABLES = (_EXECUTIONS, _API_REQUESTS, "log_lines", "secret_accesses")
_LOCK = 0x7061_7274_6974_6E73
_LOCK_WAIT = "5s"
_DROP_WAIT = "2s"
_PARTITION = re.compile(rf"(?:{'|'.join(TABLES)})_p(\d{{4}})(\d\d)(\d\d)")


async def ensure_partitions(db: Database, today: date, days_ahead: int = 2) -> list[str]:
    """Make the partitions of today and so many days after it that are missing; return their names."""
    return await ensure_days(db, [today + timedelta(days=days) for days in range(days_ahead + 1)])


async def ensure_days(db: Database, days: Iterable[date]) -> list[str]:
    """
    Make the partitions of these days that are missing; return their names.

    Raises:
        UnavailableError: somebody else holds the tables' locks, for longer than 5 s.
    """
    wanted = {_name(table, day): (table, day) for table in TABLES for day in sorted(set(days))}
    if wanted.keys() <= set(await partitions(db)):
        return []

    async def work(connection: Connection) -> list[str]:
        await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        missing = wanted.keys() - set(await partitions(connection))
        for name in sorted(missing):
            await _make(connection, name, *wanted[name])
        return sorted(missing)

    try:
        return await db.in_transaction(work)
    except asyncpg.LockNotAvailableError as error:
        raise UnavailableError("the tables of records are locked by somebody else") from error


async def drop_old_partitions(db: Database, keep_days: int, today: date | None = None) -> list[str]:
    """
    Drop the partitions of days older than ``keep_days`` before today; return the names of those dropped.

    Dropping needs the table for itself for a moment. When a long read is in the way it is left for next time. An
    execution that has not ended when its day is dropped counts as failed, so that the ledger stays in balance.
    """
    oldest = (today or datetime.now(UTC).date()) - timedelta(days=keep_days)
    old = [name for name in await partitions(db) if day_of(name) < oldest]
    return [name for name in old if await _drop(db, name)]


async def partitions(db: Queries) -> list[str]:
    """Return the names of all partitions that belong to their tables, sorted."""
    rows = await db.fetch(
        """
        SELECT child.relname AS name FROM pg_inherits i
        JOIN pg_class child ON child.oid = i.inhrelid JOIN pg_class parent ON parent.oid = i.inhparent
        WHERE parent.relname = ANY($1::text[]) AND parent.relkind = 'p'
          AND parent.relnamespace = current_schema()::regnamespace
        """,
        list(TABLES),
    )
    return sorted(row["name"] for row in rows if _PARTITION.fullmatch(row["name"]))


def day_of(partition: str) -> date:
    """Return the day a partition holds, by its name."""
    found = _PARTITION.fullmatch(partition)
    if found is None:
        raise ValueError(f"{partition} is not the name of a partition")
    return date(*map(int, found.groups()))


def days_of(record_ids: Iterable[str]) -> set[date]:
    """Return the days whose partitions hold these records."""
    return {record_time(record_id).date() for record_id in record_ids}


def is_partition_missing(error: asyncpg.CheckViolationError) -> bool:
    """Tell whether a row was refused because its day has no partition."""
    # PostgreSQL has no code of its own for it; a real check constraint has a name.
    return not error.constraint_name


def _name(table: str, day: date) -> str:
    return f"{table}_p{day:%Y%m%d}"


async def _make(connection: Connection, name: str, table: str, day: date) -> None:
    first, after = (first_id_at(datetime(each.year, each.month, each.day, tzinfo=UTC)) for each in (day, _next(day)))
    await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{after}')")


def _next(day: date) -> date:
    return day + timedelta(days=1)


async def _drop(db: Database, name: str) -> bool:
    async def work(connection: Connection) -> None:
        await connection.execute(f"SET LOCAL lock_timeout = '{_DROP_WAIT}'")
        # Two loggers may be at it: the second finds nothing, under the lock of the first.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if name not in await partitions(connection):
            return
        # What is counted is what is dropped: nothing is written meanwhile.
        await connection.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        if name.startswith(_EXECUTIONS):
            await _count_unended(connection, name)
            await connection.execute(count_gone(name, "$1::smallint"), SETTLE_SHARD)
        if name.startswith(_API_REQUESTS):
            await connection.execute(count_dropped(name, "$1::smallint"), SHARD)
        await connection.execute(f"DROP TABLE {name}")

    try:
        await db.in_transaction(work)
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def _count_unended(connection: Connection, name: str) -> None:
    await connection.execute(
        f"""
        WITH ended AS (
            UPDATE {name} SET status = 'failed' WHERE status = ANY($1::text[])
            RETURNING function_id, kind, status, duration_ms, started_at
        )
        {count_ended("ended", "$2::smallint")}
        """,  # noqa: S608 - built from constants
        sorted({*sources(EXECUTION, "refused"), *sources(EXECUTION, "interrupted")}),
        SETTLE_SHARD,
    )
