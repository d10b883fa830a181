"""
An AWS account connected as docs/howto/aws-lambda.md says, and a function's life in it, on an emulated AWS.

The stack is deployed from our template with the external id of the connection. What the emulator does not do
faithfully, running functions above all, is in test_aws.py.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from tests.e2e.gateways.test_people import signed_up
from tests.support.backends import open_directory
from tests.support.builders import unique, zipped
from tests.support.emulated_aws import REGION, client, deploy_connector
from tests.support.eventually import eventually_sync
from tests.support.platform import Platform, all_in_one

CUSTOMER = "444455556666"


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def platform(aws_url: str) -> Iterator[Platform]:
    environ = {
        "TIDEMILL_AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with open_directory() as directory, all_in_one(directory, environ) as running:
        yield running


def sent(person: httpx.Client, method: str, path: str, body: object = None) -> Any:
    answer = person.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()["data"]


def connect(person: httpx.Client, aws_url: str) -> tuple[dict[str, str], str]:
    """Connect an account and link a project to it; return the outputs of the stack and the project's environment."""
    connections = f"/api/cloud-connections/{sent(person, 'GET', '/api/workspaces')[0]['slug']}"
    begun = sent(person, "POST", f"{connections}/connect-aws", {"region": REGION})
    stack = deploy_connector(aws_url, CUSTOMER, begun["externalId"])
    connection = begun["connectionId"]
    sent(person, "POST", f"{connections}/{connection}/complete", {"accountId": CUSTOMER, "accountName": "Prod"})
    project = sent(person, "POST", "/api/projects", {"name": unique("cloud")})["slug"]
    sent(person, "PATCH", f"/api/projects/{project}/connect-cloud/{connection}")
    return stack, f"/api/{project}/master"


def test_a_function_lives_its_life_in_an_account_that_was_connected_by_the_template(
    platform: Platform, aws_url: str
) -> None:
    with (
        signed_up(platform, f"{unique('cy')}@example.com") as person,
        closing(client(aws_url, "lambda", CUSTOMER)) as aws,
    ):
        stack, place = connect(person, aws_url)
        body = {"name": "thumbs", "runtime": "nodejs20.x", "handler": "index.handler", "region": REGION}
        number = sent(person, "POST", f"{place}/functions", body)["id"]
        path = f"{place}/functions/{number}"
        eventually_sync(lambda: sent(person, "GET", path)["status"] == "active", within_s=15)

        there = aws.get_function(FunctionName="thumbs")
        assert there["Configuration"]["Role"] == stack["ExecutionRoleArn"]
        assert there["Tags"]["gateways:resource-id"] == str(number)
        url = aws.get_function_url_config(FunctionName="thumbs")["FunctionUrl"]
        assert sent(person, "GET", path)["endpoint"].rstrip("/") == url.rstrip("/")

        code = zipped({"index.js": "exports.handler = async () => 2\n"})
        person.post(f"{path}/upload", files={"file": ("code.zip", code)}).raise_for_status()
        sent(person, "PUT", path, {"memorySize": 512, "environmentVariables": {"MODE": "live"}})
        now = aws.get_function_configuration(FunctionName="thumbs")
        assert now["CodeSha256"] != there["Configuration"]["CodeSha256"]
        assert (now["MemorySize"], now["Environment"]["Variables"]) == (512, {"MODE": "live"})

        aws.update_function_configuration(FunctionName="thumbs", Timeout=77)
        assert sent(person, "PUT", f"{place}/resources/{number}/sync")["timeout"] == 77

        sent(person, "DELETE", f"{place}/resources/{number}")
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            aws.get_function(FunctionName="thumbs")
        assert person.get(path).status_code == httpx.codes.NOT_FOUND
