"""Logging in and calling by OAuth 1.0 (contracts/extrahorizon.md section 2.3, checks 5 and 35)."""

import asyncio
import re
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.api.access.oauth1 import WINDOW_S, token_digest
from services.api.dialects.extrahorizon.routes import ExtraHorizonDialect
from services.credentials import Credentials
from services.first_consumer import ensure_first_consumer
from shared.database import oauth1
from tests.integration.api_extrahorizon.conftest import CLIENT_ID, EMAIL, PASSWORD, Horizon
from tests.support.envelopes import an_envelope
from tests.support.oauth1 import OAuth1

CONSUMER = OAuth1(key="ck", secret="cs")
LOGIN = {"email": EMAIL, "password": PASSWORD}
TOKENS = "/auth/v2/oauth1/tokens"
NOT_LET_IN = {10, 101, 104, 107, 108, 109, 110, 117}


def credentials(secret: str = CONSUMER.secret) -> Credentials:
    return Credentials(
        email=EMAIL,
        password=PASSWORD,
        api_key="",
        oauth_client_id=CLIENT_ID,
        oauth1_consumer_key=CONSUMER.key,
        oauth1_consumer_secret=secret,
    )


@pytest.fixture
async def signing(horizon: Horizon) -> Horizon:
    """The platform with an OAuth 1.0 application."""
    await ensure_first_consumer(horizon.db, an_envelope(), horizon.first.environment, credentials())
    return horizon


async def log_in(horizon: Horizon, auth: OAuth1 = CONSUMER, /, **body: Any) -> httpx.Response:
    return await horizon.anonymous.post(TOKENS, json={**LOGIN, **body}, auth=auth)


async def logged_in(horizon: Horizon, **says: str) -> OAuth1:
    """Log the administrator in; return what signs for them."""
    answer = (await log_in(horizon)).raise_for_status().json()
    return OAuth1(
        key=CONSUMER.key, secret=CONSUMER.secret, token=answer["token"], token_secret=answer["tokenSecret"], says=says
    )


async def refusal(horizon: Horizon, auth: OAuth1, path: str = "/users/v1/me") -> tuple[int, int, str]:
    answer = await horizon.anonymous.get(path, auth=auth)
    return answer.status_code, answer.json()["code"], answer.json()["name"]


async def test_5_a_login_that_is_signed_by_the_application_gives_a_token(signing: Horizon) -> None:
    answer = await log_in(signing)

    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert set(made) == {
        "id",
        "userId",
        "applicationId",
        "token",
        "tokenSecret",
        "lastUsedTimestamp",
        "creationTimestamp",
        "updateTimestamp",
    }
    assert made["userId"] == signing.first.user_id
    assert len(made["id"]) == len(made["applicationId"]) == 24
    assert len(made["token"]) == len(made["tokenSecret"]) == 40
    assert answer.headers["Cache-Control"] == "no-store"


async def test_5_a_token_signs_requests_of_every_service(signing: Horizon) -> None:
    auth = await logged_in(signing)

    me = await signing.anonymous.get("/users/v1/me", auth=auth)
    for path in (
        "/tasks/v1/functions/",
        "/tasks/v1/apiRequests?eq(functionName,my%2520fn)&sort(-timestamp)",
        "/tasks/v1/apiRequests?sort(+timestamp)",
        "/tasks/v1/apiRequests?in(functionName,a,b)&or(eq(method,GET),eq(path,%252Fa%255B0%255D))&limit(2,1)",
    ):
        answer = await signing.anonymous.get(path, auth=auth)
        assert answer.status_code == 200, (path, answer.text)

    assert me.json()["id"] == signing.first.user_id


async def test_5_an_api_function_learns_for_whom_a_request_is_signed(signing: Horizon) -> None:
    name = await signing.create()
    auth = await logged_in(signing)

    answer = await signing.anonymous.get(f"/tasks/v1/api/{name}/a%20b;?x=1&y=a%20b&y=c&z", auth=auth)

    assert answer.status_code == 200, answer.text
    headers = signing.script.events[-1]["headers"]
    assert headers["x-exh-requesting-user-id"] == signing.first.user_id
    assert len(headers["x-exh-requesting-application-id"]) == 24


async def test_5_every_route_that_takes_a_bearer_token_takes_a_signature_once(signing: Horizon) -> None:
    auth = await logged_in(signing)
    asked = 0
    for route in ExtraHorizonDialect(signing.platform).routes():
        taken = [way for ways in (route.operation or {}).get("security", ()) for way in ways]
        if "ExtraHorizonToken" not in taken:
            continue
        assert "ExtraHorizonSignature" in taken, route.path
        path = re.sub(r"\{[^}]+\}", "0" * 24, route.path)
        for method in route.methods:
            answer = await signing.anonymous.request("GET" if method == "*" else method, path, auth=auth)
            assert answer.json().get("code") not in NOT_LET_IN, (method, path, answer.text)
            asked += 1

    assert asked > 20


