"""A cluster of separate services for each test, to be broken, and load that counts what it is told."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps_cluster import Cluster, cluster
from tests.support.backends import open_directory
from tests.support.builders import Functions

Load = Callable[..., Any]


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@pytest.fixture
def two_invokers(directory: Path, amqp_url: str, database_url: str) -> Iterator[Cluster]:
    with cluster(directory, amqp_url, database_url, invokers=2) as running:
        yield running


@pytest.fixture
def one_invoker(directory: Path, amqp_url: str, database_url: str) -> Iterator[Cluster]:
    with cluster(directory, amqp_url, database_url) as running:
        yield running


@contextmanager
def functions_of(running: Cluster) -> Iterator[Functions]:
    """Give what creates and calls functions; its database goes with the test, so nothing is deleted."""
    with running.platform.neo() as neo, running.platform.extra_horizon() as exh:
        yield Functions(neo=neo, exh=exh)


@dataclass
class Told:
    """What callers under load were told: ids of accepted executions, and every answer that was not a success."""

    accepted: list[str] = field(default_factory=list)
    answered: Counter[int] = field(default_factory=Counter)
    refusals: list[httpx.Response] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@contextmanager
def load_on(functions: Functions, name: str, *, synchronous: int, asynchronous: int) -> Iterator[Told]:
    """Keep so many callers of each kind calling a Neo function while the block runs."""
    told = Told()
    stop = threading.Event()

    def call(body: dict[str, Any]) -> None:
        while not stop.is_set():
            try:
                answer = functions.neo.post(f"/v1/functions/{name}/invoke", json=body)
            except httpx.TransportError as error:
                told.broken.append(repr(error))
                continue
            told.answered[answer.status_code] += 1
            if answer.status_code == httpx.codes.ACCEPTED:
                told.accepted.append(answer.json()["data"]["execution"]["id"])
            elif answer.is_error:
                told.refusals.append(answer)
                stop.wait(0.02)
            if body.get("async"):
                stop.wait(0.02)

    threads = [
        threading.Thread(target=call, args=({"async": kind == "later", "params": {}},))
        for kind in ["now"] * synchronous + ["later"] * asynchronous
    ]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
