"""
Functions on AWS Lambda, through HTTP alone: connected as a customer does, and reached by all three dialects.

The platform is one of these tests' own, with a real database and a real bus; its AWS is the fake, over HTTP.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.e2e.gateways.test_people import logged_in
from tests.support.backends import Broker, DatabaseServer, open_directory
from tests.support.builders import NODE, Functions, functions_on, unique, zipped
from tests.support.eventually import eventually_sync
from tests.support.fake_aws import ACCOUNT, AwsError, FakeAws, Invocation, fake_aws
from tests.support.platform import EMAIL, PASSWORD, Platform, all_in_one

PLACE = "/api/default/master"
"""The environment that the other dialects use."""
REQUEST = "8f507cfc-0000-4697-b07a-ac58fc914c95"
REPORT = (
    f"REPORT RequestId: {REQUEST}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 39 MB\tInit Duration: 80.20 ms\t"
)
TAIL = "\n".join(
    (
        f"START RequestId: {REQUEST} Version: $LATEST",
        f"2026-03-01T09:00:00.131Z\t{REQUEST}\tINFO\tthinking",
        f"2026-03-01T09:00:00.140Z\t{REQUEST}\tERROR\toh no",
        f"END RequestId: {REQUEST}",
        REPORT,
        "",
    )
)
LINES = ["thinking", "oh no"]
ANSWER = b'{"statusCode":201,"body":"from Lambda"}'


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with fake_aws() as fake:
        yield fake


@pytest.fixture(scope="module")
def platform(broker: Broker, database_server: DatabaseServer, aws: FakeAws) -> Iterator[Platform]:
    """A platform whose default project is linked to an account at AWS."""
    environ = {
        "TIDEMILL_AWS_ENDPOINT_URL": aws.url,
        "TIDEMILL_AWS_PATIENCE_S": "2",
        "TIDEMILL_AWS_CALLS_PER_SECOND": "1000",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    database_url = database_server.create(migrated=False)
    try:
        with open_directory() as directory, broker.virtual_host() as amqp_url:
            backends = {"TIDEMILL_AMQP_URL": amqp_url, "TIDEMILL_DATABASE_URL": database_url}
            with all_in_one(directory, {**environ, **backends}) as running:
                yield running
    finally:
        database_server.drop(database_url)


@pytest.fixture(scope="module")
def admin(platform: Platform, aws: FakeAws) -> Iterator[httpx.Client]:
    """The administrator, who has linked the default project to AWS."""
    with platform.anonymous() as nobody:
        client = logged_in(platform, nobody.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD}))
    with client:
        connections = "/api/cloud-connections/default"
        begun = client.post(f"{connections}/connect-aws", json={"region": "eu-west-1"}).raise_for_status().json()
        connection = begun["data"]["connectionId"]
        aws.external_id = begun["data"]["externalId"]
        body = {"accountId": ACCOUNT, "accountName": "Prod"}
        # The stack was made a moment ago: AWS does not know its role yet.
        aws.fail("AssumeRole", *[AwsError(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")] * 2)
        client.post(f"{connections}/{connection}/complete", json=body).raise_for_status()
        client.patch(f"/api/projects/default/connect-cloud/{connection}").raise_for_status()
        yield client


@pytest.fixture
def functions(platform: Platform, admin: httpx.Client) -> Iterator[Functions]:
    with platform.neo() as neo, platform.extra_horizon() as exh, functions_on(neo, exh) as made:
        yield made


@pytest.fixture(scope="module")
def one(admin: httpx.Client) -> str:
    """A function that was made through the Gateways dialect, and that AWS is done with."""
    return str(made(admin)["name"])


@pytest.fixture
def name(one: str, aws: FakeAws) -> str:
    """Its name; it answers as functions do."""
    aws.invocation = Invocation(payload=ANSWER, logs=TAIL)
    return one


def made(admin: httpx.Client) -> dict[str, Any]:
    body = {"name": unique("fn"), "runtime": NODE, "handler": "index.handler", "region": "eu-west-1"}
    answer = admin.post(f"{PLACE}/functions", json=body)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    data: dict[str, Any] = answer.json()["data"]
    eventually_sync(lambda: status_of(admin, data["id"]) == "active", within_s=15)
    return data


def status_of(admin: httpx.Client, number: int) -> str:
    return str(admin.get(f"{PLACE}/functions/{number}").json()["data"]["status"])


def events(aws: FakeAws) -> list[bytes]:
    """Return the events Lambda was given, oldest first."""
    return [request["Payload"] for action, request in aws.requests if action == "Invoke"]


def recorded(functions: Functions, name: str, path: str) -> list[dict[str, Any]]:
    found = [record for record in functions.requests(name) if record["path"].startswith(path)]
    assert found
    return found


def texts(messages: list[str]) -> list[str]:
    """Return what the author wrote of lines with Lambda's prefix."""
    return [message.rstrip("\n").rpartition("\t")[2] for message in messages]


