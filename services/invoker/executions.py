"""
Accepted executions: claimed, run once, settled once.

The row is the truth; the message only says that it is time. A claim moves the row from queued to running and
gives this invoker a lease that outlives the function's time limit; only its holder may settle it. A message
that comes again finds a row that is not queued any more and is done with. A run that was cut off is never
started again: the keeper settles it as interrupted, as both dialects promise (docs/adr/0003).

What cannot be run here and now is put off, not failed: its row stays queued, or goes back to it before the
event has reached any worker, and the relay sends it again a little later.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from services.invoker.invoke import Invoker
from services.invoker.lanes import Lanes
from services.invoker.receipts import Receipts, ended_execution
from shared.bus.bus import Delivery, Reject
from shared.database import executions
from shared.database.executions import Claim, ClaimedExecution, PutOff, Settlement
from shared.database.function_cache import FunctionCache
from shared.database.group_commit import GroupCommit
from shared.database.pool import Database
from shared.domain.errors import (
    FunctionNotFoundError,
    IllegalStateError,
    InternalError,
    PlatformError,
    ThrottledError,
    UnavailableError,
)
from shared.domain.execution import ExecutionKind
from shared.domain.function import Function
from shared.domain.outcome import Failure, Report, Returned, failure_of
from shared.messages.messages import LogLinesWritten, Record, RunExecution, Work

WAIT_IN_LANE_S = 20.0
"""How long a claimed execution waits for a place in its function's lane; then it is put off."""
WAIT_FOR_WORKER_S = 20.0
"""How long it then waits for a worker; the function's own time begins after that."""
SETTLE_S = 60.0
"""How long settling may take beyond the run: a database that is away for a moment must not cost a finished run."""
LANE_PATIENCE_S = 2.0
"""For how long nothing may end in a function's lane before it counts as jammed."""
PUT_OFF_S = 5.0
"""An execution there is no place for is sent again after so long."""
_PAUSE_S = 0.25

logger = structlog.get_logger()


def lease_s(timeout_s: float) -> float:
    """Return how long a lease lasts: as long as waiting, running to the time limit, and settling may take together."""
    return WAIT_IN_LANE_S + WAIT_FOR_WORKER_S + timeout_s + SETTLE_S


