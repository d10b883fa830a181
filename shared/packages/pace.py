"""
Long work in a thread beside an event loop.

A thread that computes gives the interpreter lock away only when asked, and a loop that wakes up asks after 5 ms:
each of its turns would be 5 ms late for as long as the work lasts. Work that goes over ``paced`` items rests for
a moment in every millisecond instead, which costs it about a tenth of its speed.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_WORK_S = 0.001
_REST_S = 0.00005


def paced(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; between two of them, let other threads run if the last rest was a while ago."""
    rested_at = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - rested_at > _WORK_S:
            time.sleep(_REST_S)
            rested_at = time.monotonic()
