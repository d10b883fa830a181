"""
From a batch of records to rows: all of it in one transaction, or, when one record is at fault, all but that one.

Each record ends in exactly one way: written (also when it was written before), or dead, which is logged with its
reason and counted. Nothing else is given up: when the database is away, or refuses for a reason that is not in
the record, the whole batch is raised back to the bus, which delivers it again.

A record at fault is found by halving: its neighbours are written without it in some ten more transactions. A
record whose day has no partition yet gets one, if its day is one we keep.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from services.logger.settings import DAYS_AHEAD
from shared.database import api_requests, executions, logs, secret_accesses
from shared.database.logs import NumberedLine
from shared.database.partitions import days_of, ensure_days, is_partition_missing
from shared.database.pool import Connection, Database
from shared.domain.ids import is_record_id
from shared.messages.messages import ApiRequestFinished, ExecutionFinished, LogLinesWritten, Record, SecretsAsked
from shared.process import metrics

_written = metrics.counter("records_written_total", "Records that are on disk, by type.", ("type",))
_dead = metrics.counter("records_dead_total", "Records that could not be written for a reason in them.", ("type",))
_seconds = metrics.histogram("records_batch_seconds", "How long a batch of records took to be written.")

_AT_FAULT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
)
"""What a record can do wrong. Everything else is the database's trouble or ours, and the record is innocent."""

_log = structlog.get_logger(__name__)


class RecordWriter:
    """Writes batches to one database. Records of days before ``keep_days`` ago are past their time."""

    def __init__(
        self, db: Database, *, keep_days: int, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        self._db = db
        self._keep_days = keep_days
        self._today = today

    async def write(self, batch: Sequence[Record]) -> None:
        """
        Write a batch; return when each of its records is on disk or known to be dead.

        Raises:
            UnavailableError: the database is away; nothing is lost if the batch is given again.
        """
        began = time.monotonic()
        await self._write(batch)
        _seconds.observe(time.monotonic() - began)

    async def _write(self, batch: Sequence[Record]) -> None:
        try:
            await self._write_whole(batch)
        except _AT_FAULT as error:
            if len(batch) == 1:
                _bury(batch[0], error)
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])

    async def _write_whole(self, batch: Sequence[Record]) -> None:
        try:
            await self._db.in_transaction(lambda connection: _insert(connection, batch))
        except asyncpg.CheckViolationError as error:
            if not is_partition_missing(error) or not await self._make_partitions(batch):
                raise
            await self._db.in_transaction(lambda connection: _insert(connection, batch))
        for type_, count in Counter(record.TYPE for record in batch).items():
            _written.labels(type_).inc(count)

    async def _make_partitions(self, batch: Sequence[Record]) -> bool:
        """Make what is missing for those records of the batch whose day we keep; return whether anything was."""
        today = self._today()
        oldest, newest = today - timedelta(days=self._keep_days), today + timedelta(days=DAYS_AHEAD)
        ids = [each for each in map(record_id, batch) if is_record_id(each)]
        return bool(await ensure_days(self._db, [day for day in days_of(ids) if oldest <= day <= newest]))


def record_id(record: Record) -> str:
    """Return the id of the execution or API request that a record is about."""
    match record:
        case ExecutionFinished():
            return record.execution_id
        case ApiRequestFinished():
            return record.request_id
        case LogLinesWritten() | SecretsAsked():
            return record.record_id


async def _insert(connection: Connection, batch: Sequence[Record]) -> None:
    runs = [record for record in batch if isinstance(record, ExecutionFinished)]
    calls = [record for record in batch if isinstance(record, ApiRequestFinished)]
    if runs:
        await executions.insert_finished(connection, runs)
    if calls:
        await api_requests.insert_finished(connection, calls)
    asked = [record for record in batch if isinstance(record, SecretsAsked)]
    if asked:
        await secret_accesses.insert_asked(connection, asked)
    lines = [line for record in batch for line in _lines(record)]
    if lines:
        await logs.insert_lines(connection, lines)


def _lines(record: Record) -> Iterable[NumberedLine]:
    if isinstance(record, SecretsAsked):
        return ()
    first = record.first_number if isinstance(record, LogLinesWritten) else 0
    owner = record_id(record)
    return [(owner, number, line) for number, line in enumerate(record.lines, first)]


def _bury(record: Record, error: Exception) -> None:
    _dead.labels(record.TYPE).inc()
    _log.error("record_dead", type=record.TYPE, record_id=record_id(record), reason=f"{type(error).__name__}: {error}")
