"""Authorization codes, PKCE, and what was issued, listed and taken back (contracts/extrahorizon.md section 10)."""

import asyncio
import base64
import hashlib
from typing import Any

import httpx
import pytest

from shared.database import authorizations, passwords, users
from shared.database.pool import Connection
from tests.integration.api_extrahorizon.conftest import CLIENT_ID, EMAIL, PASSWORD, Horizon
from tests.integration.api_extrahorizon.test_applications import (
    OAUTH1,
    OAUTH2,
    made,
    refusal,
    sign_in,
    tokens,
    version_of,
)
from tests.support.eventually import eventually

AUTHORIZATIONS = "/auth/v2/oauth2/authorizations"
CALLBACK = "https://page.example/back"
VERIFIER = "v" * 43
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
LOGIN = {"client_id": CLIENT_ID, "grant_type": "password", "username": EMAIL, "password": PASSWORD}


async def a_client(horizon: Horizon, **more: Any) -> dict[str, Any]:
    return await version_of(horizon, await made(horizon, **{**OAUTH2, **more}))


async def asked(horizon: Horizon, client: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"responseType": "code", "clientId": client["clientId"], "redirectUri": CALLBACK, **more}
    return await horizon.admin.post(AUTHORIZATIONS, json={name: value for name, value in body.items() if value})


async def a_code(horizon: Horizon, client: dict[str, Any], **more: Any) -> str:
    answer = await asked(horizon, client, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["authorizationCode"])


def exchange(client: dict[str, Any], code: str, **more: str) -> dict[str, str]:
    return {"client_id": client["clientId"], "grant_type": "authorization_code", "code": code, **more}


def oauth_error(answer: httpx.Response) -> tuple[int, str, int]:
    body = answer.json()
    assert "code" not in body
    return answer.status_code, body["error"], body["exh_error"]["code"]


async def test_a_user_lets_an_application_have_tokens_for_a_code(horizon: Horizon) -> None:
    client = await a_client(horizon)

    answer = await asked(horizon, client, state="xyz")

    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    shown = answer.json()
    assert (shown["clientId"], shown["userId"], shown["redirectUri"], shown["state"]) == (
        client["clientId"],
        horizon.first.user_id,
        CALLBACK,
        "xyz",
    )
    assert len(shown["authorizationCode"]) == 40
    issued = await tokens(horizon, exchange(client, shown["authorizationCode"], redirect_uri=CALLBACK))
    assert issued.status_code == 200, issued.text
    assert issued.json()["user_id"] == horizon.first.user_id
    async with horizon.client(issued.json()["access_token"]) as page:
        assert (await page.get("/users/v1/me")).json()["email"] == EMAIL


async def test_a_code_is_exchanged_once_and_takes_back_what_it_gave_when_it_comes_again(horizon: Horizon) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client)
    issued = (await tokens(horizon, exchange(client, code))).json()
    refresh = {"client_id": client["clientId"], "grant_type": "refresh_token"}
    later = (await tokens(horizon, {**refresh, "refresh_token": issued["refresh_token"]})).json()

    assert oauth_error(await tokens(horizon, exchange(client, code))) == (400, "invalid_grant", 115)

    for given in (issued, later):
        async with horizon.client(given["access_token"]) as thief:
            assert refusal(await thief.get("/users/v1/me")) == (401, 117)
    again = await tokens(horizon, {**refresh, "refresh_token": later["refresh_token"]})
    assert oauth_error(again) == (400, "invalid_grant", 119)


