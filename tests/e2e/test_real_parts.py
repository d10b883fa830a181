"""``./tidemill up`` on a RabbitMQ, a PostgreSQL and an S3 of the operator's: the same platform, other parts."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from shared.database.execution_records import find_execution
from shared.database.pool import Database
from shared.messages.topology import ASYNC_QUEUE
from tests.support.backends import Broker, DatabaseServer, open_directory
from tests.support.builders import Functions, functions_on, permission_mode, zipped
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, all_in_one

BUCKET = "operators-packages"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
AT_ONCE = 3
SLOW = "await new Promise(resolve => setTimeout(resolve, 1500))"


@dataclass(frozen=True, kw_only=True)
class OnRealParts:
    """A platform and what it stands on."""

    platform: Platform
    amqp_url: str
    database_url: str
    s3_endpoint: str


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def real(broker: Broker, database_server: DatabaseServer, s3_endpoint: str) -> Iterator[OnRealParts]:
    database_url = database_server.create(migrated=False)
    s3(s3_endpoint).create_bucket(Bucket=BUCKET)
    try:
        with open_directory() as directory, broker.virtual_host() as amqp_url:
            parts = {
                **AWS,
                "TIDEMILL_AMQP_URL": amqp_url,
                "TIDEMILL_DATABASE_URL": database_url,
                "TIDEMILL_S3_URL": f"s3://{BUCKET}/mill",
                "TIDEMILL_S3_ENDPOINT": s3_endpoint,
                "TIDEMILL_MAX_IN_FLIGHT_PER_FUNCTION": str(AT_ONCE),
            }
            with all_in_one(directory, parts) as platform:
                yield OnRealParts(
                    platform=platform, amqp_url=amqp_url, database_url=database_url, s3_endpoint=s3_endpoint
                )
    finally:
        database_server.drop(database_url)


@pytest.fixture
def made(real: OnRealParts) -> Iterator[Functions]:
    with real.platform.neo() as neo, real.platform.extra_horizon() as exh, functions_on(neo, exh) as functions:
        yield functions


def s3(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )


def test_executions_cross_the_broker_and_are_kept_in_the_database(
    real: OnRealParts, made: Functions, broker: Broker
) -> None:
    name = made.create_neo("module.exports = ({ params }) => params.n * 2")

    now = made.invoke(name, {"n": 4}).json()["data"]
    later = made.invoke(name, {"n": 5}, **{"async": True}).json()["data"]["execution"]["id"]

    record = eventually_sync(lambda: completed(made, name, later))
    assert (now["result"], record["result"]) == (8, 10)
    assert asyncio.run(is_kept(real.database_url, later.removeprefix("exec_")))
    assert broker.arguments(real.amqp_url, ASYNC_QUEUE.name)["x-queue-type"] == "quorum"


def test_packages_are_objects_in_the_bucket(real: OnRealParts, made: Functions) -> None:
    package = zipped({"index.js": "exports.handler = async () => ({ statusCode: 200, body: 'from the bucket' })"})

    name = made.create_package(package, **permission_mode("public"))

    assert made.call(name).text == "from the bucket"
    key = f"mill/{hashlib.sha256(package).hexdigest()}"
    assert s3(real.s3_endpoint).get_object(Bucket=BUCKET, Key=key)["Body"].read() == package


def test_api_calls_of_a_function_beyond_its_limit_are_refused_at_once_and_recorded(made: Functions) -> None:
    name = made.create_node(f"exports.handler = async () => {{ {SLOW}; return {{ statusCode: 204 }} }}")

    answers = at_once(lambda: made.call(name))

    refused = [(answer, took_s) for answer, took_s in answers if answer.status_code != httpx.codes.NO_CONTENT]
    assert len(refused) == len(answers) - AT_ONCE
    assert {(answer.status_code, answer.json()["code"]) for answer, _ in refused} == {(400, 1412)}
    assert max(took_s for _, took_s in refused) < 1
    records = eventually_sync(lambda: all_recorded(made, name, len(answers)))
    assert [each["error"]["type"] for each in records if "error" in each] == ["invocation"] * len(refused)


def test_invocations_of_a_function_beyond_its_limit_are_refused_at_once(made: Functions) -> None:
    name = made.create_neo(f"module.exports = async () => {{ {SLOW}; return 1 }}")

    answers = at_once(lambda: made.invoke(name))

    refused = [(answer, took_s) for answer, took_s in answers if answer.status_code != httpx.codes.OK]
    assert len(refused) == len(answers) - AT_ONCE
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer, _ in refused} == {
        (429, "rate_limit_exceeded")
    }
    assert max(took_s for _, took_s in refused) < 1


def at_once(call: Any) -> list[tuple[httpx.Response, float]]:
    """Call twice as often as is allowed at the same time; return each answer with the time it took."""

    def timed(_number: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        return call(), time.monotonic() - began

    with ThreadPoolExecutor(2 * AT_ONCE) as callers:
        return list(callers.map(timed, range(2 * AT_ONCE)))


def all_recorded(functions: Functions, name: str, count: int) -> list[dict[str, Any]]:
    records = functions.requests(name)
    assert len(records) == count
    return records


def completed(functions: Functions, name: str, execution_id: str) -> dict[str, Any]:
    record = functions.execution(name, execution_id)
    assert record["status"] == "completed"
    return record


async def is_kept(database_url: str, execution_id: str) -> bool:
    db = await Database.connect(database_url, max_size=1)
    try:
        return await find_execution(db, execution_id) is not None
    finally:
        await db.close()
