"""Resource limits every sandbox starts with, whatever confines it."""

import os
import re
import resource
from dataclasses import dataclass

OPEN_FILES = 1024
NICE = 5
OOM_SCORE = 800
FIRST_SLOT_UID = 20000
SLOTS_OF_AN_INVOKER = 2048
"""Invokers of one machine use different uids: a block of so many each."""

MEGABYTE = 1024 * 1024
HEADROOM_MB = 32
"""A cgroup's limit is above the function's by this and ``/tmp``: the watchdog and V8 act first and gently."""


_COUNTED_BY_NAMESPACE = (5, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What bounds one worker, beyond its function's own limits."""

    result_bytes: int
    log_bytes: int
    line_bytes: int
    start_s: float


def process_limits(*, max_processes: int, own_uid: bool) -> list[list[int]]:
    """
    Return [limit, value] pairs for ``setrlimit``.

    The kernel counts processes by uid over all sandboxes, so that limit is only set where each slot has a uid
    of its own. Address space is not limited: Node.js reserves more of it than any function may use.
    """
    limits = [[resource.RLIMIT_NOFILE, OPEN_FILES], [resource.RLIMIT_CORE, 0]]
    if own_uid:
        limits.append([resource.RLIMIT_NPROC, max_processes])
    return limits


def counts_by_namespace(release: str = os.uname().release) -> bool:
    """
    Tell whether a Linux of this version counts the processes of a user namespace for themselves.

    Then a limit set in the namespace holds for one sandbox, even where all sandboxes have the same uid.
    """
    version = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    return version >= _COUNTED_BY_NAMESPACE
