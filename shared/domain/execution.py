"""Executions and API requests: the records of runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.outcome import Failure, Timings


class ExecutionStatus(StrEnum):
    """See ``states.EXECUTION`` for the legal moves."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ExecutionKind(StrEnum):
    """Through which door a run came; the dialects list only their own."""

    NEO = "neo"
    TASK = "task"
    DIRECT = "direct"
    GATEWAYS = "gateways"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    One run, asked for by a caller, recorded whole.

    ``params``, ``result`` and ``receipt`` are JSON texts; ``receipt`` is None until the run has ended and been signed.
    """

    id: str
    function_id: str
    environment_id: str
    version_id: str
    kind: ExecutionKind
    status: ExecutionStatus
    params: bytes
    result: bytes | None
    result_defined: bool
    failure: Failure | None
    accepted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    timings: Timings | None
    log_lines: int
    dropped_log_lines: int
    receipt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One call of an API function (contracts/extrahorizon.md section 6). ``duration_s`` is fractional."""

    id: str
    environment_id: str
    function_name: str
    method: str
    path: str
    user_id: str | None
    application_id: str | None
    timestamp: datetime
    status_code: int
    duration_s: float
    failure: Failure | None
    log_lines: int
    dropped_log_lines: int

    @property
    def finished_at(self) -> datetime:
        return self.timestamp + timedelta(seconds=self.duration_s)
