"""The all-in-one's own life: it keeps everything, leaves nothing running, and takes up what a crash cut off."""

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps_processes import Running, left_of, tree_of
from tests.support.backends import open_directory
from tests.support.builders import api_function, neo_function, zipped
from tests.support.eventually import eventually_sync
from tests.support.platform import Process, all_in_one, client_of, free_port, spawn, wait_ready

CURL_S = 60
SLEEPS = "module.exports = async ({{ params }}) => {{ await new Promise(r => setTimeout(r, {ms})); return params.n }}"
LOWEST_SLOT_UID = 20_000
"""Sandboxes of a platform started by root run under uids from here on (one a slot)."""


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@contextmanager
def started(directory: Path, environ: dict[str, str] | None = None) -> Iterator[tuple[Process, str]]:
    """Run ``tidemill up`` with no credentials given, as a newcomer does."""
    port = free_port()
    process = spawn(
        "tidemill",
        ["services", "up", "--port", str(port), "--data-dir", str(directory / "data")],
        environ or {},
        directory,
    )
    address = f"http://localhost:{port}"
    try:
        wait_ready(process, address)
        yield process, address
    finally:
        process.stop()


def credentials(directory: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads((directory / "data" / "credentials.json").read_text("utf-8"))
    return content


def banner(process: Process) -> str:
    """Return what start-up printed, once the three lines to paste are there."""
    return eventually_sync(lambda: process.log_text() if process.log_text().count("curl -s") == 3 else "")


@dataclass(frozen=True, kw_only=True)
class FirstLife:
    """A platform that a newcomer has just started for the first time."""

    directory: Path
    process: Process
    address: str


@pytest.fixture(scope="module")
def first_life() -> Iterator[FirstLife]:
    with open_directory() as made, started(made) as (process, address):
        yield FirstLife(directory=made, process=process, address=address)


def test_the_three_printed_lines_work_when_pasted(first_life: FirstLife) -> None:
    text = banner(first_life.process)
    answers = [
        json.loads(subprocess.run(["bash", "-c", line], capture_output=True, timeout=CURL_S, check=True).stdout)
        for line in text.splitlines()
        if line.startswith("curl ")
    ]

    assert first_life.address in text
    assert [answer["success"] for answer in answers] == [True] * 3
    assert answers[1]["data"]["result"] == {"hello": "miller"}
    assert answers[2]["data"]["name"] == "hello"


def test_the_first_credentials_are_the_owners_alone_and_work(first_life: FirstLife) -> None:
    path = first_life.directory / "data" / "credentials.json"
    made = credentials(first_life.directory)

    answer = httpx.get(f"{first_life.address}/v1/functions", headers={"X-API-Key": made["api_key"]})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"sl_[0-9a-f]{64}", made["api_key"])
    assert answer.status_code == 200


def test_start_up_says_what_a_weaker_sandbox_lacks_what_that_means_and_the_fix(directory: Path) -> None:
    with started(directory, {"TIDEMILL_BWRAP": "/bin/false"}) as (process, address), client_of(address) as client:
        text = banner(process)
        health = client.get("/health").json()

    _, _, said = text.partition("functions run in  ")
    assert said.startswith("sandbox landlock")
    for part in ("missing         full: bubblewrap ended before it made a sandbox", "that means  ", "the fix  "):
        assert part in said
    assert "landlock" in str(health)


def test_up_refuses_to_run_functions_in_less_than_what_is_demanded(directory: Path) -> None:
    environ = {"TIDEMILL_BWRAP": "/bin/false", "TIDEMILL_MIN_SANDBOX": "full"}
    process = spawn("tidemill", ["services", "up", "--port", "0", "--data-dir", str(directory)], environ, directory)
    try:
        assert process.popen.wait(30) == 1
    finally:
        process.stop()

    assert "cannot start: no sandbox of level full or better works on this machine" in process.log_text()


def test_a_second_platform_on_the_same_data_is_refused(first_life: FirstLife) -> None:
    second = spawn(
        "second",
        ["services", "up", "--port", str(free_port()), "--data-dir", str(first_life.directory / "data")],
        {},
        first_life.directory,
    )
    try:
        assert second.popen.wait(30) != 0
    finally:
        second.stop()


def test_a_second_start_has_the_functions_the_records_and_the_logs(directory: Path) -> None:
    with all_in_one(directory) as running, running.neo() as neo, running.extra_horizon() as exh:
        made = neo.post("/v1/functions", json=neo_function("kept", "module.exports = ({ params }) => params"))
        assert made.status_code == 201, made.text
        code = "exports.handler = async () => { console.log('kept line'); return { statusCode: 200, body: 'kept' } }"
        exh.post("/tasks/v1/functions/", json=api_function("kept-api", zipped({"index.js": code}))).raise_for_status()
        execution = neo.post("/v1/functions/kept/invoke", json={"params": {"n": 1}}).json()["data"]["execution"]
        assert exh.get("/tasks/v1/api/kept-api/first").text == "kept"

    with all_in_one(directory) as running, running.neo() as neo, running.extra_horizon() as exh:
        record = neo.get(f"/v1/functions/kept/executions/{execution['id']}").json()["data"]
        assert (record["status"], record["result"]) == ("completed", {"n": 1})
        assert neo.post("/v1/functions/kept/invoke", json={"params": {"n": 2}}).json()["data"]["result"] == {"n": 2}
        [request] = exh.get("/tasks/v1/apiRequests?eq(functionName,kept-api)").json()["data"]
        assert request["path"] == "/first"
        [line] = exh.get(f"/tasks/v1/apiRequests/{request['id']}/logs").json()["data"]
        assert "kept line" in line["message"]
        assert exh.get("/tasks/v1/api/kept-api/second").text == "kept"


