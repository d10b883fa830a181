import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import pytest

import services.api.app
import services.deployer.app
from services.api.platform import Platform
from services.ports import Ports, new_replica_id
from shared.bus.memory import MemoryBus
from shared.crypto.passwords import hash_password
from shared.crypto.tokens import new_token, sha256_hex
from shared.database import access, accounts, functions
from shared.database.access import NewTokens
from shared.database.accounts import AdminCredentials, FirstAccount
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.messages.messages import Record
from shared.packages.postgres import PostgresPackageStore
from shared.process.health import Health
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor
from tests.integration.api_extrahorizon.script import Script, write_down
from tests.support.builders import api_function, zipped
from tests.support.envelopes import an_envelope
from tests.support.eventually import eventually

EMAIL = "admin@example.com"
PASSWORD = "correct horse battery staple"
CLIENT_ID = "sdk-client"
PACKAGE = zipped({"index.js": "exports.handler = async () => ({statusCode: 200});"})


@cache
def password_hash() -> str:
    return hash_password(PASSWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """A running api of this test's own, with the scripted invoker behind it."""

    db: Database
    first: FirstAccount
    platform: Platform
    port: int
    script: Script
    admin: httpx.AsyncClient
    anonymous: httpx.AsyncClient

    def client(self, token: str) -> httpx.AsyncClient:
        return _client(self.port, {"Authorization": f"Bearer {token}"})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget_credentials(self) -> None:
        """Forget what the api remembers of credentials, as a restart would."""
        self.platform.credentials.clear()

    async def token(self, user_id: str | None = None, *, expires_in_s: float = 300) -> str:
        """Give a user (the administrator) an access token."""
        token = new_token()
        now = datetime.now(UTC)
        await access.insert_tokens(
            self.db,
            NewTokens(
                access_sha256=sha256_hex(token),
                access_expires_at=now + timedelta(seconds=expires_in_s),
                refresh_sha256=sha256_hex(new_token()),
                refresh_expires_at=now + timedelta(days=1),
                user_id=user_id or self.first.user_id,
                application_id=self.first.application_id,
            ),
        )
        return token

    async def user_token(self, *permissions: str) -> str:
        """Make a user with these permissions; return an access token of theirs."""
        email = f"{new_token()[:8]}@example.com"
        return await self.token(await accounts.add_user(self.db, email, password_hash(), permissions))

    async def create(self, name: str = "greeter", **fields: Any) -> str:
        """Make a function through the API; return its name."""
        answer = await self.admin.post("/tasks/v1/functions/", json=api_function(name, PACKAGE, **fields))
        assert answer.status_code == 200, answer.text
        function = await functions.find_by_name(self.db, self.first.environment.id, name)
        assert function is not None
        self.script.names[function.id] = name
        return name

    async def call(self, path: str = "", method: str = "GET", **request: Any) -> httpx.Response:
        return await self.admin.request(method, f"/tasks/v1/api/{path}", **request)

    async def records(self, count: int) -> list[dict[str, Any]]:
        """Return all API requests, newest first, once there are so many."""

        async def all_of_them() -> list[dict[str, Any]]:
            answer = await self.admin.get("/tasks/v1/apiRequests?limit(50)")
            found: list[dict[str, Any]] = answer.json()["data"]
            assert len(found) == count, found
            return found

        return await eventually(all_of_them)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return everything that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings of the api beside those of every test; a test says its own by parametrizing this."""
    return {}


@pytest.fixture
async def horizon(database_url: str, environ: dict[str, str]) -> AsyncIterator[Horizon]:
    async with AsyncExitStack() as stack:
        db = await Database.connect(database_url)
        stack.push_async_callback(db.close)
        await ensure_partitions(db, datetime.now(UTC).date())
        first = await accounts.ensure_first_account(db, first_credentials())
        bus = MemoryBus()
        await bus.start()
        stack.push_async_callback(bus.close)
        supervisor = await stack.enter_async_context(Supervisor())
        settings = load_settings({"TIDEMILL_PORT": "0", "TIDEMILL_RATE_LIMIT": "off", **environ})
        ports = Ports(
            replica_id=new_replica_id("test"),
            db=db,
            bus=bus,
            packages=PostgresPackageStore(db),
            envelope=an_envelope(),
            health=Health("test"),
        )
        script = Script(first.environment.id, bus)
        await bus.serve_calls(script.answer, max_in_flight=16)

        async def persist(records: Sequence[Record]) -> None:
            await write_down(db, records)

        await bus.consume_records(persist, max_batch=100, max_wait_s=0.01)
        await services.deployer.app.build(settings, ports, stack, supervisor)
        api = await services.api.app.build(settings, ports, stack, supervisor)
        made = Horizon(
            db=db,
            first=first,
            platform=api.platform,
            port=api.port,
            script=script,
            admin=_client(api.port),
            anonymous=_client(api.port),
        )
        made.admin.headers["Authorization"] = f"Bearer {await made.token()}"
        stack.push_async_callback(made.admin.aclose)
        stack.push_async_callback(made.anonymous.aclose)
        yield made


def _client(port: int, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client of the api. It loads no certificates: that takes 30 ms of CPU a client."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, verify=False)


def first_credentials() -> AdminCredentials:
    """Return what the first account is made with."""
    return AdminCredentials(
        email=EMAIL,
        password_hash=password_hash(),
        api_key_sha256="a" * 64,
        api_key_prefix="sl_aaaaaaaa",
        oauth_client_id=CLIENT_ID,
    )
