"""A service that does not consume is not ready: its queue is not what it should be, or it is about to leave."""

import asyncio
import signal
from typing import Any

import aio_pika
import httpx

from shared.messages.topology import ASYNC_QUEUE
from tests.faults.platform.conftest import functions_of
from tests.support.apps_cluster import Cluster
from tests.support.eventually import eventually_sync
from tests.support.platform import client_of

RESUMES_S = 20
"""A consumer that cannot begin tries again at least every five seconds."""


def test_an_invoker_whose_queue_cannot_be_consumed_is_not_ready_until_it_can(
    one_invoker: Cluster, amqp_url: str
) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo("module.exports = () => 'ran'")

        asyncio.run(replace_queue(amqp_url))

        refused = eventually_sync(lambda: asked(one_invoker, "invoker-0", "/ready", 503), within_s=RESUMES_S)
        health = asked(one_invoker, "invoker-0", "/health", 200)
        others = [asked(one_invoker, each, "/ready", 200) for each in ("api", "deployer", "logger")]
        called = functions.invoke(name)

        asyncio.run(delete_queue(amqp_url))

        eventually_sync(lambda: asked(one_invoker, "invoker-0", "/ready", 200), within_s=RESUMES_S)
        accepted = functions.invoke(name, **{"async": True}).json()["data"]["execution"]["id"]
        eventually_sync(lambda: functions.execution(name, accepted)["status"] == "completed")

    assert f"{ASYNC_QUEUE.name} is not consumed" in str(refused)
    assert f"{ASYNC_QUEUE.name} is not consumed" in str(health)
    assert all(others)
    assert called.status_code == httpx.codes.OK, "other queues of the same service are not concerned"


def asked(cluster: Cluster, service: str, path: str, status: int) -> dict[str, Any]:
    """Return what a probe of a service says, once it says it with this status."""
    with client_of(cluster.platform.processes[service].address) as client:
        answer = client.get(path, timeout=10)
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_an_invoker_that_drains_is_not_ready_and_finishes_what_it_holds(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo(
            "module.exports = async () => { await new Promise(r => setTimeout(r, 3000)); return 1 }"
        )
        accepted = functions.invoke(name, **{"async": True}).json()["data"]["execution"]["id"]
        eventually_sync(lambda: any(row.running for row in one_invoker.ledger()))

        one_invoker.platform.processes["invoker-0"].popen.send_signal(signal.SIGTERM)

        draining = eventually_sync(lambda: asked(one_invoker, "invoker-0", "/ready", 503), within_s=2)
        assert one_invoker.platform.processes["invoker-0"].popen.wait(20) == 0
        assert functions.execution(name, accepted)["status"] == "completed"

    assert draining["status"] == "draining"


async def replace_queue(amqp_url: str) -> None:
    """Put another queue in the place of the one an invoker consumes: one it can never agree with."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(ASYNC_QUEUE.name)
        await channel.declare_queue(ASYNC_QUEUE.name, durable=True)


async def delete_queue(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        await (await connection.channel()).queue_delete(ASYNC_QUEUE.name)
