"""
What AWS Lambda answers to an invocation, as our own report of a run.

Pure. Lambda tells what the function did wrong in the payload, by names our own engine uses too, and what it cost in
the last of the log lines it sends along: ``REPORT RequestId: ... Duration: 3.1 ms ... Init Duration: 80.2 ms``. It
sends the last four kilobytes of the log; the lines it writes about itself are left out.
"""

import re
from collections.abc import Iterator, Mapping
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
_DURATION = re.compile(r"(?<!Billed )(?<!Init )\bDuration: ([\d.]+) ms")
_INIT = re.compile(r"\bInit Duration: ([\d.]+) ms")
_MEMORY = re.compile(r"Memory Size: (\d+) MB\tMax Memory Used: (\d+) MB")
_PYTHON_LINE = re.compile(r"\[[A-Z]+\]\t")
_TIMED_OUT = re.compile(r"Task timed out after ([\d.]+) seconds")
_EXIT = re.compile(r"exit status (\d+)")
_SIGNAL = re.compile(r"signal: (\w+)")
_SIZE = re.compile(r"\((\d+) bytes\)")
_SIGNALS = {"killed": 9, "segmentation": 11, "aborted": 6, "terminated": 15, "illegal": 4, "bus": 7, "floating": 8}


def report_of(payload: bytes, error: str | None, tail: str, spec: VersionSpec, *, now_ms: int) -> Report:
    """Return the report of a run: its payload, what ``FunctionError`` says, and the end of its log."""
    account = next((line for line in reversed(tail.splitlines()) if line.startswith("REPORT RequestId: ")), "")
    lines = tuple(_lines(tail, now_ms))
    # A tail of full length that does not begin with the start of the run has lost at least one line.
    cut = len(tail.encode()) >= _TAIL_BYTES and not tail.startswith(_OWN_LINES)
    return Report(
        outcome=Returned(result=payload or b"null") if error is None else _failed(payload, account, spec),
        timings=_timings(account),
        logs=lines,
        dropped_log_lines=1 if cut else 0,
    )


def _failed(payload: bytes, account: str, spec: VersionSpec) -> Outcome:
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


def _ended(message: str, account: str, spec: VersionSpec) -> Outcome:
    """Return how a process ended; one that was killed at its memory limit ran out of memory."""
    memory = _MEMORY.search(account)
    if "killed" in message and memory and int(memory[2]) >= int(memory[1]):
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


def _timings(account: str) -> Timings:
    duration, init = _DURATION.search(account), _INIT.search(account)
    return Timings(
        handler_ms=float(duration[1]) if duration else 0.0,
        init_ms=float(init[1]) if init else 0.0,
        cold_start=init is not None,
    )


def _lines(tail: str, now_ms: int) -> Iterator[LogLine]:
    for line in tail.split("\n"):
        if line and not line.startswith(_OWN_LINES):
            # Our own Python runtime marks what Lambda's logging wrote; Lambda's does not.
            mark = b"\0L" if _PYTHON_LINE.match(line) else b""
            yield parse_line(mark + line.rstrip("\r").encode(), now_ms)
