"""
The Gateways dialect on the all-in-one: making, replacing and listing functions, and deployments to AWS beside calls.

AWS is moto's server, and those who deploy are a process of their own, both at the lowest priority: what they stand
for is on other machines. What deployments cost us is measured against calls without them, in turns.
"""

import base64
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from bench.functions import create_api_function, package
from bench.load import wrk
from bench.scenarios import Figure
from tests.support import backends, platform
from tests.support.apps_host import await_answer
from tests.support.emulated_aws import REGION, deploy_connector
from tests.support.platform import PASSWORD, Platform, client_of, free_port

CREATED = 50
UPLOADED = 30
LISTED = 1000
PARALLEL = 20
ROUNDS = 3
ROUND_S = 6
AROUND_S = 2.0
LOWEST = 19
LIST_S = 10
READY_S = 30.0
MEGABYTE = 1024 * 1024
ACCOUNT = "111122223333"
AWS_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
CODE = "exports.handler = async () => {number};\n"


def gateways() -> Sequence[Figure]:
    """Measure functions through the Gateways dialect, here and at AWS."""
    with (
        _moto() as aws_url,
        backends.open_directory() as directory,
        platform.all_in_one(directory, {**AWS_CREDENTIALS, "TIDEMILL_AWS_ENDPOINT_URL": aws_url}) as running,
        _signed_up(running) as client,
    ):
        return [
            _created(client),
            _uploaded(client),
            _listed(running, client),
            *_beside_deployments(running, client, aws_url),
        ]


def _created(client: httpx.Client) -> Figure:
    place = _project(client, "Created")
    took_ms = []
    for number in range(CREATED):
        began = time.perf_counter()
        made = _create(client, place, f"created-{number}", "local")
        _await_active(client, f"{place}/functions/{made}")
        took_ms.append((time.perf_counter() - began) * 1000)
    p50 = statistics.median(took_ms)
    return Figure(measure="Gateways, create → active, p50", value=p50, unit="ms", target=150, digits=0)


def _uploaded(client: httpx.Client) -> Figure:
    """Replace 1 MB of code and call until the new code answers."""
    place = _project(client, "Uploaded")
    path = f"{place}/functions/{_create(client, place, 'uploaded', 'local')}"
    took_ms = []
    for number in range(UPLOADED):
        content = package({"index.js": CODE.replace("{number}", str(number)), "data.txt": _noise(number)})
        began = time.perf_counter()
        client.post(f"{path}/upload", files={"file": ("code.zip", content)}).raise_for_status()
        while client.post(f"{path}/invoke", json={}).raise_for_status().json()["data"]["payload"] != number:
            pass
        took_ms.append((time.perf_counter() - began) * 1000)
    p50 = statistics.median(took_ms)
    return Figure(measure="Gateways, 1 MB uploaded → new code answers, p50", value=p50, unit="ms", target=300, digits=0)


def _listed(running: Platform, client: httpx.Client) -> Figure:
    place = _project(client, "Listed")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: _create(client, place, f"listed-{number}", "local"), range(LISTED)))
    load = wrk(f"{running.address}{place}/functions", connections=1, seconds=LIST_S, headers=_authorization(client))
    return Figure(measure="Gateways, list of 1,000 functions, p50", value=load.p50_ms, unit="ms", target=30, digits=1)


def _beside_deployments(running: Platform, client: httpx.Client, aws_url: str) -> Iterator[Figure]:
    place = _project(client, "Clouds")
    _link_to_aws(client, aws_url, place)
    made = [_create(client, place, f"cloud-{number}", REGION) for number in range(PARALLEL)]
    for number in made:
        _await_active(client, f"{place}/functions/{number}")
    with running.extra_horizon() as maker:
        create_api_function(maker, "beside")
        headers = _authorization(maker)
    alone, beside, deployed = [], [], 0
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.nice, (LOWEST,)) as elsewhere:
        for _ in range(ROUNDS):
            alone.append(_call(running, headers))
            deploying = elsewhere.submit(
                _deploy_for, running.address, _authorization(client), place, made, ROUND_S + AROUND_S
            )
            time.sleep(AROUND_S / 2)
            beside.append(_call(running, headers))
            deployed += deploying.result()
    quiet, busy = statistics.median(alone), statistics.median(beside)
    title = f"warm call beside {PARALLEL} deployments to AWS at once"
    yield Figure(measure=f"{title}: p50 more than alone", value=(busy / quiet - 1) * 100, unit="%", target=20, digits=0)
    yield Figure(measure=f"{title}: p50", value=busy, unit="ms")
    yield Figure(measure=f"{title}: deployments", value=deployed / (ROUNDS * ROUND_S), unit="/s", digits=1)


