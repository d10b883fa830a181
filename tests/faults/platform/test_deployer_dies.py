"""A deployer killed at any point of a deployment: the next one takes it up, and the caller still gets the answer."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster
from tests.support.builders import api_function, unique, zipped

FILES = 1500


def large_package() -> bytes:
    """Return a package that takes a deployer a while: many files, little of it compressible."""
    handler = "exports.handler = async () => ({ statusCode: 200, body: 'deployed' })"
    return zipped({"index.js": handler, **{f"lib/{n}.txt": os.urandom(2000).hex() for n in range(FILES)}})


@pytest.mark.timeout(180)
def test_a_deployment_whose_deployer_is_killed_is_resumed(one_invoker: Cluster) -> None:
    package = large_package()
    with functions_of(one_invoker) as functions, ThreadPoolExecutor(1) as caller:
        for delay_s in (0.0, 0.05, 0.15, 0.3):
            body = api_function(unique("resumed"), package)
            answer = caller.submit(functions.exh.post, "/tasks/v1/functions/", json=body)
            time.sleep(delay_s)  # not a wait for anything: each delay kills at another point of the work
            one_invoker.kill("deployer")
            one_invoker.start("deployer")

            created = answer.result(60)

            assert created.status_code == httpx.codes.OK, created.text
            assert functions.call(body["name"]).text == "deployed"


def test_a_deployment_nobody_takes_up_is_refused_in_time_and_leaves_nothing(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        one_invoker.kill("deployer")
        name = unique("waiting")
        began = time.monotonic()

        answer = functions.exh.post(
            "/tasks/v1/functions/", json=api_function(name, zipped({"index.js": "exports.handler = 1"}))
        )

        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert time.monotonic() - began < 45
        one_invoker.start("deployer")
        assert functions.neo.get(f"/v1/functions/{name}").status_code == httpx.codes.NOT_FOUND
