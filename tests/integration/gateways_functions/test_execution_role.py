"""An execution role that the operator names, from the setting to the function at AWS (contracts/gateways.md 4.2)."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.api.harness import running
from tests.integration.api_gateways.people import Town
from tests.integration.gateways_functions.shop import Shop, link_to_aws, open_shop
from tests.support.backends import DatabaseServer
from tests.support.builders import unique
from tests.support.fake_aws import ACCOUNT, EXTERNAL_ID, ROLE, FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMED = f"arn:aws:iam::{ACCOUNT}:role/named-by-the-operator"
ENDPOINT = re.compile(r"https://[a-z0-9]+\.lambda-url\.eu-west-1\.on\.aws/")


@pytest_asyncio.fixture(loop_scope="session")
async def named_shop(database_server: DatabaseServer, aws: FakeAws) -> AsyncIterator[Shop]:
    """A shop at AWS, on an api and a deployer that are told which role functions run as."""
    url = database_server.create()
    settings = {"TIDEMILL_AWS_ENDPOINT_URL": aws.url, "LAMBDA_EXECUTION_ROLE_ARN": NAMED}
    async with running(url, None, "real", **settings) as api, Town(api) as town:
        shop = await open_shop(api, town)
        await link_to_aws(shop)
        yield shop
    database_server.drop(url)


async def test_functions_run_as_the_role_that_the_settings_name(named_shop: Shop, aws: FakeAws) -> None:
    name, before = unique("fn"), len(aws.requests)

    made = await named_shop.create(name)

    assert aws.functions[name].configuration["Role"] == NAMED
    assert ENDPOINT.fullmatch(made["endpoint"])
    entered = [request for action, request in aws.requests[before:] if action == "AssumeRole"]
    assert {(request["ExternalId"], request["RoleArn"]) for request in entered} == {(EXTERNAL_ID, ROLE)}