async def test_5_what_is_wrong_with_a_signature_is_told_by_number(signing: Horizon) -> None:
    good = await logged_in(signing)

    assert await refusal(signing, replace(good, key="no")) == (401, 107, "OAUTH_KEY_EXCEPTION")
    assert await refusal(signing, replace(good, token="0" * 40)) == (401, 108, "OAUTH_TOKEN_EXCEPTION")
    for bad in (
        replace(good, secret="other"),
        replace(good, token_secret="other"),
        replace(good, says={"oauth_signature": "AAAA"}),
        replace(good, says={"oauth_signature_method": "PLAINTEXT"}),
        replace(good, says={"oauth_version": "2.0"}),
        replace(good, says={"oauth_timestamp": "soon"}),
        replace(good, says={"oauth_nonce": ""}),
    ):
        assert await refusal(signing, bad) == (401, 109, "OAUTH_SIGNATURE_EXCEPTION"), bad


async def test_a_token_is_of_no_use_with_another_applications_key(signing: Horizon) -> None:
    good = await logged_in(signing)
    other = replace(credentials(), oauth1_consumer_key="other")
    await ensure_first_consumer(signing.db, an_envelope(), signing.first.environment, other)

    assert (await refusal(signing, replace(good, key="other")))[:2] == (401, 108)


async def test_5_a_copy_of_a_request_is_refused_and_a_second_request_is_not(signing: Horizon) -> None:
    copied = await logged_in(signing, oauth_nonce="n" * 32, oauth_timestamp=str(int(time.time())))

    assert (await signing.anonymous.get("/users/v1/me", auth=copied)).status_code == 200
    assert await refusal(signing, copied) == (401, 110, "DUPLICATE_REQUEST_EXCEPTION")
    # Another request with the same nonce is a copy as well.
    assert (await refusal(signing, copied, "/tasks/v1/functions"))[:2] == (401, 110)
    again = replace(copied, says={**copied.says, "oauth_timestamp": str(int(time.time()) + 1)})
    assert (await signing.anonymous.get("/users/v1/me", auth=again)).status_code == 200


async def test_of_copies_that_come_at_once_one_is_taken(signing: Horizon) -> None:
    copied = await logged_in(signing, oauth_nonce="n" * 32, oauth_timestamp=str(int(time.time())))

    answers = await asyncio.gather(*(signing.anonymous.get("/users/v1/me", auth=copied) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_wrong_signature_does_not_use_a_nonce_up(signing: Horizon) -> None:
    good = await logged_in(signing, oauth_nonce="n" * 32, oauth_timestamp=str(int(time.time())))
    forged = replace(good, token_secret="guessed")

    assert (await refusal(signing, forged))[:2] == (401, 109)
    assert (await signing.anonymous.get("/users/v1/me", auth=good)).status_code == 200


@pytest.mark.parametrize("away_s", [-WINDOW_S - 5, WINDOW_S + 5])
async def test_a_request_that_was_not_signed_just_now_is_refused(signing: Horizon, away_s: int) -> None:
    late = await logged_in(signing, oauth_timestamp=str(int(time.time()) + away_s))

    assert (await refusal(signing, late))[:2] == (401, 109)


async def test_nonces_are_kept_while_their_timestamp_counts_and_no_longer(signing: Horizon) -> None:
    assert (await log_in(signing)).status_code == 200
    await signing.db.execute("INSERT INTO oauth1_nonces VALUES ('\\x00', now() - interval '1 second')")

    await oauth1.forget_nonces(signing.db)

    left = await signing.db.fetch("SELECT forget_at - now() AS for_more FROM oauth1_nonces")
    assert [row["for_more"].total_seconds() > WINDOW_S for row in left] == [True]


async def test_the_login_must_be_signed_by_an_application_and_by_no_other_means(signing: Horizon) -> None:
    unsigned = await signing.anonymous.post(TOKENS, json=LOGIN)
    bearer = await signing.admin.post(TOKENS, json=LOGIN)

    for answer in (unsigned, bearer):
        assert (answer.status_code, answer.json()["code"]) == (401, 101)
        assert answer.json()["name"] == "APPLICATION_NOT_AUTHENTICATED_EXCEPTION"
    assert (await log_in(signing, OAuth1(key="ck", secret="no"))).json()["code"] == 109
    assert (await log_in(signing, OAuth1(key="no", secret="cs"))).json()["code"] == 107


async def test_a_wrong_password_and_an_unknown_user_are_refused_alike(signing: Horizon) -> None:
    for body in ({"password": "wrong"}, {"email": "nobody@example.org"}):
        answer = await log_in(signing, **body)

        assert (answer.status_code, answer.json()["code"], answer.json()["name"]) == (
            401,
            106,
            "AUTHENTICATION_EXCEPTION",
        )


async def test_who_guesses_passwords_has_to_wait(signing: Horizon) -> None:
    answers = [await log_in(signing, password="wrong") for _ in range(11)]

    assert [answer.json()["code"] for answer in answers] == [106] * 10 + [212]
    frozen = await log_in(signing)
    assert (frozen.status_code, frozen.json()["name"]) == (401, "LOGIN_FREEZE_EXCEPTION")
    assert 1 <= int(frozen.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 13), (b"{", 22), (b'{"email":"a@b.c"}', 14), (b'{"email":1,"password":"x"}', 15)]
)
async def test_a_login_without_a_proper_body_is_refused(signing: Horizon, content: bytes, code: int) -> None:
    answer = await signing.anonymous.post(TOKENS, content=content, auth=CONSUMER)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_an_application_alone_is_no_user(signing: Horizon) -> None:
    assert (await refusal(signing, CONSUMER))[:2] == (401, 104)
    public = await signing.create("open", executionOptions={"permissionMode": "public"})

    answer = await signing.anonymous.get(f"/tasks/v1/api/{public}", auth=CONSUMER)

    assert answer.status_code == 200
    assert not [name for name in signing.script.events[-1]["headers"] if name.startswith("x-exh-requesting")]


