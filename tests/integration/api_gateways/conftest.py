"""An api that answers, and people who call it."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import Town


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Running]:
    """An api on a database of its own."""
    async with running(database_url) as started:
        yield started


@pytest.fixture
async def town(api: Running) -> AsyncIterator[Town]:
    """Those who live on it."""
    async with Town(api) as made:
        yield made
