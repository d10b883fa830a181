"""An account of each test's own on the session's platform: no test sees another's functions, keys or secrets."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from shared.crypto.tokens import new_api_key, sha256_hex, shown_prefix
from shared.database import accounts
from shared.database.accounts import NewAccount
from shared.database.pool import Database
from shared.process.embedded_postgres import running_dsn
from tests.support.builders import Functions, functions_on, unique
from tests.support.platform import Platform, client_of


@dataclass(frozen=True, kw_only=True)
class Account:
    """
    An account made for one test. ``key`` may do everything in it, ``neo`` is a client with that key.

    It has no user of the Extra Horizon dialect, so ``functions`` can make Neo functions alone.
    """

    made: NewAccount
    key: str
    neo: httpx.Client
    functions: Functions
    _platform: Platform
    _stack: ExitStack

    def client(self, *permissions: str) -> httpx.Client:
        """Return a client with a key of this account that has these permissions."""
        return self.client_with(self.new_key(*permissions))

    def client_with(self, key: str) -> httpx.Client:
        """Return a client that presents this key."""
        return self._stack.enter_context(client_of(self._platform.address, {"X-API-Key": key}))

    def new_key(self, *permissions: str) -> str:
        """Return a new key of this account that has these permissions."""
        answer = self.neo.post("/v1/api-keys", json={"name": unique("key"), "permissions": permissions})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        key: str = answer.json()["data"]["key"]
        return key


NewAccounts = Callable[[], Account]


@pytest.fixture
def new_account(platform: Platform) -> Iterator[NewAccounts]:
    """Give a maker of accounts, for tests that need more than one."""
    with ExitStack() as stack:

        def make() -> Account:
            key = new_api_key()
            made = asyncio.run(_add(database_of(platform), unique("account"), key))
            neo = stack.enter_context(client_of(platform.address, {"X-API-Key": key}))
            functions = stack.enter_context(functions_on(neo, neo))
            return Account(made=made, key=key, neo=neo, functions=functions, _platform=platform, _stack=stack)

        yield make


@pytest.fixture
def account(new_account: NewAccounts) -> Account:
    """This test's own account."""
    return new_account()


def database_of(platform: Platform) -> str:
    """Return where the database of an all-in-one is."""
    dsn = running_dsn(platform.processes["tidemill"].log.parent / "data" / "postgres")
    assert dsn is not None
    return dsn


async def _add(dsn: str, name: str, key: str) -> NewAccount:
    db = await Database.connect(dsn, max_size=1)
    try:
        return await accounts.add_account(db, name, sha256_hex(key), shown_prefix(key))
    finally:
        await db.close()
