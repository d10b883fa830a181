"""An api that answers, for the tests of this directory."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.api.harness import Running, running


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Running]:
    """An api on a database of its own."""
    async with running(database_url) as started:
        yield started
