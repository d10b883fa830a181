"""Shops on one api for all tests of this directory; its deployer is real, what functions come to is scripted."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.api.harness import Running, Script, running
from tests.integration.api_gateways.people import Town
from tests.integration.gateways_functions.shop import Shop, open_shop
from tests.support.backends import DatabaseServer


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def api(database_server: DatabaseServer) -> AsyncIterator[Running]:
    url = database_server.create()
    async with running(url, None, "real") as started:
        yield started
    database_server.drop(url)


@pytest_asyncio.fixture(loop_scope="session")
async def shop(api: Running) -> AsyncIterator[Shop]:
    """A shop of this test's own."""
    first = Script()
    api.script.run, api.script.error, api.script.lines = first.run, None, ()
    api.script.calls.clear()
    async with Town(api) as town:
        yield await open_shop(api, town)
