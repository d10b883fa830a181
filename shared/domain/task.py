"""Tasks and schedules: runs that are planned (contracts/extrahorizon.md sections 3.4, 3.5 and 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.outcome import Failure

RETRY_PAUSES_S: Final[Sequence[float]] = (2.0, 5.0, 10.0)
"""How long after its failure a task is tried again, the first time, the second and the third."""
LONGEST_INTERVAL_S: Final = 100 * 366 * 86_400
"""The longest interval of a schedule: the moments it leads to must be moments a calendar has."""
LOST_NAME: Final = "zombieTaskCleaned"
"""The published name of the error of a task whose outcome was lost: its failure is of the kind ``interrupted``."""


class TaskStatus(StrEnum):
    """The published words; see ``states.TASK`` for the legal moves."""

    NEW = "new"
    IN_PROGRESS = "inProgress"
    COMPLETE = "complete"
    FAILED = "failed"
    RETRIED = "retried"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    One planned run of the function that bears ``function_name`` when it begins.

    ``data`` is JSON text, None when the caller gave none. ``direct`` tells a run somebody waits for from a queued one.
    ``retry_for`` are all earlier tries, oldest first. ``run_id`` is the record id its log lines are kept under, made
    when it begins.
    """

    id: str
    environment_id: str
    function_name: str
    status: TaskStatus
    direct: bool = False
    data: bytes | None
    tags: tuple[str, ...] = ()
    priority: int = 0
    due_at: datetime
    schedule_id: str | None = None
    created_by_user: str | None = None
    created_by_application: str | None = None
    retried_by: str | None = None
    retry_for: tuple[str, ...] = ()
    failure: Failure | None = None
    created_at: datetime
    updated_at: datetime
    status_changed_at: datetime
    run_id: str | None = None
    log_lines: int = 0
    dropped_log_lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A plan to make a task every ``interval_s`` seconds, the first at ``starts_at``. ``data`` is JSON text."""

    id: str
    environment_id: str
    function_name: str
    interval_s: int
    data: bytes | None
    priority: int
    starts_at: datetime
    next_at: datetime
    created_by_user: str | None = None
    created_by_application: str | None = None
    created_at: datetime
    updated_at: datetime