def test_a_function_is_made_filled_called_and_deleted_by_the_dialect_of_clouds(
    admin: httpx.Client, aws: FakeAws
) -> None:
    aws.invocation = Invocation(payload=ANSWER, logs=TAIL)
    function = made(admin)
    path, there = f"{PLACE}/functions/{function['id']}", aws.functions[function["name"]]
    package = zipped({"index.js": "exports.handler = async () => 7"})
    admin.post(f"{path}/upload", files={"file": ("code.zip", package)}).raise_for_status()

    told = admin.post(f"{path}/invoke", json={"payload": {"n": 7}}).raise_for_status().json()["data"]

    assert events(aws)[-1] == b'{"n":7}'
    assert (told["statusCode"], told["hasError"], told["payload"]["body"]) == (200, False, "from Lambda")
    assert told["logs"] == TAIL
    assert told["durationMs"] == 93
    assert there.url == function["endpoint"]
    admin.delete(f"{PLACE}/resources/{function['id']}").raise_for_status()
    assert function["name"] not in aws.functions


def test_it_is_called_as_an_api_function_and_its_log_is_that_of_the_request(
    name: str, functions: Functions, aws: FakeAws
) -> None:
    answer = functions.call(name, "/hello?a=1", "POST", content=b"x")

    assert (answer.status_code, answer.text) == (201, "from Lambda")
    assert b"/hello" in events(aws)[-1]
    [record] = eventually_sync(lambda: recorded(functions, name, "/hello"))
    assert record["statusCode"] == 201
    assert texts(functions.request_logs(record["id"])) == LINES


def test_it_runs_tasks_direct_executions_and_schedules_with_their_logs(
    name: str, functions: Functions, aws: FakeAws
) -> None:
    exh = functions.exh

    def complete(task_id: str) -> bool:
        found = exh.get(f"/tasks/v1/?eq(id,{task_id})").json()["data"]
        return bool(found) and found[0]["status"] == "complete"

    def logged(task_id: str) -> list[str]:
        answer = exh.get(f"/tasks/v1/{task_id}/logs")
        assert answer.status_code == httpx.codes.OK, answer.text
        return texts([line["message"] for line in answer.json()["data"]])

    task = exh.post("/tasks/v1/", json={"functionName": name, "data": {"n": 1}}).raise_for_status().json()["id"]
    eventually_sync(lambda: complete(task), within_s=15)
    assert eventually_sync(lambda: logged(task)) == LINES
    assert b'"n":1' in events(aws)[-1]

    executed = exh.post(f"/tasks/v1/functions/{name}/execute", json={"data": {"n": 2}}).raise_for_status().json()
    assert (executed["status"], executed["result"]["body"]) == ("complete", "from Lambda")
    assert eventually_sync(lambda: logged(executed["id"])) == LINES

    planned = {"functionName": name, "interval": 3600, "data": {"n": 3}}
    schedule = exh.post("/tasks/v1/schedules", json=planned).raise_for_status().json()["id"]
    eventually_sync(lambda: b'"n":3' in events(aws)[-1], within_s=15)
    exh.delete(f"/tasks/v1/schedules/{schedule}").raise_for_status()


def test_it_is_invoked_by_neo_at_once_and_later_with_its_log(name: str, functions: Functions, aws: FakeAws) -> None:
    at_once = functions.invoke(name, {"n": 1})
    later = functions.invoke(name, {"n": 2}, **{"async": True})

    assert at_once.status_code == 200, at_once.text
    assert at_once.json()["data"]["result"]["body"] == "from Lambda"
    assert later.status_code == 202
    for answer in (at_once, later):
        record = eventually_sync(partial(completed, functions, name, answer), within_s=15)
        assert record["result"]["statusCode"] == 201
        assert [(line["level"], line["message"]) for line in record["logs"]] == [
            ("info", "thinking"),
            ("error", "oh no"),
        ]
        assert record["logs"][0]["timestamp"].startswith("2026-03-01T09:00:00")
    assert events(aws)[-1] == b'{"n":2}'


