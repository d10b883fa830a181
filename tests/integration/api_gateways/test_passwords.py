"""Passwords: who guesses them, who changes them, and what else ends then (contracts/gateways.md section 2.1)."""

import asyncio
from typing import Any

import httpx
import pytest

from services.api.access.people import Origin
from services.api.access.rate_limit import FailedLogins, Registrations
from services.api.access.session_tokens import SessionTokens
from services.api.operations import sign_in
from services.api.operations.sign_in import SignInDesk
from shared.crypto.passwords import PasswordDesk, hash_password
from shared.database import accounts, people, users
from shared.domain.errors import TooManyFailedLoginsError, WrongPasswordError
from tests.integration.api.harness import CLIENT_ID, Running, running
from tests.integration.api_gateways.people import PASSWORD, Citizen, Town
from tests.support.backends import DatabaseServer
from tests.support.builders import unique

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "Another-Horse-2"
TOKENS = "/auth/v2/oauth2/tokens"


class SlowDesk(PasswordDesk):
    """A place where verifying takes until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.verified, self.go_on = asyncio.Event(), asyncio.Event()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        fits = await super().verify(password, password_hash)
        self.verified.set()
        await self.go_on.wait()
        return fits


async def change_password(citizen: Citizen) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    await citizen.send("POST", "/api/users/change-password", body)


async def user_of_the_platform(api: Running) -> str:
    """Add a user who may log in through both dialects; return their email."""
    email = f"{unique('kim')}@example.com"
    await accounts.add_user(api.db, email, await asyncio.to_thread(hash_password, PASSWORD), ())
    return email


async def ask_for_tokens(nobody: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    body = {"client_id": CLIENT_ID, "grant_type": "password", "username": email, "password": password}
    return await nobody.post(TOKENS, json=body)


async def log_in(town: Town, email: str) -> httpx.AsyncClient:
    answer = await (await town.client()).post("/api/auth/login", json={"email": email, "password": PASSWORD})
    return await town.client({"Authorization": f"Bearer {answer.json()['data']['token']}"})


async def me(town: Town, token: str) -> int:
    """Return the status of asking, through the other dialect, who a token's user is."""
    return (await (await town.client({"Authorization": f"Bearer {token}"})).get("/users/v1/me")).status_code


async def test_wrong_passwords_are_counted_for_a_user_however_the_email_is_written(api: Running, town: Town) -> None:
    ada = await town.citizen(email=f"{unique('lili')}@example.com")
    spellings = [ada.email, ada.email.upper(), ada.email.replace("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}")]
    found = [await people.find_person_by_email(api.db, spelling) for spelling in spellings]
    assert [person and person.number for person in found] == [ada.id] * 3

    for number in range(10):
        body = {"email": spellings[number % 3], "password": "wrong-password"}
        await ada.send("POST", "/api/auth/login", body, status=401)

    for spelling in spellings:
        await ada.send("POST", "/api/auth/login", {"email": spelling, "password": PASSWORD}, status=429)


async def test_wrong_passwords_of_whoever_is_logged_in_are_counted_with_the_others(ada: Citizen) -> None:
    for _ in range(5):
        await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": "wrong-password"}, status=401)
        body = {"currentPassword": "wrong-password", "newPassword": NEW}
        await ada.send("POST", "/api/users/change-password", body, status=401)

    await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD}, status=429)
    await ada.send("DELETE", "/api/users/account", {"password": PASSWORD}, status=429)


async def test_the_addresses_of_one_ipv6_host_are_counted_as_one_and_shown_as_they_are(
    api: Running, ada: Citizen
) -> None:
    desk = SignInDesk(
        passwords=PasswordDesk(), failures=FailedLogins(), registrations=Registrations(), tokens=SessionTokens()
    )

    async def log_in_from(host: int, password: str) -> None:
        origin = Origin(address=f"2001:db8::{host:x}", user_agent=None)
        await sign_in.log_in(api.api.platform, desk, ada.email, password, origin)

    await log_in_from(7, PASSWORD)
    for host in range(10):
        with pytest.raises(WrongPasswordError):
            await log_in_from(host, "wrong-password")

    with pytest.raises(TooManyFailedLoginsError):
        await log_in_from(99, PASSWORD)
    assert (await ada.get("/api/users/sessions"))["data"][0]["ipAddress"] == "2001:db8::7"


async def test_a_login_that_another_password_has_overtaken_opens_no_session(api: Running, ada: Citizen) -> None:
    slow = SlowDesk()
    desk = SignInDesk(passwords=slow, failures=FailedLogins(), registrations=Registrations(), tokens=SessionTokens())
    origin = Origin(address="192.0.2.1", user_agent=None)

    async def log_in_late() -> None:
        with pytest.raises(WrongPasswordError):
            await sign_in.log_in(api.api.platform, desk, ada.email, PASSWORD, origin)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(log_in_late())
        await asyncio.wait_for(slow.verified.wait(), 10)
        await change_password(ada)
        slow.go_on.set()

    assert (await ada.get("/api/users/sessions"))["pagination"]["total"] == 1


async def test_a_new_password_ends_what_was_opened_through_another_dialect(api: Running, town: Town) -> None:
    email = await user_of_the_platform(api)
    nobody = await town.client()
    tokens = (await ask_for_tokens(nobody, email)).json()
    assert await me(town, tokens["access_token"]) == 200
    session = await log_in(town, email)

    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert (await session.post("/api/users/change-password", json=body)).status_code == 200

    assert (await session.get("/api/projects")).status_code == 200
    assert await me(town, tokens["access_token"]) == 401
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await nobody.post(TOKENS, json=refresh)).status_code == 400
    assert (await ask_for_tokens(nobody, email)).status_code == 400
    assert (await ask_for_tokens(nobody, email, NEW)).status_code == 200


async def test_a_password_that_the_operator_sets_ends_every_session(api: Running, town: Town) -> None:
    session = await log_in(town, email := await user_of_the_platform(api))
    person = await people.find_person_by_email(api.db, email)
    assert person is not None

    await users.set_password(api.db, person.id, "another hash")

    assert (await session.get("/api/projects")).status_code == 401


async def test_whoever_gave_their_account_up_comes_in_by_no_dialect(api: Running, town: Town) -> None:
    email = await user_of_the_platform(api)
    nobody = await town.client()
    tokens = (await ask_for_tokens(nobody, email)).json()
    assert await me(town, tokens["access_token"]) == 200
    session = await log_in(town, email)

    assert (await session.request("DELETE", "/api/users/account", json={"password": PASSWORD})).status_code == 200

    assert await me(town, tokens["access_token"]) == 401
    refused = await ask_for_tokens(nobody, email)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_from_one_address_ten_people_sign_up_a_minute(database_server: DatabaseServer) -> None:
    url = database_server.create()
    async with running(url, TIDEMILL_RATE_LIMIT="on") as api, Town(api) as town:
        nobody = await town.client()

        async def sign_up(**changed: Any) -> httpx.Response:
            body = {"email": f"{unique('ada')}@example.com", "password": PASSWORD, "name": "Ada", **changed}
            return await nobody.post("/api/auth/signup", json=body)

        assert [(await sign_up(password="short")).status_code for _ in range(11)] == [400] * 11
        answers = await asyncio.gather(*(sign_up() for _ in range(12)))

        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 2
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert set(refused.json()) == {"error", "message"}
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert await api.db.fetchval("SELECT count(*) FROM accounts") == 11
    database_server.drop(url)
