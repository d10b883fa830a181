"""
The receipts of this invoker's runs, and of executions that ended without a run.

A run is signed where it ends, before its record goes out, if that is quick. What is large or laborious to hash,
what was refused, reaped or given up, and what ended while there was no key, is signed soon after from its row,
beside the event loop and in bounded batches. A run never fails, and is never held up, because of its receipt.

What is signed is what the record shows (``shared.crypto.receipts``): a text that the database cannot hold as it
is has been made storable before it is hashed.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import orjson
import structlog

from services.signing import ServiceKey
from shared.crypto.receipts import EndedRun, hash_of, hash_of_text, quick_hash_of_text, receipt
from shared.crypto.signing import SigningKey
from shared.database import receipts
from shared.database.executions import ClaimedExecution, Settlement
from shared.database.pool import Database
from shared.database.receipts import UnsignedRun
from shared.database.text import storable, stored_bytes
from shared.domain.execution import ExecutionStatus
from shared.domain.run_error import cancelled, run_error
from shared.messages.messages import ExecutionFinished

SIGN_S = 1.0
"""How often executions without a receipt are looked for."""
_QUICK_BYTES = 32 * 1024
"""Parameters and result together: some 0.1 ms in all, 4 ms for the most laborious of that size."""
_SHORT_BYTES = 8 * 1024
"""The same where they must be taken apart value by value; at most some 2 ms."""
_BATCHES = 5
"""At most so many at a time, so that a heap of them is no load that others feel; the rest waits for the next time."""

logger = structlog.get_logger(__name__)

_Hash = Callable[[str], str | None]


class Receipts:
    """Signs with the key of this process, as long as there is one."""

    def __init__(self, db: Database, key: ServiceKey) -> None:
        self._db = db
        self._key = key

    def at_once(self, run: UnsignedRun) -> str | None:
        """Return the receipt of a run as JSON text; None when it must be made later, or there is no key."""
        key = self._key.current
        size = len(run.params) + len(run.result or "")
        if key is None or size > _QUICK_BYTES:
            return None
        return _signed(run, key, hash_of_text if size <= _SHORT_BYTES else quick_hash_of_text)

    async def make_missing(self) -> None:
        """Sign what has ended without a receipt; a key that is missing is waited for."""
        for _ in range(_BATCHES):
            key = self._key.current
            if key is None:
                return
            runs = await receipts.unsigned(self._db)
            if not runs:
                return
            made = await asyncio.to_thread(_sign_all, runs, key)
            await receipts.keep(self._db, made)
            logger.info("receipts_made_later", count=len(made))


def ended_run(record: ExecutionFinished, code_hash: str) -> UnsignedRun:
    """Return what a receipt states of a run, of the record that is to be written."""
    return UnsignedRun(
        id=record.execution_id,
        function_id=record.function_id,
        code_hash=code_hash,
        params=record.params,
        status=ExecutionStatus(record.status),
        result=record.result,
        failure=record.failure,
        started_at=datetime.fromtimestamp(record.started_at_ms // 1000, UTC),
        finished_at=datetime.fromtimestamp(record.finished_at_ms // 1000, UTC),
    )


def ended_execution(claimed: ClaimedExecution, settlement: Settlement, code_hash: str) -> UnsignedRun:
    """Return what a receipt states of an accepted execution, of how it is to be settled."""
    return UnsignedRun(
        id=claimed.id,
        function_id=claimed.function_id,
        code_hash=code_hash,
        params=claimed.params.decode(),
        status=settlement.status,
        result=None if settlement.result is None else stored_bytes(settlement.result),
        failure=settlement.failure,
        started_at=claimed.started_at,
        finished_at=settlement.finished_at or claimed.started_at,
    )


def _sign_all(runs: Sequence[UnsignedRun], key: SigningKey) -> list[tuple[str, str]]:
    return [(run.id, text) for run in runs if (text := _signed(run, key, hash_of_text)) is not None]


def _signed(run: UnsignedRun, key: SigningKey, hash_text: _Hash) -> str | None:
    completed = run.status is ExecutionStatus.COMPLETED
    params_hash = hash_text(storable(run.params))
    result_hash = hash_text(storable("null" if run.result is None else run.result)) if completed else None
    if params_hash is None or (completed and result_hash is None):
        return None
    ended = EndedRun(
        execution_id=f"exec_{run.id}",
        function_id=run.function_id,
        code_hash=run.code_hash,
        params_hash=params_hash,
        result_hash=result_hash,
        error_hash=None if completed else _error_hash(run),
        status="completed" if completed else "failed",
        started_at=run.started_at,
        completed_at=run.finished_at,
    )
    return orjson.dumps(receipt(ended, key)).decode()


def _error_hash(run: UnsignedRun) -> str:
    told = cancelled() if run.failure is None else run_error(run.failure)
    return hash_of({name: storable(text) for name, text in told.items()})
