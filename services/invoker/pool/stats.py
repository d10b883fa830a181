"""Figures of the pool, for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """
    A snapshot. ``workers`` counts by state, stem cells included; ``ended`` counts by ``KillReason``.

    ``invocations``, ``cold_starts`` and ``ended`` only grow; the others are gauges.
    """

    workers: Mapping[str, int]
    stem_cells: Mapping[str, int]
    in_flight: int
    waiting: int
    invocations: int
    cold_starts: int
    ended: Mapping[str, int]