class ExecutionRunner:
    """Runs accepted executions for one invoker, known to the keeper as ``holder``."""

    def __init__(
        self,
        db: Database,
        functions: FunctionCache,
        invoker: Invoker,
        record: Callable[[Record], None],
        receipts: Receipts,
        *,
        holder: str,
        lane_width: int,
    ) -> None:
        self._db = db
        self._functions = functions
        self._invoker = invoker
        self._record = record
        self._receipts = receipts
        self._holder = holder
        self._lanes = Lanes(width=lane_width, patience_s=LANE_PATIENCE_S, wait_s=WAIT_IN_LANE_S)
        self._held: set[str] = set()
        self._claims: GroupCommit[Claim, ClaimedExecution | None] = GroupCommit(lambda rows: executions.claim(db, rows))
        self._settlements: GroupCommit[Settlement, bool] = GroupCommit(lambda rows: executions.settle(db, rows))
        self._put_offs: GroupCommit[PutOff, bool] = GroupCommit(
            lambda rows: executions.put_off(db, rows, due_in_s=PUT_OFF_S)
        )

    async def close(self) -> None:
        """End the group commits; nothing must be running any more."""
        await self._claims.close()
        await self._settlements.close()
        await self._put_offs.close()

    async def run(self, work: Work, delivery: Delivery) -> None:
        """
        Run one execution to its end; the handler of ``invoker.async.v1``.

        Raises:
            Reject: the message does not belong here.
            UnavailableError: the database is away; the bus holds the message until it is back.
        """
        if not isinstance(work, RunExecution):
            raise Reject(f"{type(work).__name__} does not belong on this queue")
        if work.execution_id in self._held:
            return
        self._held.add(work.execution_id)
        try:
            await self._run_held(work, again=delivery.count > 1)
        finally:
            self._held.discard(work.execution_id)

    async def _run_held(self, work: RunExecution, *, again: bool) -> None:
        try:
            function = await self._runnable(work)
        except (FunctionNotFoundError, IllegalStateError) as error:
            await executions.refuse(self._db, work.execution_id, refusal(error))
            return
        if self._lanes.is_jammed(function.id):
            await self._put_offs.submit(PutOff(id=work.execution_id, holder=self._holder))
            return
        await self._claim_and_run(work.execution_id, function, again=again)

    async def _runnable(self, work: RunExecution) -> Function:
        function = await self._functions.get(work.function_id, revision=work.revision)
        if not function.enabled:
            raise IllegalStateError("the function is disabled")
        return function

    async def _claim_and_run(self, execution_id: str, function: Function, *, again: bool) -> None:
        """
        Claim, run, settle.

        A redelivered message may find the row claimed by us although nothing here runs it: the answer to the
        claim was lost. Such a claim is taken up (``again``).
        """
        version = function.version
        lease = lease_s(version.spec.timeout_s)
        claimed = await self._claims.submit(
            Claim(id=execution_id, holder=self._holder, lease_s=lease, version_id=version.id, again=again)
        )
        if claimed is None:
            logger.debug("execution_not_queued", execution_id=execution_id)
            return
        begun = _Begun(function=function, claimed=claimed, at_s=time.monotonic())
        settlement = await self._run_in_lane(begun)
        if settlement is None:
            logger.info("execution_put_off", execution_id=execution_id, function_id=function.id)
            await self._put_offs.submit(PutOff(id=execution_id, holder=self._holder))
        else:
            await self._settle(settlement, give_up_at=begun.at_s + lease)

    async def _run_in_lane(self, begun: "_Begun") -> Settlement | None:
        """Run; None when there is no place for it now, and nothing was started. Claiming and settling need no place."""
        function_id = begun.function.id
        if not await self._lanes.enter(function_id):
            return None
        try:
            return await self._run_claimed(begun)
        except (ThrottledError, UnavailableError):
            return None
        finally:
            self._lanes.leave(function_id)

    async def _run_claimed(self, begun: "_Begun") -> Settlement:
        """Run; raise only what means that nothing was started and another time may be better."""
        function, claimed = begun.function, begun.claimed
        try:
            await self._functions.get(function.id)  # it may have been deleted while this one waited for its turn
            report = await self._invoker.run(
                function,
                claimed.kind,
                claimed.id,
                claimed.params,
                deadline_s=function.version.spec.timeout_s,
                wait_s=WAIT_FOR_WORKER_S,
            )
        except (ThrottledError, UnavailableError):
            raise
        except PlatformError as error:
            return self._settlement(begun, failure=refusal(error))
        except Exception:
            logger.exception("execution_failed_unexpectedly", execution_id=claimed.id)
            bug = InternalError("the invoker failed unexpectedly", incident=claimed.id)
            return self._settlement(begun, failure=refusal(bug))
        if report.logs:
            self._record(LogLinesWritten(record_id=claimed.id, first_number=0, lines=report.logs))
        return self._settlement(begun, report=report, failure=failure_of(report.outcome))

    def _settlement(self, begun: "_Begun", *, report: Report | None = None, failure: Failure | None) -> Settlement:
        returned = report.outcome if report is not None and isinstance(report.outcome, Returned) else None
        timings = report.timings if report is not None else None
        settlement = Settlement(
            id=begun.claimed.id,
            holder=self._holder,
            failure=failure,
            result=returned.result if returned is not None else None,
            result_defined=returned is not None and returned.defined,
            duration_ms=timings.init_ms + timings.handler_ms if timings is not None else 0.0,
            timings=timings,
            log_lines=len(report.logs) if report is not None else 0,
            dropped_log_lines=report.dropped_log_lines if report is not None else 0,
            finished_at=begun.now(),
        )
        if begun.claimed.kind is not ExecutionKind.NEO:
            return settlement
        run = ended_execution(begun.claimed, settlement, begun.function.version.code_hash)
        return replace(settlement, receipt=self._receipts.at_once(run))

    async def _settle(self, settlement: Settlement, give_up_at: float) -> None:
        """Write the end down, for as long as the lease lasts; past it the keeper settles the row."""
        while True:
            try:
                settled = await self._settlements.submit(settlement)
            except UnavailableError:
                if time.monotonic() >= give_up_at:
                    raise
                await asyncio.sleep(_PAUSE_S)
                continue
            if not settled:
                logger.warning("execution_lease_lost", execution_id=settlement.id)
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """An execution in our hands, with the function it is run on, and when it was claimed (a steady clock, seconds)."""

    function: Function
    claimed: ClaimedExecution
    at_s: float

    def now(self) -> datetime:
        """Return the time by the clock that said when it began: a run never ends before it began."""
        return self.claimed.started_at + timedelta(seconds=time.monotonic() - self.at_s)


def refusal(error: PlatformError) -> Failure:
    """Return a platform error as the failure an execution is settled with."""
    return Failure(kind="refused", name=error.code, message=error.message)
