"""People of the Gateways dialect, each with a client of their own that is logged in."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import httpx

from services.api.access.people import Caller, Origin, identify_person
from services.api.access.rate_limit import FailedLogins, Registrations
from services.api.access.session_tokens import SessionTokens
from services.api.operations.sign_in import SignInDesk, SignUp, sign_up
from shared.crypto.passwords import PasswordDesk, hash_password
from tests.integration.api.harness import Running
from tests.support.builders import unique

PASSWORD = "Correct-Horse-1"
HERE = Origin(address="127.0.0.1", user_agent=None)


@dataclass(kw_only=True)
class Citizen:
    """Somebody who signed up: their client sends their session's token."""

    id: int
    email: str
    token: str
    refresh_token: str
    http: httpx.AsyncClient

    async def get(self, path: str, status: int = 200) -> Any:
        """Read something; the answer must have this status."""
        return await self.send("GET", path, status=status)

    async def send(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Send a request; return the answer's JSON, which must come with this status."""
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        shown = answer.json()
        assert "message" in shown
        assert ("error" in shown) == (status >= 400)
        return shown

    async def workspace(self) -> str:
        """Return the slug of their first workspace."""
        slug: str = (await self.get("/api/workspaces"))["data"][0]["slug"]
        return slug

    async def project(self, name: str = "Shop") -> str:
        """Make a project; return its slug."""
        slug: str = (await self.send("POST", "/api/projects", {"name": name}, status=201))["data"]["slug"]
        return slug


class OnceHashed(PasswordDesk):
    """Hashes a password once: that is slow on purpose, and most people are made for tests of something else."""

    async def hash(self, password: str) -> str:
        return _hashed(password)


@cache
def _hashed(password: str) -> str:
    return hash_password(password)


class Town:
    """Makes people. Closes their clients when it is left."""

    def __init__(self, api: Running) -> None:
        self.api = api
        self._desk = SignInDesk(
            passwords=OnceHashed(), failures=FailedLogins(), registrations=Registrations(), tokens=SessionTokens()
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def client(self, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        """Return a client that sends these headers and nothing else of its own."""
        client = httpx.AsyncClient(base_url=self.api.address, headers=headers, timeout=20, verify=False)
        return await self._stack.enter_async_context(client)

    async def citizen(self, name: str = "Ada Lovelace", email: str | None = None) -> Citizen:
        """Let somebody sign up."""
        wanted = SignUp(email=email or f"{unique('ada')}@example.com", password=PASSWORD, name=name)
        made = await sign_up(self.api.api.platform, self._desk, wanted, HERE)
        return Citizen(
            id=made.person.number,
            email=made.person.email,
            token=made.token,
            refresh_token=made.refresh_token,
            http=await self.client({"Authorization": f"Bearer {made.token}"}),
        )

    async def colleague(self, of: Citizen, role: str, places: Any = None) -> Citizen:
        """Let somebody sign up and become a member of the first workspace of another."""
        new = await self.citizen(name=f"Colleague {role}")
        slug = await of.workspace()
        body = {"email": new.email, "role": role, "projectPermissions": places}
        invited = await of.send("POST", f"/api/workspaces/{slug}/members", body, status=201)
        await new.send("POST", f"/api/workspaces/invitations/{invited['data']['invitation']['id']}/accept")
        return new


async def caller_of(api: Running, citizen: Citizen) -> Caller:
    """Return somebody as the operations know them."""
    return await identify_person(api.api.platform, SessionTokens(), citizen.token, HERE)
