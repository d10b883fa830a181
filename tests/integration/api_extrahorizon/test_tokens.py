"""Tokens and who is calling (contracts/extrahorizon.md sections 2.2 and 2.4; acceptance 1 to 4)."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from services.api.operations.issue_tokens import TokenLifetimes, issue
from shared.crypto.tokens import sha256_hex
from shared.database import access, applications, passwords, users
from shared.database.pool import Connection
from shared.domain.errors import WrongPasswordError
from shared.domain.ids import is_record_id
from tests.integration.api_extrahorizon.conftest import CLIENT_ID, EMAIL, PASSWORD, Horizon
from tests.support.eventually import eventually

TOKENS = "/auth/v2/oauth2/tokens"
LOGIN = {"client_id": CLIENT_ID, "grant_type": "password", "username": EMAIL, "password": PASSWORD}


async def ask(horizon: Horizon, body: dict[str, Any], **request: Any) -> httpx.Response:
    return await horizon.anonymous.post(TOKENS, json=body, **request)


def oauth_error(answer: httpx.Response) -> tuple[int, str, int]:
    """Return status, OAuth2 error and inner code of an answer that has OAuth2's shape."""
    body = answer.json()

    assert set(body) == {"error", "description", "exh_error"}
    assert set(body["exh_error"]) == {"code", "name", "description"}
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, body["error"], body["exh_error"]["code"]


async def test_1_a_password_gives_tokens_that_work(horizon: Horizon) -> None:
    answer = await ask(horizon, LOGIN)
    tokens = answer.json()

    assert answer.status_code == 200, answer.text
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "user_id", "application_id"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 300)
    assert all(len(tokens[name]) == 40 and int(tokens[name], 16) for name in ("access_token", "refresh_token"))
    assert is_record_id(tokens["user_id"])
    assert is_record_id(tokens["application_id"])
    async with horizon.client(tokens["access_token"]) as client:
        assert (await client.get("/users/v1/me")).json()["id"] == tokens["user_id"]


async def test_1_plain_tokens_are_kept_nowhere(horizon: Horizon) -> None:
    tokens = (await ask(horizon, LOGIN)).json()
    rows = await horizon.db.fetch("SELECT t::text FROM access_tokens t UNION ALL SELECT t::text FROM refresh_tokens t")
    kept = " ".join(row["t"] for row in rows)

    assert sha256_hex(tokens["access_token"]) in kept
    assert tokens["access_token"] not in kept
    assert tokens["refresh_token"] not in kept


WRONG_REQUESTS: list[tuple[dict[str, Any], tuple[int, str, int]]] = [
    ({"password": "wrong"}, (400, "invalid_grant", 106)),
    ({"username": "nobody@example.com"}, (400, "invalid_grant", 106)),
    ({"password": "x" * 5000}, (400, "invalid_grant", 106)),
    ({"client_id": "unknown"}, (401, "invalid_client", 123)),
    ({"client_id": None}, (401, "invalid_client", 126)),
    ({"grant_type": None}, (400, "invalid_request", 14)),
    ({"username": None}, (400, "invalid_request", 14)),
    ({"password": 7}, (400, "invalid_request", 15)),
    ({"grant_type": "telepathy"}, (400, "unsupported_grant_type", 121)),
    ({"grant_type": "refresh_token"}, (400, "invalid_request", 14)),
    ({"grant_type": "refresh_token", "refresh_token": "0" * 40}, (400, "invalid_grant", 119)),
]


async def test_2_what_is_wrong_is_said_in_oauth2s_words(horizon: Horizon) -> None:
    for changes, expected in WRONG_REQUESTS:
        assert oauth_error(await ask(horizon, {**LOGIN, **changes})) == expected, changes


async def test_2_a_body_that_is_absent_or_malformed_is_an_invalid_request(horizon: Horizon) -> None:
    empty = await horizon.anonymous.post(TOKENS)
    malformed = await horizon.anonymous.post(TOKENS + "/", content=b"{")

    assert oauth_error(empty) == (400, "invalid_request", 13)
    assert oauth_error(malformed) == (400, "invalid_request", 22)


async def test_after_ten_wrong_passwords_a_user_is_not_tried_from_there_for_a_while(horizon: Horizon) -> None:
    for _ in range(10):
        assert oauth_error(await ask(horizon, {**LOGIN, "password": "x" * 5000})) == (400, "invalid_grant", 106)

    frozen = await ask(horizon, LOGIN)

    assert oauth_error(frozen) == (400, "invalid_grant", 212)
    assert frozen.json()["exh_error"]["name"] == "LOGIN_FREEZE_EXCEPTION"
    assert 1 <= int(frozen.headers["Retry-After"]) <= 60
    other = await ask(horizon, {**LOGIN, "username": "nobody@example.com"})
    assert oauth_error(other) == (400, "invalid_grant", 106)