def test_ctrl_c_finishes_what_is_running_leaves_nothing_and_keeps_the_credentials(directory: Path) -> None:
    with started(directory) as (process, address), client_of(address) as client:
        client.headers["X-API-Key"] = credentials(directory)["api_key"]
        create(client, "slow", "module.exports = async () => { await new Promise(r => setTimeout(r, 1500)); return 1 }")
        client.post("/v1/functions/slow/invoke", json={"async": True}).raise_for_status()
        everything = tree_of(process.popen.pid)
        assert len(everything) > 3
        eventually_sync(lambda: running_executions(client, "slow"))

        process.popen.send_signal(signal.SIGINT)

        assert process.popen.wait(30) == 0
        eventually_sync(lambda: left_of(everything) == [])
        made = credentials(directory)
    with started(directory) as (_, address), client_of(address) as client:
        assert credentials(directory) == made
        client.headers["X-API-Key"] = made["api_key"]
        [record] = client.get("/v1/functions/slow/executions").json()["data"]
        assert record["status"] == "completed"


def test_kill_9_leaves_no_worker_and_the_next_start_settles_every_accepted_execution(directory: Path) -> None:
    two_at_a_time = {"TIDEMILL_MAX_ASYNC_IN_FLIGHT": "2"}
    with started(directory, two_at_a_time) as (process, address), client_of(address) as client:
        client.headers["X-API-Key"] = credentials(directory)["api_key"]
        create(client, "endless", SLEEPS.format(ms=600_000))
        create(client, "slow", SLEEPS.format(ms=700))
        cut_off = accept(client, "endless", 0)
        accepted = [accept(client, "slow", number) for number in range(6)]
        eventually_sync(lambda: client.get("/v1/functions/slow/executions?status=completed").json()["data"])
        workers = [each for each in tree_of(process.popen.pid) if is_worker(each)]
        assert workers

        process.kill()

        eventually_sync(lambda: left_of(workers) == [], within_s=2)
    with started(directory, two_at_a_time) as (process, address), client_of(address) as client:
        client.headers["X-API-Key"] = credentials(directory)["api_key"]
        first_seen = client.get(f"/v1/functions/endless/executions/{cut_off}").json()["data"]
        records = eventually_sync(lambda: all_settled(client, "slow", accepted), within_s=60)

    assert (first_seen["status"], first_seen["error"]["name"]) == ("failed", "InterruptedError")
    by_status = {status: [r for r in records if r["status"] == status] for status in ("completed", "failed")}
    assert len(by_status["failed"]) <= 1
    assert len(by_status["completed"]) + len(by_status["failed"]) == 6


def test_tasks_and_schedules_outlive_a_crash_and_the_task_it_cut_off_is_told_so(directory: Path) -> None:
    sleeps = "exports.handler = async ({ data }) => { await new Promise(r => setTimeout(r, data.ms)) }"
    with all_in_one(directory) as running, running.extra_horizon() as exh:
        exh.post("/tasks/v1/functions/", json=api_function("sleeps", zipped({"index.js": sleeps}))).raise_for_status()
        cut_off = plan(exh, "", data={"ms": 600_000})
        eventually_sync(lambda: [cut_off] == [each["id"] for each in planned(exh, "eq(status,inProgress)")])
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds")
        waiting = [plan(exh, "", data={"ms": 0}, startTimestamp=soon) for _ in range(7)]
        schedule = plan(exh, "schedules", data={"ms": 0}, startTimestamp=soon, interval=3600)
        assert len(planned(exh, "eq(status,new)")) == 7

        running.processes["tidemill"].kill()

    with all_in_one(directory) as running, running.extra_horizon() as exh:
        [lost] = planned(exh, f"eq(id,{cut_off})")
        done = eventually_sync(lambda: those_complete(exh, 8), within_s=20)
        [kept] = exh.get("/tasks/v1/schedules").json()["data"]

    assert (lost["status"], lost["error"]["name"]) == ("failed", "zombieTaskCleaned")
    assert set(waiting) < {each["id"] for each in done}
    assert kept["id"] == schedule
    assert kept["nextTimestamp"] > kept["startTimestamp"]


def plan(exh: httpx.Client, path: str, **body: Any) -> str:
    answer = exh.post(f"/tasks/v1/{path}", json={"functionName": "sleeps", **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def planned(exh: httpx.Client, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exh.get(f"/tasks/v1/?{query}").raise_for_status().json()["data"]
    return found


def those_complete(exh: httpx.Client, count: int) -> list[dict[str, Any]]:
    done = planned(exh, "eq(status,complete)")
    assert len(done) == count
    return done


def create(client: httpx.Client, name: str, code: str) -> None:
    answer = client.post("/v1/functions", json=neo_function(name, code))
    assert answer.status_code == 201, answer.text


def accept(client: httpx.Client, name: str, number: int) -> str:
    answer = client.post(f"/v1/functions/{name}/invoke", json={"async": True, "params": {"n": number}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["execution"]["id"])


def running_executions(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = client.get(f"/v1/functions/{name}/executions?status=running").json()["data"]
    return records


def all_settled(client: httpx.Client, name: str, accepted: list[str]) -> list[dict[str, Any]]:
    listed = client.get(f"/v1/functions/{name}/executions?limit=100").json()["data"]
    records = [record for record in listed if record["status"] != "running"]
    assert sorted(record["id"] for record in records) == sorted(accepted)
    return records


def is_worker(process: Running) -> bool:
    """Tell a sandboxed worker from the rest: as root by its uid, else by the sandbox's own program around it."""
    return process.uid >= LOWEST_SLOT_UID if os.getuid() == 0 else "bwrap" in process.command
