"""
Accepted executions: claimed, run once, settled once.

The row is the truth; the message only says that it is time. A claim moves the row from queued to running and
gives this invoker a lease that outlives the function's time limit; only its holder may settle it. A message
that comes again finds a row that is not queued any more and is done with. A run that was cut off is never
started again: the lease keeper settles it as interrupted, as both dialects promise (docs/adr/0003).
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from services.invoker.invoke import Invoker
from shared.bus.bus import Delivery, Reject
from shared.database import executions
from shared.database.executions import Claim, ClaimedExecution, Settlement
from shared.database.function_cache import FunctionCache
from shared.database.group_commit import GroupCommit
from shared.database.pool import Database
from shared.domain.errors import (
    FunctionNotFoundError,
    IllegalStateError,
    PlatformError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.function import Function
from shared.domain.outcome import Failure, Report, Returned, failure_of
from shared.messages.messages import LogLinesWritten, Record, RunExecution, Work

LEASE_MARGIN_S = 30.0
"""How much longer a lease lasts than the function's time limit: loading, settling, a slow database."""
PATIENCE_S = 20.0
"""How long a claimed execution waits for a place when its function is at its limit."""
_PAUSE_S = 0.25

logger = structlog.get_logger()


class ExecutionRunner:
    """Runs accepted executions for one invoker, known to the lease keeper as ``holder``."""

    def __init__(
        self,
        db: Database,
        functions: FunctionCache,
        invoker: Invoker,
        record: Callable[[Record], None],
        *,
        holder: str,
    ) -> None:
        self._db = db
        self._functions = functions
        self._invoker = invoker
        self._record = record
        self._holder = holder
        self._claims: GroupCommit[Claim, ClaimedExecution | None] = GroupCommit(lambda rows: executions.claim(db, rows))
        self._settlements: GroupCommit[Settlement, bool] = GroupCommit(lambda rows: executions.settle(db, rows))

    async def close(self) -> None:
        """End the two group commits; nothing must be running any more."""
        await self._claims.close()
        await self._settlements.close()

    async def run(self, work: Work, delivery: Delivery) -> None:
        """Run one execution to its end; the handler of ``invoker.async.v1``."""
        if not isinstance(work, RunExecution):
            raise Reject(f"{type(work).__name__} does not belong on this queue")
        try:
            function = await self._runnable(work.function_id)
        except (FunctionNotFoundError, IllegalStateError) as error:
            await executions.refuse(self._db, work.execution_id, refusal(error))
            return
        claimed = await self._claims.submit(self._claim(work.execution_id, function))
        if claimed is None:
            logger.debug("execution_not_queued", execution_id=work.execution_id, delivery=delivery.count)
            return
        settlement = await self._run_claimed(function, claimed)
        await self._settle(settlement, deadline=time.monotonic() + LEASE_MARGIN_S / 2)

    async def _runnable(self, function_id: str) -> Function:
        function = await self._functions.get(function_id)
        if not function.enabled:
            raise IllegalStateError("the function is disabled")
        return function

    def _claim(self, execution_id: str, function: Function) -> Claim:
        lease = timedelta(seconds=function.version.spec.timeout_s + PATIENCE_S + LEASE_MARGIN_S)
        return Claim(id=execution_id, holder=self._holder, lease_until=datetime.now(UTC) + lease)

    async def _run_claimed(self, function: Function, claimed: ClaimedExecution) -> Settlement:
        try:
            report = await self._run_patiently(function, claimed)
        except PlatformError as error:
            return self._settlement(claimed.id, failure=refusal(error))
        if report.logs:
            self._record(LogLinesWritten(record_id=claimed.id, first_number=0, lines=report.logs))
        return self._settlement(claimed.id, report=report, failure=failure_of(report.outcome))

    async def _run_patiently(self, function: Function, claimed: ClaimedExecution) -> Report:
        """An accepted execution is not refused for a full house as a synchronous call is: it waits a little."""
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self._invoker.run(
                    function,
                    claimed.kind,
                    claimed.id,
                    claimed.params,
                    function.version.spec.timeout_s + LEASE_MARGIN_S / 2,
                )
            except (ThrottledError, UnavailableError):
                if time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(_PAUSE_S)

    def _settlement(self, execution_id: str, *, report: Report | None = None, failure: Failure | None) -> Settlement:
        returned = report.outcome if report is not None and isinstance(report.outcome, Returned) else None
        timings = report.timings if report is not None else None
        return Settlement(
            id=execution_id,
            holder=self._holder,
            failure=failure,
            result=returned.result if returned is not None else None,
            result_defined=returned is not None and returned.defined,
            duration_ms=timings.init_ms + timings.handler_ms if timings is not None else 0.0,
            timings=timings,
            log_lines=len(report.logs) if report is not None else 0,
            dropped_log_lines=report.dropped_log_lines if report is not None else 0,
        )

    async def _settle(self, settlement: Settlement, *, deadline: float) -> None:
        """
        Write the end down, patiently: a database that is away for a moment must not cost a finished run.

        Past the deadline the message goes back; the lease runs out and the keeper settles the row.
        """
        while True:
            try:
                settled = await self._settlements.submit(settlement)
            except UnavailableError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE_S)
                continue
            if not settled:
                logger.warning("execution_lease_lost", execution_id=settlement.id)
            return


def refusal(error: PlatformError) -> Failure:
    """Return a platform error as the failure an execution is settled with."""
    return Failure(kind="refused", name=error.code, message=error.message)
