import asyncio
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import Counter

from shared.process import metrics
from shared.process.health import Health, ProbeServer
from shared.process.settings import HttpSettings


@pytest.fixture
def probed() -> Iterator[Counter]:
    """A metric of these tests' own, gone afterwards: others look at which there are."""
    made = metrics.counter("health_test_probes_total", "Counted by the test of the probes.")
    yield made
    metrics.registry.unregister(made)


async def fine() -> dict[str, int]:
    return {"free": 3}


async def broken() -> None:
    raise ConnectionError("refused")


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_everything_fine_is_ready_and_shows_the_details() -> None:
    health = Health("invoker")
    health.add("pool", fine)
    report = await health.ready()

    assert report.ok
    assert report.body == {
        "status": "ready",
        "service": "invoker",
        "checks": {"pool": {"status": "ok", "details": {"free": 3}}},
    }


async def test_a_failed_check_turns_readiness_off_but_the_service_is_alive() -> None:
    health = Health("invoker")
    health.add("bus", broken)
    ready, alive = await health.ready(), await health.health()

    assert not ready.ok
    assert ready.body["checks"] == {"bus": {"status": "failed", "error": "ConnectionError: refused"}}
    assert alive.ok
    assert alive.body["status"] == "degraded"


async def test_a_check_that_hangs_fails_at_its_deadline() -> None:
    health = Health("invoker")
    health.add("bus", hangs, deadline_s=0.05)
    report = await asyncio.wait_for(health.ready(), 5)

    assert report.body["checks"] == {"bus": {"status": "failed", "error": "no answer within 0.05 s"}}


async def test_what_is_not_readiness_only_degrades() -> None:
    health = Health("invoker")
    health.add("sandbox", broken, readiness=False)

    assert (await health.ready()).ok
    assert (await health.health()).body["status"] == "degraded"


async def test_a_service_is_not_ready_before_it_has_started_whatever_its_checks_say() -> None:
    health = Health("invoker", starting=True)
    health.add("pool", fine)
    early, alive = await health.ready(), await health.health()
    health.started()

    assert (early.ok, early.body["status"]) == (False, "starting")
    assert (alive.ok, alive.body["status"]) == (True, "starting")
    assert (await health.ready()).ok


async def test_draining_turns_readiness_off_for_good() -> None:
    health = Health("invoker")
    health.drain()

    assert not (await health.ready()).ok
    assert (await health.health()).body["status"] == "draining"


def test_a_name_is_taken_once() -> None:
    health = Health("invoker")
    health.add("bus", fine)

    with pytest.raises(ValueError, match="bus"):
        health.add("bus", fine)


async def test_the_probes_answer_over_http(probed: Counter) -> None:
    health = Health("logger")
    health.add("bus", broken)
    probed.inc()
    async with (
        ProbeServer(health, HttpSettings(host="127.0.0.1", port=0)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", verify=False) as client,
    ):
        alive, ready, numbers = [await client.get(path) for path in ("/health", "/ready", "/metrics")]

    assert (alive.status_code, alive.json()["service"]) == (200, "logger")
    assert (ready.status_code, ready.json()["status"]) == (503, "not_ready")
    assert numbers.headers["Content-Type"] == metrics.CONTENT_TYPE
    assert "tidemill_health_test_probes_total 1.0" in numbers.text
