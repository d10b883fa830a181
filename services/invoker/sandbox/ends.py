"""
How a run ended, as an outcome: by the worker's own words, or with its process.

The kernel's own count of kills is the truth about memory; V8 ends itself before that, with words on its log.
"""

import json
import signal

from services.invoker.sandbox.frames import Frame
from shared.domain.outcome import Crashed, Outcome, OutOfMemory, Oversized, Raised, Returned

HEAP_TEXT = "heap out of memory"
"""What V8 writes before it aborts for lack of memory."""
_MAX_EXIT_CODE = 128
_ABORTED_BY_V8 = 134
_SIGNALS = frozenset(int(each) for each in signal.Signals)


def told(frame: Frame, limit_bytes: int) -> Outcome:
    """
    Return what a ``done``, ``large`` or ``raised`` frame says; a result beyond the limit is none.

    Raises:
        KeyError, TypeError, ValueError: our runtimes do not write such a frame.
    """
    if frame.type == "raised":
        return raised(frame.body)
    if frame.type == "large":
        return Oversized(size_bytes=int(frame.header["size"]), limit_bytes=limit_bytes)
    if len(frame.body) > limit_bytes:
        return Oversized(size_bytes=len(frame.body), limit_bytes=limit_bytes)
    return Returned(result=frame.body, defined="u" not in frame.header)


def raised(body: bytes) -> Raised:
    """Return what the body of a ``raised`` frame says; raises as ``told`` does."""
    error = json.loads(body)  # unlike orjson it reads half of a surrogate pair, which a function may well throw
    return Raised(name=_text(error["name"]), message=_text(error["message"]), stack=_text(error["stack"]))


def _text(value: object) -> str:
    """Return a text that can be encoded: each half of a surrogate pair becomes U+FFFD."""
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def how_it_ended(code: int, *, out_of_memory: bool, heap_full: bool, memory_mb: int) -> Outcome:
    """Tell what an exit code means; a negative one is a signal, as one above 128 is where a shell or bwrap tells."""
    if out_of_memory or (heap_full and code in {_ABORTED_BY_V8, -signal.SIGABRT}):
        return OutOfMemory(limit_mb=memory_mb)
    if code < 0:
        return Crashed(signal=-code)
    if code > _MAX_EXIT_CODE and code - _MAX_EXIT_CODE in _SIGNALS:
        return Crashed(signal=code - _MAX_EXIT_CODE)
    return Crashed(exit_code=code)
