"""
One api for the tests of this directory, as many as run one after the other; people of each test's own.

Tests run on the session's event loop (``pytestmark``), where the api is. They find what others left: people, projects
and their slugs, so each looks at its own.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import Citizen, Town
from tests.support.backends import DatabaseServer


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def package_api(database_server: DatabaseServer) -> AsyncIterator[Running]:
    url = database_server.create()
    async with running(url) as started:
        yield started
    database_server.drop(url)


@pytest_asyncio.fixture(loop_scope="session")
async def api(package_api: Running) -> Running:
    """The api, whose functions do nothing special yet."""
    package_api.script.reset()
    return package_api


@pytest_asyncio.fixture(loop_scope="session")
async def town(api: Running) -> AsyncIterator[Town]:
    """Those who live on it."""
    async with Town(api) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def ada(town: Town) -> Citizen:
    """Somebody who signed up."""
    return await town.citizen()
