import asyncio

import asyncpg
import pytest

from shared.database.pool import _patiently
from shared.domain.errors import UnavailableError


class Server:
    """Refuses so many connections before it takes one."""

    def __init__(self, refusals: int, error: Exception) -> None:
        self._left = refusals
        self._error = error

    async def connect(self) -> str:
        if self._left:
            self._left -= 1
            raise self._error
        return "connected"


@pytest.mark.parametrize("error", [ConnectionRefusedError(), asyncpg.CannotConnectNowError("starting up")])
async def test_a_server_that_is_starting_is_waited_for(error: Exception) -> None:
    assert await _patiently(Server(3, error).connect, 5.0) == "connected"


async def test_a_server_that_stays_away_is_given_up_at_the_deadline() -> None:
    async with asyncio.timeout(2.0):
        with pytest.raises(UnavailableError):
            await _patiently(Server(1_000_000, ConnectionRefusedError()).connect, 0.2)


async def test_a_wrong_password_is_not_an_outage() -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _patiently(Server(1, asyncpg.InvalidPasswordError("no")).connect, 5.0)