async def test_of_exchanges_at_once_at_most_one_gives_tokens_and_none_of_them_last(horizon: Horizon) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client)

    answers = await asyncio.gather(*(tokens(horizon, exchange(client, code)) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
    assert await horizon.db.fetchval("SELECT count(*) FROM access_tokens WHERE authorization_id IS NOT NULL") == 0


async def test_a_code_is_of_no_use_to_another_application_or_version(horizon: Horizon) -> None:
    application = await made(horizon, **OAUTH2)
    client, newer = await version_of(horizon, application), await version_of(horizon, application, "v2")
    other = await a_client(horizon)
    code = await a_code(horizon, client)

    for thief in (newer, other):
        assert oauth_error(await tokens(horizon, exchange(thief, code))) == (400, "invalid_grant", 115)
    assert oauth_error(await tokens(horizon, exchange(client, "0" * 40))) == (400, "invalid_grant", 115)
    assert (await tokens(horizon, exchange(client, code))).status_code == 200


async def test_a_code_counts_for_a_while(horizon: Horizon) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client)
    await horizon.db.execute("UPDATE oauth2_authorizations SET expires_at = now() - interval '1 second'")

    assert oauth_error(await tokens(horizon, exchange(client, code))) == (400, "invalid_grant", 116)

    await horizon.db.execute("UPDATE oauth2_authorizations SET expires_at = now() - interval '25 hours'")
    await authorizations.forget_expired(horizon.db)
    assert oauth_error(await tokens(horizon, exchange(client, code))) == (400, "invalid_grant", 115)


@pytest.mark.parametrize(
    ("challenge", "verifier"),
    [
        ({"codeChallenge": S256, "codeChallengeMethod": "S256"}, VERIFIER),
        ({"codeChallenge": VERIFIER, "codeChallengeMethod": "plain"}, VERIFIER),
        ({"codeChallenge": VERIFIER}, VERIFIER),
    ],
)
async def test_a_code_with_a_challenge_wants_its_verifier(
    horizon: Horizon, challenge: dict[str, str], verifier: str
) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client, **challenge)

    assert oauth_error(await tokens(horizon, exchange(client, code))) == (400, "invalid_request", 128)
    for wrong in ("w" * 43, S256 if verifier == VERIFIER and "S256" in challenge.values() else "x"):
        answer = await tokens(horizon, exchange(client, code, code_verifier=wrong))
        assert oauth_error(answer) == (400, "invalid_grant", 122)
    # A guess does not use the code up: its owner still gets what they asked for.
    assert (await tokens(horizon, exchange(client, code, code_verifier=verifier))).status_code == 200


async def test_a_verifier_for_a_code_without_a_challenge_is_refused(horizon: Horizon) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client)

    answer = await tokens(horizon, exchange(client, code, code_verifier=VERIFIER))

    assert oauth_error(answer) == (400, "invalid_grant", 122)


@pytest.mark.parametrize(
    "challenge",
    [
        {"codeChallenge": "short", "codeChallengeMethod": "plain"},
        {"codeChallenge": "x" * 129},
        {"codeChallenge": "/" * 43},
        {"codeChallenge": S256, "codeChallengeMethod": "S512"},
        {"codeChallengeMethod": "S256"},
    ],
)
async def test_a_challenge_that_is_none_is_refused(horizon: Horizon, challenge: dict[str, str]) -> None:
    assert refusal(await asked(horizon, await a_client(horizon), **challenge)) == (400, 15)


async def test_a_user_is_sent_back_only_to_where_the_application_has_said(horizon: Horizon) -> None:
    one = await a_client(horizon)
    two = await a_client(horizon, redirectUris=[CALLBACK, "app:/back"])

    assert (await asked(horizon, one, redirectUri=None)).json()["redirectUri"] == CALLBACK
    for client, uri in ((two, None), (one, "https://evil.example/"), (one, CALLBACK + "/"), (one, CALLBACK.upper())):
        assert refusal(await asked(horizon, client, redirectUri=uri)) == (400, 113)
    assert refusal(await asked(horizon, {"clientId": CLIENT_ID})) == (400, 113)
    code = await a_code(horizon, two, redirectUri="app:/back")
    other = await tokens(horizon, exchange(two, code, redirect_uri=CALLBACK))
    assert oauth_error(other) == (400, "invalid_grant", 113)


