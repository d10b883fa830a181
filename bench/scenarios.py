"""What is measured, and how: each scenario starts real processes, loads them over HTTP, and stops them."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from bench import records, requests
from bench.functions import create_api_function
from bench.load import Load, wrk
from bench.machine import pss_mb
from tests.support import backends, platform
from tests.support.platform import API_KEY, ROOT, Platform

WARM_UP_S = 3
LOAD_S = 10
FIRST_CALLS = 20
MANY = 10_000
RESULTS = ROOT / "bench" / "results"
ASYNC_DRAIN_S = 120.0
STEM_CELLS = {"TIDEMILL_STEM_CELLS_NODE": "4", "TIDEMILL_STEM_CELLS_PYTHON": "4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value; ``target`` is None where the value only informs."""

    measure: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    digits: int = 2

    def met(self) -> bool:
        """Tell whether the target is reached."""
        assert self.target is not None
        return self.value >= self.target if self.at_least else self.value <= self.target


def engine() -> Sequence[Figure]:
    """Measure the engine alone: pool, sandbox and worker, no HTTP and no bus."""
    run = subprocess.run(
        [sys.executable, "-m", "bench.engine"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    seen = json.loads(run.stdout.strip().splitlines()[-1])
    return [
        Figure(measure="engine alone, warm, no-op: p50", value=seen["p50_us"] / 1000, unit="ms", target=0.25),
        Figure(measure="engine alone, warm, no-op: p99", value=seen["p99_us"] / 1000, unit="ms", target=1.5),
        Figure(
            measure="engine alone, warm Neo no-op, 3 ms between calls: p50",
            value=seen["neo_p50_us"] / 1000,
            unit="ms",
            target=0.35,
        ),
        Figure(
            measure="engine alone, Neo no-op, 2 workers",
            value=seen["neo_per_second_2_workers"],
            unit="invocations/s",
            digits=0,
        ),
        Figure(
            measure="engine alone, 2 workers",
            value=seen["per_second_2_workers"],
            unit="invocations/s",
            target=6000,
            at_least=True,
            digits=0,
        ),
        Figure(measure="deadline → reply", value=seen["deadline_reply_ms"], unit="ms", target=20),
        Figure(measure="deadline → process tree gone", value=seen["deadline_gone_ms"], unit="ms", target=50),
    ]


def all_in_one() -> Sequence[Figure]:
    """Measure ``./tidemill up`` as a newcomer runs it, with four stem cells a runtime."""
    with backends.open_directory() as directory, platform.all_in_one(directory, STEM_CELLS) as running:
        time.sleep(WARM_UP_S)
        idle = pss_mb(running.processes["tidemill"].popen.pid)
        return [
            *_warm_calls(running, "all-in-one", p50_ms=1.2, per_second=2500),
            *_first_calls(running),
            *_asynchronous(running, "all-in-one", accepted=1000, finished=800),
            Figure(measure="idle all-in-one, 4 + 4 stem cells, tree", value=idle, unit="MB PSS", target=300, digits=0),
        ]


def rabbitmq() -> Sequence[Figure]:
    """Measure four separate processes with RabbitMQ between them."""
    with (
        backends.open_directory() as directory,
        _backends() as (amqp_url, database_url),
        platform.separate(directory, amqp_url, database_url, STEM_CELLS) as running,
    ):
        return [
            *_warm_calls(running, "RabbitMQ, separate processes", p50_ms=2.5, per_second=1500),
            *_asynchronous(running, "RabbitMQ, separate processes", accepted=1000, finished=800),
        ]


def many_functions() -> Sequence[Figure]:
    """Compare the warm p50 with 10 functions registered and with 10,000."""
    with (
        backends.open_directory() as directory,
        platform.all_in_one(directory, {"TIDEMILL_MAX_FUNCTIONS": str(2 * MANY)}) as running,
    ):
        few = _few_call(running)
        asyncio.run(_create_many(running, MANY))
        many = _few_call(running)
    return [
        Figure(measure="warm p50 with 10 functions", value=few.p50_ms, unit="ms"),
        Figure(measure="warm p50 with 10,000 functions", value=many.p50_ms, unit="ms", target=few.p50_ms * 1.1),
    ]


def stored_executions() -> Sequence[Figure]:
    """Measure lists of executions, whole requests, with a million stored; write how PostgreSQL reads them to a file."""
    with backends.open_directory() as directory, platform.all_in_one(directory) as running, running.neo() as client:
        for number in range(records.OTHERS + 1):
            body = {"name": f"stored-{number:02}", "runtime": "node18", "code": "module.exports = async () => 1"}
            client.post("/v1/functions", json=body).raise_for_status()
        asyncio.run(records.store(directory / "data"))
        RESULTS.mkdir(parents=True, exist_ok=True)
        told = asyncio.run(records.list_plans(directory / "data", "stored-00"))
        (RESULTS / "executions-plans.txt").write_text(told, "utf-8")
        return [
            Figure(
                measure=f"list of executions, 1,000,000 stored: {name}, p50",
                value=records.list_p50_ms(client, "stored-00", wanted),
                unit="ms",
                target=20,
                digits=1,
            )
            for name, wanted in records.lists().items()
        ]


def stored_requests() -> Sequence[Figure]:
    """Measure lists of API requests and the lines of one, with 1,000,000 and 5,000,000 stored; write the plans."""
    with backends.open_directory() as directory, platform.all_in_one(directory) as running:
        with running.extra_horizon() as client:
            for number in range(requests.OTHERS + 1):
                create_api_function(client, f"stored-{number:02}")
        asyncio.run(requests.store(directory / "data"))
        RESULTS.mkdir(parents=True, exist_ok=True)
        told = asyncio.run(requests.list_plans(directory / "data"))
        (RESULTS / "requests-plans.txt").write_text(told, "utf-8")
        with running.extra_horizon() as client:
            measured = {name: requests.list_p50_ms(client, rql) for name, rql in requests.lists().items()}
            measured["log lines of one"] = requests.logs_p50_ms(client)
    return [
        Figure(measure=f"API requests, 1,000,000 stored: {name}, p50", value=p50, unit="ms", target=20, digits=1)
        for name, p50 in measured.items()
    ]


def _few_call(running: Platform) -> Load:
    """Call one of ten API functions, made by whoever comes first; tokens live minutes, so each call logs in."""
    with running.extra_horizon() as client:
        if client.get("/tasks/v1/functions/few-0").status_code == httpx.codes.NOT_FOUND:
            for number in range(10):
                create_api_function(client, f"few-{number}")
        return _call(running, "few-0", _authorization(client), connections=1)


def _warm_calls(running: Platform, where: str, *, p50_ms: float, per_second: float) -> Iterator[Figure]:
    with running.extra_horizon() as client:
        create_api_function(client, "no-op")
        headers = _authorization(client)
    one = _call(running, "no-op", headers, connections=1)
    many = _call(running, "no-op", headers, connections=32)
    yield Figure(measure=f"{where}, warm, 1 connection, p50", value=one.p50_ms, unit="ms", target=p50_ms)
    yield Figure(
        measure=f"{where}, warm, 32 connections",
        value=many.per_second,
        unit="requests/s",
        target=per_second,
        at_least=True,
        digits=0,
    )
    yield Figure(measure=f"{where}, warm, 32 connections, p99", value=many.p99_ms, unit="ms")
    yield Figure(measure=f"{where}, errors", value=one.errors + many.errors, unit="", target=0, digits=0)


def _call(running: Platform, name: str, headers: dict[str, str], *, connections: int) -> Load:
    url = f"{running.address}/tasks/v1/api/{name}/"
    wrk(url, connections=connections, seconds=WARM_UP_S, headers=headers)
    return wrk(url, connections=connections, seconds=LOAD_S, headers=headers)


def _first_calls(running: Platform) -> Iterator[Figure]:
    with running.extra_horizon() as client:
        for language, python in (("Node", False), ("Python", True)):
            times = [_first_call(client, f"first-{language}-{number}", python=python) for number in range(FIRST_CALLS)]
            p50 = statistics.median(times)
            yield Figure(measure=f"first call of a new function, {language}, p50", value=p50, unit="ms", target=15)


def _first_call(client: httpx.Client, name: str, *, python: bool) -> float:
    create_api_function(client, name, python=python)
    time.sleep(0.3)  # the stem cell that the last call took is made again in the background
    began = time.perf_counter()
    answer = client.get(f"/tasks/v1/api/{name}/")
    took = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    return took


def _asynchronous(running: Platform, where: str, *, accepted: float, finished: float) -> Iterator[Figure]:
    """Accept for a while, then wait until everything accepted has ended: nothing may be lost or left."""
    with running.extra_horizon() as maker:
        create_api_function(maker, "later")
    with running.neo() as client:
        began = time.monotonic()
        load = wrk(
            f"{running.address}/v1/functions/later/invoke",
            connections=32,
            seconds=LOAD_S,
            method="POST",
            headers={"X-API-Key": API_KEY, "Content-Type": "application/json"},
            body='{"async":true}',
        )
        done = _wait_finished(client, "later", load.requests)
        rate = done / (time.monotonic() - began)
    yield Figure(
        measure=f"{where}, async accepted durably, 32 connections",
        value=load.per_second,
        unit="/s",
        target=accepted,
        at_least=True,
        digits=0,
    )
    yield Figure(measure=f"{where}, async finished", value=rate, unit="/s", target=finished, at_least=True, digits=0)
    yield Figure(measure=f"{where}, async errors", value=load.errors, unit="", target=0, digits=0)


def _wait_finished(client: httpx.Client, name: str, expected: int) -> int:
    deadline = time.monotonic() + ASYNC_DRAIN_S
    while time.monotonic() < deadline:
        total = client.get(f"/v1/functions/{name}").json()["data"]["stats"]["invocations"]["total"]
        if total >= expected:
            return int(total)
        time.sleep(0.1)
    raise SystemExit(f"{expected} executions were accepted, {total} finished within {ASYNC_DRAIN_S} s")


async def _create_many(running: Platform, count: int) -> None:
    """Register functions through the API, some at a time."""
    gate = asyncio.Semaphore(8)

    async def create(client: httpx.AsyncClient, number: int) -> None:
        async with gate:
            body = {"name": f"many-{number}", "runtime": "node18", "code": "module.exports = async () => 1"}
            (await client.post("/v1/functions", json=body)).raise_for_status()

    async with (
        httpx.AsyncClient(base_url=running.address, headers={"X-API-Key": API_KEY}, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(count):
            group.create_task(create(client, number))


@contextmanager
def _backends() -> Iterator[tuple[str, str]]:
    with backends.rabbitmq() as amqp_url, backends.postgres() as database_url:
        yield amqp_url, database_url


def _authorization(client: httpx.Client) -> dict[str, str]:
    return {"Authorization": client.headers["Authorization"]}
