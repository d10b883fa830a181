"""The all-in-one's own PostgreSQL is killed: it is started again, and what was accepted or answered is all there."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.support.apps_cluster import QUIET
from tests.support.builders import Functions
from tests.support.eventually import eventually_sync
from tests.support.platform import all_in_one

WORKS = "module.exports = async ({ params }) => { await new Promise(r => setTimeout(r, 100)); return params.n }"
CALLERS = 4
CALLS = 40


def test_a_killed_postgresql_comes_back_and_nothing_accepted_is_lost(directory: Path) -> None:
    with all_in_one(directory, QUIET) as platform, platform.neo() as neo, platform.extra_horizon() as exh:
        functions = Functions(neo=neo, exh=exh)
        name = functions.create_neo(WORKS)

        with ThreadPoolExecutor(CALLERS) as callers:
            calls = [callers.submit(call, functions, name, number) for number in range(CALLS)]
            eventually_sync(lambda: sum(each.done() for each in calls) > CALLERS)
            os.kill(int((directory / "data/postgres/data/postmaster.pid").read_text().split("\n")[0]), signal.SIGKILL)
            told = [each.result(60) for each in calls]

        kept = [each.json()["data"]["execution"]["id"] for each in told if each.is_success]
        eventually_sync(lambda: all_completed(functions, name, kept), within_s=60)
        assert call(functions, name, 0).status_code == httpx.codes.ACCEPTED
        log = platform.processes["tidemill"].log_text()

    assert '"event":"postgres_died"' in log
    assert {each.status_code for each in told[1::2]} == {200}, "a synchronous call needs no database"
    assert {each.status_code for each in told[::2]} <= {202, 503}


def call(functions: Functions, name: str, number: int) -> httpx.Response:
    """Call: with an even number to be run later, with an odd one now."""
    return functions.invoke(name, {"n": number}, **{"async": number % 2 == 0})


def all_completed(functions: Functions, name: str, ids: list[str]) -> bool:
    for each in ids:
        found = functions.neo.get(f"/v1/functions/{name}/executions/{each}")
        assert found.status_code == httpx.codes.OK, found.text
        assert found.json()["data"]["status"] == "completed"
    return True