async def test_what_else_can_be_wrong_is_told(horizon: Horizon) -> None:
    client = await a_client(horizon)
    body = {"responseType": "code", "clientId": client["clientId"]}

    assert refusal(await asked(horizon, client, responseType="token")) == (400, 114)
    assert refusal(await asked(horizon, {"clientId": "none"})) == (400, 103)
    assert refusal(await horizon.anonymous.post(AUTHORIZATIONS, json=body)) == (401, 104)
    assert refusal(await horizon.admin.post(AUTHORIZATIONS, json={"responseType": "code"})) == (400, 14)
    assert refusal(await horizon.admin.post(AUTHORIZATIONS, content=b"")) == (400, 13)
    assert refusal(await asked(horizon, client, state="x" * 2001)) == (400, 15)
    missing = {"client_id": client["clientId"], "grant_type": "authorization_code"}
    assert oauth_error(await tokens(horizon, missing)) == (400, "invalid_request", 14)


async def test_a_confidential_application_shows_its_secret_with_the_code(horizon: Horizon) -> None:
    client = await a_client(horizon, confidential=True)
    code = await a_code(horizon, client)

    assert oauth_error(await tokens(horizon, exchange(client, code))) == (401, "invalid_client", 126)
    wrong = await tokens(horizon, exchange(client, code, client_secret="guessed"))
    assert oauth_error(wrong) == (401, "invalid_client", 124)
    right = await tokens(horizon, exchange(client, code, client_secret=client["clientSecret"]))
    assert right.status_code == 200


async def everything_issued(horizon: Horizon) -> dict[str, str]:
    """Have one of each sort issued to the administrator; return the paths of their lists and their ids."""
    await tokens(horizon, LOGIN)
    await a_code(horizon, await a_client(horizon))
    await sign_in(horizon, await version_of(horizon, await made(horizon, **OAUTH1)))
    found = {}
    for path in ("oauth1/tokens", "oauth2/tokens", "oauth2/refreshTokens", "oauth2/authorizations"):
        page = (await horizon.admin.get(f"/auth/v2/{path}?sort(-creationTimestamp)")).json()
        assert page["page"]["total"] >= 1
        found[f"/auth/v2/{path}"] = page["data"][0]["id"]
    return found


async def test_what_was_issued_is_listed_without_what_opens(horizon: Horizon) -> None:
    found = await everything_issued(horizon)

    for path, id_ in found.items():
        [shown] = (await horizon.admin.get(f"{path}?eq(id,{id_})&eq(userId,{horizon.first.user_id})")).json()["data"]
        assert shown["userId"] == horizon.first.user_id
        assert {"creationTimestamp", "updateTimestamp"} <= set(shown)
        opens = {"tokenSecret", "accessToken", "refreshToken", "authorizationCode", "codeChallenge", "sha256"}
        assert not opens & set(shown), path
    [access] = (await horizon.admin.get(f"/auth/v2/oauth2/tokens?eq(id,{found['/auth/v2/oauth2/tokens']})")).json()[
        "data"
    ]
    assert access["refreshTokenId"] == found["/auth/v2/oauth2/refreshTokens"]


async def test_users_see_and_take_back_their_own_and_administrators_everybodys(horizon: Horizon) -> None:
    found = await everything_issued(horizon)

    async with horizon.client(await horizon.user_token()) as member:
        for path, id_ in found.items():
            own = (await member.get(path)).json()
            assert {each["userId"] for each in own["data"]}.isdisjoint({horizon.first.user_id})
            assert refusal(await member.delete(f"{path}/{id_}")) == (404, 16)
            assert refusal(await member.delete(f"{path}/short")) == (400, 12)
        [mine] = (await member.get("/auth/v2/oauth2/tokens")).json()["data"]
        assert (await member.delete(f"/auth/v2/oauth2/tokens/{mine['id']}")).json() == {"affectedRecords": 1}
        assert refusal(await member.get("/users/v1/me")) == (401, 117)
    async with horizon.client(await horizon.user_token("DELETE_AUTHORIZATIONS", "VIEW_AUTHORIZATIONS")) as keeper:
        for path, id_ in found.items():
            assert (await keeper.get(f"{path}?eq(id,{id_})")).json()["page"]["total"] == 1
            assert (await keeper.delete(f"{path}/{id_}")).json() == {"affectedRecords": 1}
            assert (await keeper.get(f"{path}?eq(id,{id_})")).json()["page"]["total"] == 0
    for path in found:
        assert refusal(await horizon.anonymous.get(path)) == (401, 104)


