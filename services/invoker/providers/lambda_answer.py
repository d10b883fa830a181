"""
What AWS Lambda answers to an invocation, as our own report of a run.

Pure. Lambda tells what the function did wrong in the payload, by names our own engine uses too, and what it cost in
the last of the log lines it sends along: ``REPORT RequestId: ... Duration: 3.1 ms ... Init Duration: 80.2 ms``. It
sends the last four kilobytes of the log; the lines it writes about itself are left out. Those who chose JSON as the
format of their function's log get the same: an object a line, Lambda's own with a ``type`` of ``platform...``.

A line that does not say when it was written was written when the one before it was, or when the run began.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from services.invoker.sandbox.logs import parse_line
from shared.domain.function import VersionSpec
from shared.domain.outcome import (
    Crashed,
    LogLine,
    Outcome,
    OutOfMemory,
    Oversized,
    Raised,
    Report,
    Returned,
    TimedOut,
    Timings,
)

MAX_RESULT_BYTES = 6 * 1024 * 1024

_TAIL_BYTES = 4096
_OWN_LINES = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT ")
_OWN_WORDS = re.compile(r"(\S+ [0-9a-f-]{36} Task timed out after |RequestId: [0-9a-f-]{36} Error: )")
_DURATION = re.compile(r"(?<!Billed )(?<!Init )(?<!Restore )\bDuration: ([\d.]+) ms")
_INIT = re.compile(r"(?<!Billed )\b(?:Init|Restore) Duration: ([\d.]+) ms")
_MEMORY = re.compile(r"Memory Size: (\d+) MB\tMax Memory Used: (\d+) MB")
_NO_REQUEST = "0" * 8 + "-0000-0000-0000-" + "0" * 12
_UNCAUGHT = re.compile(r"\[ERROR\] (?=\w)")
_PYTHON_LINE = re.compile(r"\[[A-Z]+\]\t")
_TIMED_OUT = re.compile(r"Task timed out after ([\d.]+) seconds")
_EXIT = re.compile(r"exit status (\d+)")
_SIGNAL = re.compile(r"signal: (\w+)")
_SIZE = re.compile(r"\((\d+) bytes\)")
_SIGNALS = {"killed": 9, "segmentation": 11, "aborted": 6, "terminated": 15, "illegal": 4, "bus": 7, "floating": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """What a run cost, as Lambda says at the end of its log. ``init_ms`` is None for a warm start."""

    handler_ms: float = 0.0
    init_ms: float | None = None
    memory_mb: int = 0
    used_mb: int = 0

    @property
    def timings(self) -> Timings:
        return Timings(handler_ms=self.handler_ms, init_ms=self.init_ms or 0.0, cold_start=self.init_ms is not None)


def report_of(
    payload: bytes, error: str | None, tail: str, spec: VersionSpec, *, now_ms: int, waited_ms: float = 0.0
) -> Report:
    """
    Return the report of a run: its payload, what ``FunctionError`` says, and the end of its log.

    Where that does not say how long the run took, it took as long as was waited for it.
    """
    written = tail.split("\n")
    account = _account(written) or _Account(handler_ms=waited_ms)
    began_ms = now_ms - round(account.handler_ms + (account.init_ms or 0.0))
    # A tail of full length that does not begin with the start of the run has lost at least one line.
    cut = len(tail.encode()) >= _TAIL_BYTES and not tail.startswith(_OWN_LINES)
    return Report(
        outcome=Returned(result=payload or b"null") if error is None else _failed(payload, account, spec),
        timings=account.timings,
        logs=tuple(_lines(written, began_ms)),
        dropped_log_lines=1 if cut else 0,
        tail=tail,
    )


def _failed(payload: bytes, account: _Account, spec: VersionSpec) -> Outcome:
    try:
        said: Mapping[str, Any] = orjson.loads(payload)
        name, message = str(said.get("errorType") or ""), str(said.get("errorMessage") or "")
    except (orjson.JSONDecodeError, AttributeError):
        return Raised(name="Error", message=payload[:1000].decode(errors="replace"))
    if (timed_out := _TIMED_OUT.search(message)) and name in ("", "Sandbox.Timedout"):
        return TimedOut(limit_s=float(timed_out[1]))
    if name == "Function.ResponseSizeTooLarge":
        size = _SIZE.search(message)
        return Oversized(size_bytes=int(size[1]) if size else MAX_RESULT_BYTES + 1, limit_bytes=MAX_RESULT_BYTES)
    if name == "Runtime.OutOfMemory":
        return OutOfMemory(limit_mb=spec.memory_mb)
    if name == "Runtime.ExitError":
        return _ended(message, account, spec)
    return Raised(name=name or "Error", message=message, stack=_stack(said))


def _ended(message: str, account: _Account, spec: VersionSpec) -> Outcome:
    """Return how a process ended; one that was killed at its memory limit ran out of memory."""
    if "killed" in message and 0 < account.memory_mb <= account.used_mb:
        return OutOfMemory(limit_mb=spec.memory_mb)
    status, signal = _EXIT.search(message), _SIGNAL.search(message)
    return Crashed(
        exit_code=int(status[1]) if status else None,
        signal=_SIGNALS.get(signal[1]) if signal else None,
    )


def _stack(said: Mapping[str, Any]) -> str:
    """Return the stack: Node.js tells it as ``trace``, the others as ``stackTrace``."""
    trace = said.get("trace") or said.get("stackTrace") or []
    return "\n".join(str(each).rstrip("\n") for each in trace) if isinstance(trace, list) else str(trace)


def _account(written: Sequence[str]) -> _Account | None:
    for line in reversed(written):
        if line.startswith("REPORT RequestId: "):
            duration, init, memory = _DURATION.search(line), _INIT.search(line), _MEMORY.search(line)
            return _Account(
                handler_ms=float(duration[1]) if duration else 0.0,
                init_ms=float(init[1]) if init else None,
                memory_mb=int(memory[1]) if memory else 0,
                used_mb=int(memory[2]) if memory else 0,
            )
        if (told := _json(line)) is not None and told.get("type") == "platform.report":
            return _account_of(told)
    return None


def _account_of(told: Mapping[str, Any]) -> _Account:
    record = told.get("record")
    metrics = record.get("metrics") if isinstance(record, Mapping) else None
    known = {name: value for name, value in dict(metrics or {}).items() if isinstance(value, int | float)}
    return _Account(
        handler_ms=float(known.get("durationMs", 0)),
        init_ms=known.get("initDurationMs", known.get("restoreDurationMs")),
        memory_mb=int(known.get("memorySizeMB", 0)),
        used_mb=int(known.get("maxMemoryUsedMB", 0)),
    )


def _lines(written: Sequence[str], began_ms: int) -> Iterator[LogLine]:
    at_ms = began_ms
    for each in written:
        line = each.rstrip("\r")
        if not line or line.startswith(_OWN_LINES) or _OWN_WORDS.match(line):
            continue
        told = _json(line)
        if told is not None and str(told.get("type", "")).startswith("platform."):
            continue
        kept = _line(line, at_ms) if told is None else _line_of(told, line, at_ms)
        at_ms = kept.timestamp_ms
        yield kept


def _line(line: str, at_ms: int) -> LogLine:
    # Our own Python runtime marks what Lambda's logging wrote; Lambda's does not.
    mark = b"\0L" if _PYTHON_LINE.match(line) else b""
    kept = parse_line(mark + line.encode(), at_ms)
    return replace(kept, level="error") if _UNCAUGHT.match(line) else kept


def _line_of(told: Mapping[str, Any], line: str, at_ms: int) -> LogLine:
    """Return a line of a log in JSON; what is no line of Lambda's form is the author's own text."""
    at, level, message = told.get("timestamp"), told.get("level"), told.get("message")
    if not isinstance(at, str) or not isinstance(level, str) or message is None:
        return parse_line(line.encode(), at_ms)
    text = message if isinstance(message, str) else orjson.dumps(message).decode()
    at = at if "." in at else at.replace("Z", ".000Z")
    kept = parse_line(f"{at}\t{_NO_REQUEST}\t{level}\t{text}".encode(), at_ms)
    return replace(kept, message=line, text=text)


def _json(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None