async def test_a_bad_signature_is_refused_even_where_nobody_need_be_known(signing: Horizon) -> None:
    public = await signing.create("open", executionOptions={"permissionMode": "public"})
    forged = OAuth1(key="ck", secret="forged")

    assert (await refusal(signing, forged, f"/tasks/v1/api/{public}"))[:2] == (401, 109)


@pytest.mark.parametrize(
    "header",
    ["OAuth", "OAuth x", "OAuth oauth_nonce", 'OAuth oauth_nonce="a", oauth_nonce="a"', "OAuth " + "x" * 5000],
)
async def test_a_header_that_cannot_be_read_is_a_wrong_signature(signing: Horizon, header: str) -> None:
    answer = await signing.anonymous.get("/users/v1/me", headers={"Authorization": header})

    expected = 104 if header == "OAuth" else 109
    assert (answer.status_code, answer.json()["code"]) == (401, expected)


async def test_a_caller_behind_a_proxy_that_ends_tls_has_signed_https(signing: Horizon) -> None:
    host = {"Host": "api.example.com"}
    header = CONSUMER.header("POST", f"https://api.example.com{TOKENS}")

    answer = await signing.anonymous.post(TOKENS, json=LOGIN, headers={**host, "Authorization": header})

    assert answer.status_code == 200, answer.text


async def test_tokens_sign_after_a_restart_and_secrets_are_nowhere_in_plain(signing: Horizon) -> None:
    answer = (await log_in(signing)).json()
    signing.forget_credentials()
    auth = OAuth1(key="ck", secret="cs", token=answer["token"], token_secret=answer["tokenSecret"])

    assert (await signing.anonymous.get("/users/v1/me", auth=auth)).status_code == 200
    for table in ("oauth1_tokens", "oauth1_consumers"):
        for row in await signing.db.fetch(f"SELECT t::text AS whole, sealed FROM {table} t"):
            assert answer["tokenSecret"] not in row["whole"]
            assert answer["tokenSecret"].encode() not in bytes(row["sealed"])


async def test_a_consumer_secret_that_is_changed_is_in_force(signing: Horizon) -> None:
    for _ in range(2):
        await ensure_first_consumer(signing.db, an_envelope(), signing.first.environment, credentials("changed"))
    signing.forget_credentials()

    assert (await log_in(signing)).json()["code"] == 109
    assert (await log_in(signing, OAuth1(key="ck", secret="changed"))).status_code == 200
    assert await signing.db.fetchval("SELECT count(*) FROM applications WHERE type = 'oauth1'") == 1


async def test_without_the_master_key_a_signature_cannot_be_verified_now(signing: Horizon) -> None:
    await signing.db.execute("UPDATE oauth1_consumers SET master_key_id = 'gone'")

    answer = await log_in(signing)

    assert (answer.status_code, answer.json()["code"]) == (503, 4)


async def test_a_request_whose_nonce_cannot_be_written_down_is_not_taken(signing: Horizon) -> None:
    auth = await logged_in(signing)
    await signing.platform.nonces.close()

    answer = await signing.anonymous.get("/users/v1/me", auth=auth)

    assert (answer.status_code, answer.json()["code"]) == (503, 4)
    assert "Retry-After" in answer.headers


async def test_the_last_use_of_a_token_is_written_down(signing: Horizon) -> None:
    auth = await logged_in(signing)
    await signing.db.execute("UPDATE oauth1_tokens SET last_used_at = '2020-01-01Z'")
    assert (await signing.anonymous.get("/users/v1/me", auth=auth)).status_code == 200

    await signing.platform.token_usage.write()

    assert await signing.db.fetchval("SELECT now() - last_used_at < interval '10 seconds' FROM oauth1_tokens")
    assert auth.token is not None
    assert token_digest(auth.token) != token_digest("other")