async def test_what_was_taken_back_counts_no_more(horizon: Horizon) -> None:
    auth = await sign_in(horizon, await version_of(horizon, await made(horizon, **OAUTH1)))
    client = await a_client(horizon)
    code, unused = await a_code(horizon, client), await a_code(horizon, client)
    issued = (await tokens(horizon, exchange(client, code))).json()
    bearer = {"Authorization": f"Bearer {issued['access_token']}"}
    assert (await horizon.anonymous.get("/users/v1/me", auth=auth)).status_code == 200
    assert (await horizon.anonymous.get("/users/v1/me", headers=bearer)).status_code == 200

    [token] = (await horizon.admin.get(f"/auth/v2/oauth1/tokens?eq(token,{auth.token})")).json()["data"]
    await horizon.admin.delete(f"/auth/v2/oauth1/tokens/{token['id']}")
    for each in (await horizon.admin.get(f"{AUTHORIZATIONS}?eq(clientId,{client['clientId']})")).json()["data"]:
        await horizon.admin.delete(f"{AUTHORIZATIONS}/{each['id']}")

    assert refusal(await horizon.anonymous.get("/users/v1/me", auth=auth)) == (401, 108)
    assert refusal(await horizon.anonymous.get("/users/v1/me", headers=bearer)) == (401, 117)
    assert oauth_error(await tokens(horizon, exchange(client, unused))) == (400, "invalid_grant", 115)


async def test_a_refresh_token_that_was_taken_back_gives_nothing(horizon: Horizon) -> None:
    issued = (await tokens(horizon, LOGIN)).json()
    [newest, *_] = (await horizon.admin.get("/auth/v2/oauth2/refreshTokens")).json()["data"]

    assert (await horizon.admin.delete(f"/auth/v2/oauth2/refreshTokens/{newest['id']}")).status_code == 200

    refresh = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    assert oauth_error(await tokens(horizon, refresh)) == (400, "invalid_grant", 119)


async def test_what_this_platform_does_not_offer_is_an_unknown_endpoint(horizon: Horizon) -> None:
    for path in ("/auth/v2/oauth1/tokens/mfa", "/auth/v2/oauth1/ssoTokens/generate", "/auth/v2/mfa/users/x/enable"):
        answer = await horizon.admin.post(path, json={})
        assert (answer.status_code, answer.json()["name"]) == (404, "ENDPOINT_EXCEPTION")


async def test_a_code_that_is_overtaken_by_another_password_gives_no_tokens(horizon: Horizon) -> None:
    client = await a_client(horizon)
    code = await a_code(horizon, client)

    async def waiting() -> bool:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(await horizon.db.fetchval(sql))

    async with asyncio.TaskGroup() as tasks:

        async def change(connection: Connection) -> "asyncio.Task[httpx.Response]":
            await connection.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", horizon.first.user_id)
            exchanging = tasks.create_task(tokens(horizon, exchange(client, code)))
            await eventually(waiting)
            await passwords.replace_password(connection, horizon.first.user_id, "another")
            return exchanging

        exchanging = await horizon.db.in_transaction(change)

    assert exchanging.result().status_code == 400
    assert await horizon.db.fetchval("SELECT count(*) FROM refresh_tokens") == 0


async def test_whoever_was_put_out_a_moment_ago_gets_no_code(horizon: Horizon) -> None:
    client = await a_client(horizon)
    assert (await asked(horizon, client)).status_code == 200
    await users.set_password(horizon.db, horizon.first.user_id, "another")

    assert refusal(await asked(horizon, client)) == (401, 117)
    assert await horizon.db.fetchval("SELECT count(*) FROM oauth2_authorizations") == 0
