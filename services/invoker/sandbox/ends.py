"""
How a worker's process ended, as an outcome.

The kernel's own count of kills is the truth about memory; V8 ends itself before that, with words on its log.
"""

import signal

from shared.domain.outcome import Crashed, Outcome, OutOfMemory

HEAP_TEXT = "heap out of memory"
"""What V8 writes before it aborts for lack of memory."""
_MAX_EXIT_CODE = 128
_ABORTED_BY_V8 = 134
_SIGNALS = frozenset(int(each) for each in signal.Signals)


def how_it_ended(code: int, *, out_of_memory: bool, heap_full: bool, memory_mb: int) -> Outcome:
    """Tell what an exit code means; a negative one is a signal, as one above 128 is where a shell or bwrap tells."""
    if out_of_memory or (heap_full and code in {_ABORTED_BY_V8, -signal.SIGABRT}):
        return OutOfMemory(limit_mb=memory_mb)
    if code < 0:
        return Crashed(signal=-code)
    if code > _MAX_EXIT_CODE and code - _MAX_EXIT_CODE in _SIGNALS:
        return Crashed(signal=code - _MAX_EXIT_CODE)
    return Crashed(exit_code=code)
