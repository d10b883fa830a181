"""
What one run of a user's function came to: values, never exceptions.

A function that throws, loops or dies has done something *we* report faithfully; only a request we cannot
honour or a platform failure is an exception (``shared.domain.errors``).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The handler returned; ``result`` is its JSON text as the worker wrote it (``b"null"`` for nothing)."""

    result: bytes
    defined: bool = True
    """False when the handler returned JavaScript's ``undefined`` (``result`` is then ``null``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """
    The handler threw, could not be loaded, or returned what is not JSON.

    ``name`` is the error's own name or one of Lambda's ``Runtime.*`` names: ``Runtime.UserCodeSyntaxError``,
    ``Runtime.ImportModuleError``, ``Runtime.HandlerNotFound``, ``Runtime.MalformedHandlerName``,
    ``Runtime.UnhandledPromiseRejection``, ``Runtime.MarshalError``.
    """

    name: str
    message: str
    stack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The run passed its time limit; its whole process tree was killed."""

    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversized:
    """The result is larger than ``limit_bytes``."""

    size_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """The run passed its memory limit and was killed."""

    limit_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """The process ended before it answered: ``exit_code`` if it exited, ``signal`` if it was killed."""

    exit_code: int | None = None
    signal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The run was ended by us, for a reason that is not its own doing."""

    reason: str


Outcome = Returned | Raised | TimedOut | Oversized | OutOfMemory | Crashed | Interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """
    One line a function wrote.

    ``message`` is the line as written, Lambda's prefix included, without the trailing newline; ``text`` is
    what the author wrote, without the prefix. ``level`` is lower case (``info`` when the line carries none).
    """

    timestamp_ms: int
    level: str
    message: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where a run's time went, in milliseconds, and whether its worker was specialised for this call."""

    queued_ms: float = 0.0
    worker_ms: float = 0.0
    load_ms: float = 0.0
    init_ms: float = 0.0
    handler_ms: float = 0.0
    cold_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything known about one finished run."""

    outcome: Outcome
    timings: Timings
    logs: tuple[LogLine, ...] = ()
    dropped_log_lines: int = 0
    """Lines produced beyond the bound: counted, not kept."""
    tail: str = ""
    """The end of the log as a cloud sends it, with what it says of the run itself; empty where it sends none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    A run that did not succeed, in the form that crosses the bus and is stored.

    ``kind`` is one of ``raised``, ``timed_out``, ``oversized``, ``out_of_memory``, ``crashed``,
    ``invalid_response`` (an API function answered what HTTP cannot carry), ``refused`` (a platform error
    before the run; ``name`` is its code) and ``interrupted``. The dialects make their own words from
    ``kind`` and ``limit`` (seconds, bytes or megabytes, by kind).
    """

    kind: str
    name: str = ""
    message: str = ""
    stack: str = ""
    limit: float | None = None


def failure_of(outcome: Outcome) -> Failure | None:
    """Return why a run failed, or None when it returned."""
    match outcome:
        case Returned():
            return None
        case Raised():
            return Failure(kind="raised", name=outcome.name, message=outcome.message, stack=outcome.stack)
        case TimedOut():
            return Failure(
                kind="timed_out",
                name="Sandbox.Timedout",
                message=f"Task timed out after {outcome.limit_s:.2f} seconds",
                limit=outcome.limit_s,
            )
        case Oversized():
            return Failure(
                kind="oversized",
                name="Function.ResponseSizeTooLarge",
                message=f"Response payload size ({outcome.size_bytes} bytes) exceeded "
                f"maximum allowed payload size ({outcome.limit_bytes} bytes).",
                limit=outcome.limit_bytes,
            )
        case OutOfMemory():
            return Failure(
                kind="out_of_memory",
                name="Runtime.OutOfMemory",
                message=f"Runtime exceeded its memory limit of {outcome.limit_mb} MB",
                limit=outcome.limit_mb,
            )
        case Crashed() | Interrupted():
            return _ended_early(outcome)


def _ended_early(outcome: Crashed | Interrupted) -> Failure:
    if isinstance(outcome, Interrupted):
        return Failure(kind="interrupted", name="InterruptedError", message=outcome.reason)
    how = f"exit status {outcome.exit_code}" if outcome.signal is None else f"signal: {outcome.signal}"
    return Failure(kind="crashed", name="Runtime.ExitError", message=f"Runtime exited with error: {how}")