async def test_after_a_hundred_wrong_passwords_of_whomever_nobody_is_tried_from_there(horizon: Horizon) -> None:
    for number in range(100):
        wrong = await ask(horizon, {**LOGIN, "username": f"{number}@example.com", "password": "x" * 5000})
        assert oauth_error(wrong) == (400, "invalid_grant", 106)

    assert oauth_error(await ask(horizon, LOGIN)) == (400, "invalid_grant", 212)


async def test_a_login_that_is_overtaken_by_another_password_gives_no_tokens(horizon: Horizon) -> None:
    user = await access.find_user_by_email(horizon.db, EMAIL)
    client = await applications.find_client(horizon.db, CLIENT_ID)
    assert user is not None
    assert client is not None
    await users.set_password(horizon.db, user.id, "another")

    with pytest.raises(WrongPasswordError):
        await issue(horizon.db, TokenLifetimes(), user.id, client, password_hash=user.password_hash)

    assert await horizon.db.fetchval("SELECT count(*) FROM access_tokens") == 0
    assert await horizon.db.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def test_another_password_waits_for_logins_and_takes_back_what_they_gave(horizon: Horizon) -> None:
    user = await access.find_user_by_email(horizon.db, EMAIL)
    client = await applications.find_client(horizon.db, CLIENT_ID)
    assert user is not None
    assert client is not None

    async with asyncio.TaskGroup() as tasks:

        async def login(connection: Connection) -> None:
            await issue(connection, TokenLifetimes(), user.id, client, password_hash=user.password_hash)
            tasks.create_task(users.set_password(horizon.db, user.id, "another"))
            await eventually(lambda: waiting(horizon))

        await horizon.db.in_transaction(login)

    assert await horizon.db.fetchval("SELECT count(*) FROM access_tokens") == 0
    assert await horizon.db.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def waiting(horizon: Horizon, for_locks: int = 1) -> bool:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    found: int = await horizon.db.fetchval(sql)
    return found >= for_locks


async def test_a_refresh_that_is_overtaken_by_another_password_gives_no_tokens(horizon: Horizon) -> None:
    first = (await ask(horizon, LOGIN)).json()
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    async with asyncio.TaskGroup() as tasks:

        async def change(connection: Connection) -> "asyncio.Task[httpx.Response]":
            await connection.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", first["user_id"])
            refreshing = tasks.create_task(ask(horizon, refresh))
            await eventually(lambda: waiting(horizon))
            await passwords.replace_password(connection, first["user_id"], "another")
            return refreshing

        refreshing = await horizon.db.in_transaction(change)

    assert oauth_error(refreshing.result()) == (400, "invalid_grant", 119)
    assert await horizon.db.fetchval("SELECT count(*) FROM access_tokens") == 0
    assert await horizon.db.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def test_another_password_waits_for_refreshes_and_takes_back_what_they_gave(horizon: Horizon) -> None:
    first = (await ask(horizon, LOGIN)).json()
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    async with asyncio.TaskGroup() as tasks:

        async def hold(connection: Connection) -> None:
            await connection.execute("LOCK TABLE access_tokens IN SHARE MODE")
            tasks.create_task(ask(horizon, refresh))
            await eventually(lambda: waiting(horizon))
            tasks.create_task(users.set_password(horizon.db, first["user_id"], "another"))
            await eventually(lambda: waiting(horizon, 2))

        await horizon.db.in_transaction(hold)

    assert await horizon.db.fetchval("SELECT count(*) FROM access_tokens") == 0
    assert await horizon.db.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def test_wrong_passwords_are_counted_for_a_user_however_the_email_is_written(horizon: Horizon) -> None:
    spellings = [EMAIL, EMAIL.upper(), EMAIL.replace("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}")]
    found = [await access.find_user_by_email(horizon.db, spelling) for spelling in spellings]

    for number in range(10):
        await ask(horizon, {**LOGIN, "username": spellings[number % 3], "password": "wrong"})
    frozen = [await ask(horizon, {**LOGIN, "username": spelling}) for spelling in spellings]

    assert [user and user.id for user in found] == [horizon.first.user_id] * 3
    assert [oauth_error(answer) for answer in frozen] == [(400, "invalid_grant", 212)] * 3


