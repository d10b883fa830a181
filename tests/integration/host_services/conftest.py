"""An outside for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.host_services.outside import FakeResolver, World, hello
from tests.support.web import Authority, Site, running_site


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def world(authority: Authority) -> AsyncIterator[World]:
    made = World(authority, FakeResolver({}))
    yield made
    await made.outbound.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site(hello) as running:
        yield running


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Site]:
    async with running_site(hello, authority.server("localhost", "data.example")) as running:
        yield running
