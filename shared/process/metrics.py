"""
Prometheus metrics of this process: the one registry and how it is rendered.

Metrics are declared, with these helpers, in the module whose behaviour they count. Names begin with
``tidemill_`` and end in their unit. Labels are bounded sets (a dialect, an outcome), never ids.
"""

from collections.abc import Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# Seconds: from a warm no-op call to the longest function.
LATENCY_BUCKETS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
)  # fmt: skip

registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    return Counter(f"tidemill_{name}", documentation, labels, registry=registry)


def gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(f"tidemill_{name}", documentation, labels, registry=registry)


def histogram(
    name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BUCKETS
) -> Histogram:
    return Histogram(f"tidemill_{name}", documentation, labels, buckets=buckets, registry=registry)


def render() -> bytes:
    """Return all metrics in Prometheus' text format; its type is ``CONTENT_TYPE``."""
    return generate_latest(registry)