async def test_a_form_body_is_taken_too(horizon: Horizon) -> None:
    answer = await horizon.anonymous.post(TOKENS, data=LOGIN)

    assert answer.status_code == 200, answer.text


async def test_a_confidential_application_must_show_its_secret_in_the_body_or_by_basic(horizon: Horizon) -> None:
    await horizon.db.execute(
        "UPDATE oauth2_clients SET client_secret_sha256 = $1 WHERE client_id = $2", sha256_hex("s3cret+%"), CLIENT_ID
    )
    basic = {"Authorization": "Basic " + base64.b64encode(f"{CLIENT_ID}:s3cret+%".encode()).decode()}
    wrong = {"Authorization": "Basic " + base64.b64encode(f"{CLIENT_ID}:other".encode()).decode()}
    nameless = {key: value for key, value in LOGIN.items() if key != "client_id"}

    assert (await ask(horizon, {**LOGIN, "client_secret": "s3cret+%"})).status_code == 200
    assert (await ask(horizon, LOGIN, headers=basic)).status_code == 200
    assert (await ask(horizon, nameless, headers=basic)).status_code == 200
    assert (await ask(horizon, {**LOGIN, "client_secret": "s3cret+%"}, headers=basic)).status_code == 200
    assert oauth_error(await ask(horizon, LOGIN)) == (401, "invalid_client", 126)
    for refused in (
        await ask(horizon, {**LOGIN, "client_secret": "other"}),
        await ask(horizon, LOGIN, headers=wrong),
        await ask(horizon, {**LOGIN, "client_id": "another"}, headers=basic),
    ):
        assert oauth_error(refused) == (401, "invalid_client", 124)


async def test_3_a_refresh_token_gives_two_new_tokens_once(horizon: Horizon) -> None:
    first = (await ask(horizon, LOGIN)).json()
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await ask(horizon, refresh)).json()

    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["user_id"] == first["user_id"]
    assert oauth_error(await ask(horizon, refresh)) == (400, "invalid_grant", 119)


async def test_3_a_refresh_token_presented_many_times_at_once_is_good_for_one(horizon: Horizon) -> None:
    first = (await ask(horizon, LOGIN)).json()
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    answers = await asyncio.gather(*(ask(horizon, refresh) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_3_an_expired_refresh_token_is_told_apart(horizon: Horizon) -> None:
    first = (await ask(horizon, LOGIN)).json()
    await horizon.db.execute("UPDATE refresh_tokens SET expires_at = now() - interval '1 second'")
    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    assert oauth_error(await ask(horizon, refresh)) == (400, "invalid_grant", 120)


async def test_4_no_token_an_unknown_and_an_expired_one_are_told_apart(horizon: Horizon) -> None:
    nobody = await horizon.anonymous.get("/users/v1/me")
    assert (nobody.status_code, nobody.json()["code"]) == (401, 104)
    assert nobody.json()["name"] == "USER_NOT_AUTHENTICATED_EXCEPTION"

    async with horizon.client("0" * 40) as stranger:
        unknown = await stranger.get("/users/v1/me")
    assert (unknown.status_code, unknown.json()["code"]) == (401, 117)

    async with horizon.client(await horizon.token(expires_in_s=-1)) as late:
        expired = await late.get("/tasks/v1/functions")
    assert (expired.status_code, expired.json()["code"]) == (401, 118)


async def test_a_user_is_shown_to_themselves_in_the_words_of_the_users_service(horizon: Horizon) -> None:
    me = (await horizon.admin.get("/users/v1/me")).json()

    assert me["id"] == horizon.first.user_id
    assert me["email"] == EMAIL
    assert isinstance(me["creation_timestamp"], int)
    assert [role["name"] for role in me["roles"]] == ["admin"]
    assert {"name": "VIEW_TASKS", "description": ""} in me["roles"][0]["permissions"]
    assert "password_hash" not in me


async def test_health_calls_are_answered_to_anybody(horizon: Horizon) -> None:
    for path in ("/auth/v2/health", "/users/v1/health/", "/tasks/v1/health"):
        assert (await horizon.anonymous.get(path)).status_code == 200


async def test_an_unknown_path_is_an_unknown_endpoint(horizon: Horizon) -> None:
    for path in ("/tasks/v1/nowhere/at/all", "/auth/v2/nothing", "/users/v1/nothing/at/all", "/auth/v2/oauth2/no"):
        answer = await horizon.admin.get(path)

        assert (answer.status_code, answer.json()["name"]) == (404, "ENDPOINT_EXCEPTION"), path