def completed(functions: Functions, name: str, answer: httpx.Response) -> dict[str, Any]:
    record = functions.execution(name, answer.headers["X-Execution-Id"])
    assert record["status"] == "completed"
    assert record["logs"]
    return record


def test_what_it_throws_is_an_error_in_every_dialect(name: str, functions: Functions, aws: FakeAws) -> None:
    aws.invocation = Invocation(
        payload=b'{"errorType":"TypeError","errorMessage":"no","trace":["TypeError: no"]}', error="Unhandled", logs=TAIL
    )

    assert functions.call(name).status_code == 400
    refused = functions.invoke(name)
    assert (refused.status_code, refused.json()["error"]["details"]["name"]) == (500, "TypeError")


def test_an_api_function_of_a_linked_project_is_made_at_aws_and_has_no_address_there(
    functions: Functions, aws: FakeAws
) -> None:
    aws.invocation = Invocation(payload=ANSWER, logs=TAIL)
    name = functions.create_node("exports.handler = async () => ({ statusCode: 200 })")

    there = aws.functions[name]
    assert (there.url, there.statements) == (None, set())
    assert functions.call(name).text == "from Lambda"
    functions.exh.put(f"/tasks/v1/functions/{name}", json={"memoryLimit": 256}).raise_for_status()
    assert there.configuration["MemorySize"] == 256
    functions.exh.delete(f"/tasks/v1/functions/{name}").raise_for_status()
    assert name not in aws.functions


def test_what_aws_cannot_run_stays_here(functions: Functions, aws: FakeAws) -> None:
    name = functions.create_neo("module.exports = async () => 'here'")

    assert functions.invoke(name).json()["data"]["result"] == "here"
    assert name not in aws.functions


def test_an_event_that_lambda_does_not_take_is_refused_with_the_limit(
    name: str, functions: Functions, aws: FakeAws
) -> None:
    aws.fail("Invoke", AwsError(413, "RequestTooLargeException", "Request must be smaller than 6291556 bytes"))

    refused = functions.invoke(name)

    assert refused.status_code == 413, refused.text
    assert "6291556 bytes" in refused.json()["error"]["message"]


def test_a_function_that_aws_still_makes_is_called_again_later(name: str, functions: Functions, aws: FakeAws) -> None:
    pending = AwsError(409, "ResourceConflictException", "The function is currently in the following state: Pending")
    aws.fail("Invoke", pending, pending)

    assert functions.invoke(name).status_code == 503
    task = functions.exh.post("/tasks/v1/", json={"functionName": name}).raise_for_status().json()["id"]

    def status() -> str:
        [found] = functions.exh.get(f"/tasks/v1/?eq(id,{task})").json()["data"]
        return str(found["status"])

    eventually_sync(lambda: status() == "complete", within_s=15)


def test_an_aws_that_throttles_ends_a_create_with_what_to_do_and_leaves_nothing(
    admin: httpx.Client, aws: FakeAws
) -> None:
    throttled = AwsError(429, "TooManyRequestsException", "Rate exceeded")
    aws.fail("CreateFunction", *[throttled] * 100)
    name = unique("fn")
    body = {"name": name, "runtime": NODE, "handler": "index.handler", "region": "eu-west-1"}

    began = time.monotonic()
    refused = admin.post(f"{PLACE}/functions", json=body)

    aws.fails.clear()
    assert time.monotonic() - began < 20
    assert refused.status_code == 500, refused.text
    assert refused.json()["error"] == "Failed to create function"
    assert refused.json()["details"] == "Rate exceeded"
    assert refused.json()["suggestion"]
    assert name not in [each["name"] for each in admin.get(f"{PLACE}/functions").json()["data"]]
    assert admin.post(f"{PLACE}/functions", json=body).status_code == httpx.codes.CREATED


def test_twenty_deployments_at_once_hold_up_no_call(admin: httpx.Client, name: str, functions: Functions) -> None:
    with ThreadPoolExecutor(20) as pool:
        deployments = [pool.submit(made, admin) for _ in range(20)]
        slowest = 0.0
        while not all(each.done() for each in deployments):
            began = time.monotonic()
            assert functions.call(name).status_code == 201
            slowest = max(slowest, time.monotonic() - began)
        assert len({each.result()["resourceId"] for each in deployments}) == 20

    assert slowest < 3
