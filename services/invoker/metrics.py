"""The pool's figures for Prometheus: read when asked, so that counting costs a call nothing."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.invoker.pool.stats import PoolStats


class PoolCollector(Collector):
    """Renders one pool's ``stats``."""

    def __init__(self, stats: Callable[[], PoolStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now."""
        stats = self._stats()
        workers = GaugeMetricFamily("tidemill_workers", "Worker processes, by state.", labels=["state"])
        for state, count in stats.workers.items():
            workers.add_metric([state], count)
        yield workers
        cells = GaugeMetricFamily("tidemill_stem_cells", "Workers that wait with no code.", labels=["runtime"])
        for runtime, count in stats.stem_cells.items():
            cells.add_metric([runtime], count)
        yield cells
        yield GaugeMetricFamily("tidemill_invocations_in_flight", "Calls held by the pool.", stats.in_flight)
        yield GaugeMetricFamily("tidemill_invocations_waiting", "Calls that wait for a worker.", stats.waiting)
        yield CounterMetricFamily("tidemill_invocations", "Calls run.", stats.invocations)
        yield CounterMetricFamily("tidemill_cold_starts", "Workers given a function.", stats.cold_starts)
        ended = CounterMetricFamily("tidemill_workers_ended", "Workers ended, by reason.", labels=["reason"])
        for reason, count in stats.ended.items():
            ended.add_metric([reason], count)
        yield ended
