"""
How much memory a process and its descendants hold, where no control group counts it.

Anonymous memory: resident pages that are not shared with files or other processes' mappings. A process that
ends while it is being counted counts nothing.
"""

import os

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_PROCESSES = 1024


def anonymous_of_tree(pid: int) -> int:
    """Return the anonymous bytes of ``pid`` and all it started, 0 when it is gone."""
    total = 0
    waiting, seen = [pid], 0
    while waiting and seen < _MAX_PROCESSES:
        each = waiting.pop()
        seen += 1
        total += _anonymous(each)
        waiting += children(each)
    return total


def _anonymous(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - polled; pathlib doubles the cost
            fields = file.read().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


def children(pid: int) -> list[int]:
    """Return what every thread of a process started."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as above
                found += [int(word) for word in file.read().split()]
    except OSError:
        return found
    return found
