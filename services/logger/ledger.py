"""
The ledger of executions as metrics: accepted = queued + running + completed + failed + cancelled, per function.

A drift that is not 0 means that an execution was lost or counted twice. Metrics carry sums over all functions;
which functions drift is shown, the worst first and to a bound, by the health check and in the log.
"""

from collections.abc import Sequence

import structlog

from shared.database import executions
from shared.database.executions import LedgerRow
from shared.database.pool import Database
from shared.process import metrics

SHOWN = 20
_STATES = ("accepted", "queued", "running", "completed", "failed", "cancelled")

_executions = metrics.gauge("ledger_executions", "Executions ever accepted, and what became of them.", ("state",))
_drift = metrics.gauge("ledger_drift", "Executions the ledger cannot account for, over all functions; must be 0.")
_log = structlog.get_logger(__name__)


class Ledger:
    """Reads the ledger of one database and keeps the last finding for the health check."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._drifting: list[LedgerRow] = []

    async def export(self) -> None:
        """Read the ledger once and set the metrics."""
        rows = await executions.ledger(self._db)
        for state in _STATES:
            _executions.labels(state).set(sum(getattr(row, state) for row in rows))
        _drift.set(sum(abs(row.drift) for row in rows))
        self._drifting = _worst(rows)
        if self._drifting:
            _log.error("ledger_drifts", functions=_shown(self._drifting))

    async def check(self) -> object:
        """Return nothing while the ledger balances; raise with the worst functions when it does not."""
        if self._drifting:
            raise LedgerDriftError(f"the ledger drifts: {_shown(self._drifting)}")
        return None


class LedgerDriftError(Exception):
    """Executions were lost or counted twice."""


def _worst(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    return sorted((row for row in rows if row.drift), key=lambda row: -abs(row.drift))[:SHOWN]


def _shown(rows: Sequence[LedgerRow]) -> dict[str, int]:
    return {row.function_id: row.drift for row in rows}