def _deploy_for(address: str, headers: dict[str, str], place: str, numbers: Sequence[int], seconds: float) -> int:
    """Replace the code of all these functions at once, again and again; return how many were replaced."""
    until = time.monotonic() + seconds

    def replace(number: int) -> int:
        done = 0
        while time.monotonic() < until:
            content = package({"index.js": CODE.replace("{number}", str(time.monotonic_ns()))})
            path = f"{place}/functions/{number}/upload"
            client.post(path, files={"file": ("code.zip", content)}).raise_for_status()
            done += 1
        return done

    with client_of(address, headers) as client, ThreadPoolExecutor(len(numbers)) as pool:
        return sum(pool.map(replace, numbers))


def _call(running: Platform, headers: dict[str, str]) -> float:
    load = wrk(f"{running.address}/tasks/v1/api/beside/", connections=1, seconds=ROUND_S, headers=headers)
    if load.errors:
        raise SystemExit(f"{load.errors} calls failed")
    return load.p50_ms


def _signed_up(running: Platform) -> httpx.Client:
    body = {"email": "bench@example.com", "password": PASSWORD, "name": "Bench"}
    with running.anonymous() as nobody:
        token = nobody.post("/api/auth/signup", json=body).raise_for_status().json()["data"]["token"]
    return client_of(running.address, {"Authorization": f"Bearer {token}"})


def _project(client: httpx.Client, name: str) -> str:
    """Make a project on this installation; return the path of its environment."""
    slug = _sent(client, "POST", "/api/projects", {"name": name})["slug"]
    found = _sent(client, "GET", _connections(client))
    local = next(each["id"] for each in found if each["cloudProvider"]["name"] == "local")
    _sent(client, "PATCH", f"/api/projects/{slug}/connect-cloud/{local}")
    return f"/api/{slug}/master"


def _link_to_aws(client: httpx.Client, aws_url: str, place: str) -> None:
    connections = _connections(client)
    begun = _sent(client, "POST", f"{connections}/connect-aws", {"region": REGION})
    deploy_connector(aws_url, ACCOUNT, begun["externalId"])
    connection = f"{connections}/{begun['connectionId']}"
    _sent(client, "POST", f"{connection}/complete", {"accountId": ACCOUNT, "accountName": "Bench"})
    _sent(client, "PATCH", f"/api/projects/{place.split('/')[2]}/connect-cloud/{begun['connectionId']}")


def _connections(client: httpx.Client) -> str:
    slug: str = _sent(client, "GET", "/api/workspaces")[0]["slug"]
    return f"/api/cloud-connections/{slug}"


def _create(client: httpx.Client, place: str, name: str, region: str) -> int:
    body = {"name": name, "runtime": "nodejs20.x", "handler": "index.handler", "region": region}
    number: int = _sent(client, "POST", f"{place}/functions", body)["id"]
    return number


def _await_active(client: httpx.Client, path: str) -> None:
    deadline = time.monotonic() + READY_S
    while _sent(client, "GET", path)["status"] != "active":
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} was not active within {READY_S} s")


def _sent(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    return client.request(method, path, json=body).raise_for_status().json()["data"]


def _noise(seed: int) -> str:
    """Return a megabyte of text that hardly packs."""
    return base64.b64encode(random.Random(seed).randbytes(MEGABYTE)).decode()


def _authorization(client: httpx.Client) -> dict[str, str]:
    return {"Authorization": client.headers["Authorization"]}


@contextmanager
def _moto() -> Iterator[str]:
    """Run moto's server; yield its URL."""
    port = free_port()
    command = ["nice", "-n", str(LOWEST), sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_answer(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
