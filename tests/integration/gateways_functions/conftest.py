"""
Shops on one api for all tests of this directory; its deployer is real, what functions come to is scripted.

A shop at a cloud is on an AWS of all these tests' own, so its functions have names of their own.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import Town
from tests.integration.gateways_functions.shop import Shop, link_to_aws, open_shop
from tests.support.backends import DatabaseServer
from tests.support.fake_aws import FakeAws, fake_aws


@pytest.fixture(scope="package")
def package_aws() -> Iterator[FakeAws]:
    with pytest.MonkeyPatch.context() as patch, fake_aws() as fake:
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            patch.setenv(f"AWS_{name}", "test")
        yield fake


@pytest.fixture
def aws(package_aws: FakeAws) -> FakeAws:
    """An AWS that does what it is asked."""
    package_aws.fails.clear()
    package_aws.becomes.clear()
    return package_aws


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def api(database_server: DatabaseServer, package_aws: FakeAws) -> AsyncIterator[Running]:
    url = database_server.create()
    async with running(
        url,
        None,
        "real",
        TIDEMILL_AWS_ENDPOINT_URL=package_aws.url,
        TIDEMILL_AWS_ROLE_WAIT_S="0",
        TIDEMILL_AWS_PATIENCE_S="0",
        TIDEMILL_AWS_CALLS_PER_SECOND="10000",
    ) as started:
        yield started
    database_server.drop(url)


@pytest_asyncio.fixture(loop_scope="session")
async def shop(api: Running) -> AsyncIterator[Shop]:
    """A shop of this test's own."""
    api.script.reset()
    async with Town(api) as town:
        yield await open_shop(api, town)


@pytest_asyncio.fixture(loop_scope="session")
async def cloud_shop(shop: Shop, aws: FakeAws) -> Shop:
    """The same, of a project that is linked to AWS, where nothing is left to fail."""
    await link_to_aws(shop)
    return shop
