"""Whoever operates the platform reads about every metric it exports, and about none that it does not."""

import re

import services.all_in_one  # noqa: F401 - with it comes everything that exports metrics
from services.invoker.metrics import PoolCollector
from services.invoker.pool.stats import PoolStats
from shared.process.metrics import registry
from tests.architecture.files import ROOT, read

PAGE = ROOT / "docs" / "operations.md"


def test_the_page_for_operators_names_exactly_the_metrics_there_are() -> None:
    idle = PoolStats(workers={}, stem_cells={}, in_flight=0, waiting=0, invocations=0, cold_starts=0, ended={})
    pool = PoolCollector(lambda: idle)
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for collector in (registry, pool)
        for family in collector.collect()
        if family.name.startswith("tidemill_")
    }

    assert set(re.findall(r"`(tidemill_\w+)`", read(PAGE))) == exported
