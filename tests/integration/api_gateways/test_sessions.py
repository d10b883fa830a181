"""Signing up, logging in and out, keys, the profile (contracts/gateways.md section 2.1; checks 1 to 4)."""

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta

import jwt
import orjson
import pytest

from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.database import people
from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import PASSWORD, Citizen, Town
from tests.support.builders import unique
from tests.support.envelopes import an_envelope

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
OTHER_MASTER_KEY = bytes(reversed(range(32)))


async def test_whoever_signs_up_gets_a_session_and_a_workspace(town: Town) -> None:
    nobody = await town.client()
    body = {"email": " Grace@Example.com ", "password": PASSWORD, "name": "  Grace  B. Hopper "}

    answer = await nobody.post("/api/auth/signup", json=body)

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    shown = answer.json()
    assert shown["message"] == "User registered successfully"
    assert set(shown["data"]) == {"user", "token", "refreshToken", "expiresAt"}
    number = await town.api.db.fetchval("SELECT number FROM users WHERE email = 'Grace@Example.com'")
    assert shown["data"]["user"] == {"id": number, "email": "Grace@Example.com", "name": "Grace B. Hopper"}
    lasts = datetime.fromisoformat(shown["data"]["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < lasts <= timedelta(days=7)
    head, claims = (
        orjson.loads(base64.urlsafe_b64decode(part + "==")) for part in shown["data"]["token"].split(".")[:2]
    )
    assert head["alg"] == "HS256"
    assert claims["sub"] == str(number)
    profile = (await nobody.get("/api/users/profile", headers=bearer(shown["data"]["token"]))).json()["data"]
    [workspace] = profile["workspaces"]
    assert (workspace["name"], workspace["slug"]) == ("Grace's Workspace", "graces-workspace")
    assert (workspace["userRole"], workspace["planId"]) == ("owner", 5)
    assert all(workspace["permissions"].values())
    assert len(workspace["permissions"]) == 11
    assert profile["defaultWorkspaceId"] == workspace["id"]
    assert MOMENT.fullmatch(workspace["joinedAt"])
    assert (profile["pendingInvitationsCount"], profile["pendingInvitations"]) == (0, [])


BAD_SIGN_UPS: list[object] = [
    {},
    {"email": "a@b.ch", "password": PASSWORD},
    {"email": "a@b.ch", "name": "A"},
    {"password": PASSWORD, "name": "A"},
    {"email": "ab.ch", "password": PASSWORD, "name": "A"},
    {"email": "a@b", "password": PASSWORD, "name": "A"},
    {"email": 7, "password": PASSWORD, "name": "A"},
    {"email": "a@b.ch", "password": "seven77", "name": "A"},
    {"email": "a@b.ch", "password": "x" * 1025, "name": "A"},
    {"email": "a@b.ch", "password": PASSWORD, "name": "  "},
    {"email": "a@b.ch", "password": PASSWORD, "name": "x" * 101},
    [],
    None,
]


async def test_who_signs_up_badly_is_told_so(town: Town) -> None:
    nobody = await town.client()
    accounts = await town.api.db.fetchval("SELECT count(*) FROM accounts")
    for body in BAD_SIGN_UPS:
        answer = await nobody.post("/api/auth/signup", json=body)

        assert answer.status_code == 400, body
        assert set(answer.json()) >= {"error", "message"}
        assert PASSWORD not in answer.text
    assert await town.api.db.fetchval("SELECT count(*) FROM accounts") == accounts


async def test_an_email_is_taken_once_however_it_is_written_and_leaves_no_workspace(town: Town) -> None:
    ada = await town.citizen()
    body = {"email": ada.email.upper(), "password": PASSWORD, "name": "Mallory"}

    answers = await asyncio.gather(*(ada.http.post("/api/auth/signup", json=body) for _ in range(3)))

    assert [each.status_code for each in answers] == [409] * 3
    assert await town.api.db.fetchval("SELECT count(*) FROM accounts WHERE name LIKE 'Mallory%'") == 0


async def test_logging_in_opens_another_session_of_the_same_user(town: Town) -> None:
    ada = await town.citizen()

    shown = await ada.send("POST", "/api/auth/login", {"email": ada.email.upper(), "password": PASSWORD})

    assert shown["message"] == "Login successful"
    assert shown["data"]["user"]["id"] == ada.id
    other = await town.client(bearer(shown["data"]["token"]))
    listed = (await other.get("/api/users/sessions")).json()
    assert [each["isCurrentSession"] for each in listed["data"]] == [True, False]
    assert listed["pagination"] == {
        "page": 1,
        "limit": 10,
        "total": 2,
        "totalPages": 1,
        "hasNextPage": False,
        "hasPrevPage": False,
    }


async def test_a_wrong_password_and_an_unknown_user_are_one_answer(town: Town) -> None:
    ada = await town.citizen()

    wrong = await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": "wrong-password"}, status=401)
    unknown = await ada.send(
        "POST", "/api/auth/login", {"email": "no@example.com", "password": "wrong-password"}, status=401
    )

    assert wrong == unknown
    await ada.send("POST", "/api/auth/login", {"email": ada.email}, status=400)
    await ada.send("POST", "/api/auth/login", {"password": "x"}, status=400)


async def test_who_guesses_passwords_has_to_wait(town: Town) -> None:
    ada = await town.citizen()
    for _ in range(10):
        await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": "wrong-password"}, status=401)

    answer = await ada.http.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_without_a_valid_credential_everything_is_refused(town: Town) -> None:
    ada = await town.citizen()
    garbage = [
        {},
        bearer("garbage"),
        bearer("sk_garbage"),
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "sk_" + "0" * 48},
        {"X-API-Key": "sl_" + "0a" * 32},
        bearer(ada.token[:-2]),
        bearer(ada.token + "x"),
        bearer("x" * 3000),
        bearer(forged(ada.token, {"alg": "none", "typ": "JWT"})),
        bearer(jwt.encode(jwt.decode(ada.token, options={"verify_signature": False}), "k" * 32, algorithm="HS256")),
    ]
    for headers in garbage:
        answer = await (await town.client(headers)).get("/api/projects")
        assert answer.status_code == 401, headers
        assert answer.json()["error"] == "Unauthorized"
        assert answer.json()["message"]


async def test_logging_out_ends_the_session_at_once_and_no_other(town: Town) -> None:
    ada = await town.citizen()
    login = await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD})
    other = await town.client(bearer(login["data"]["token"]))

    assert await ada.send("POST", "/api/auth/logout") == {"message": "Logged out successfully"}

    await ada.get("/api/projects", status=401)
    await ada.send("POST", "/api/auth/refresh", {"refreshToken": ada.refresh_token}, status=401)
    assert (await other.get("/api/projects")).status_code == 200
    assert (await other.post("/api/auth/logout-all")).status_code == 200
    assert (await other.get("/api/projects")).status_code == 401


async def test_a_refresh_token_renews_the_session_once(town: Town) -> None:
    ada = await town.citizen()

    answers = await asyncio.gather(
        *(ada.http.post("/api/auth/refresh", json={"refreshToken": ada.refresh_token}) for _ in range(4))
    )

    assert sorted(each.status_code for each in answers) == [200, 401, 401, 401]
    [renewed] = [each.json()["data"] for each in answers if each.status_code == 200]
    assert renewed["refreshToken"] != ada.refresh_token
    assert (await (await town.client(bearer(renewed["token"]))).get("/api/projects")).status_code == 200


async def test_a_session_past_its_time_opens_nothing(town: Town) -> None:
    ada = await town.citizen()

    await town.api.db.execute(
        """
        UPDATE sessions SET expires_at = now() - interval '1 second'
        WHERE user_id = (SELECT id FROM users WHERE number = $1)
        """,
        ada.id,
    )

    await ada.get("/api/projects", status=401)
    await ada.send("POST", "/api/auth/refresh", {"refreshToken": ada.refresh_token}, status=401)


async def test_an_account_that_was_given_up_cannot_be_entered(town: Town) -> None:
    ada = await town.citizen()
    key = (await ada.send("POST", "/api/users/api-keys", {}, status=201))["data"]["secret"]
    await ada.send("DELETE", "/api/users/account", {"password": "wrong-password"}, status=401)

    await ada.send("DELETE", "/api/users/account", {"password": PASSWORD})

    await ada.get("/api/projects", status=401)
    assert (await (await town.client(bearer(key))).get("/api/projects")).status_code == 401
    await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD}, status=403)


async def test_a_new_password_ends_the_other_sessions(town: Town) -> None:
    ada = await town.citizen()
    login = await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD})
    path = "/api/users/change-password"
    await ada.send("POST", path, {"currentPassword": "wrong-password", "newPassword": "another-one"}, status=401)
    await ada.send("POST", path, {"currentPassword": PASSWORD, "newPassword": "short"}, status=400)

    await ada.send("POST", path, {"currentPassword": PASSWORD, "newPassword": "another-one"})

    await ada.get("/api/projects")
    other = await town.client(bearer(login["data"]["token"]))
    assert (await other.get("/api/projects")).status_code == 401
    await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD}, status=401)
    await ada.send("POST", "/api/auth/login", {"email": ada.email, "password": "another-one"})


async def test_a_key_acts_as_its_user_in_either_header_until_it_is_revoked(town: Town) -> None:
    ada = await town.citizen()
    project = await ada.project()

    made = await ada.send("POST", "/api/users/api-keys", {"name": "CI deploy"}, status=201)

    assert set(made["data"]) == {"id", "name", "keyPrefix", "secret"}
    secret = made["data"]["secret"]
    assert secret.startswith(made["data"]["keyPrefix"])
    assert re.fullmatch("sk_[0-9a-f]{48}", secret)
    assert len(made["data"]["keyPrefix"]) == 13
    for headers in ({"X-API-Key": secret}, bearer(secret)):
        client = await town.client(headers)
        listed = (await client.get("/api/projects")).json()
        assert [each["slug"] for each in listed["data"]] == [project]
        for method, path in (("POST", ""), ("GET", ""), ("DELETE", f"/{made['data']['id']}")):
            refused = await client.request(method, f"/api/users/api-keys{path}")
            assert refused.status_code == 403
        assert (await client.post("/api/auth/logout")).status_code == 403
    [known] = (await ada.get("/api/users/api-keys"))["data"]
    assert known["lastUsedAt"] is not None
    assert "secret" not in known
    kept = await town.api.db.fetchval("SELECT string_agg(personal_keys::text, '') FROM personal_keys")
    assert secret not in kept
    await ada.send("DELETE", f"/api/users/api-keys/{known['id']}")
    assert (await (await town.client(bearer(secret))).get("/api/projects")).status_code == 401
    await ada.send("DELETE", f"/api/users/api-keys/{known['id']}", status=404)
    await ada.send("DELETE", "/api/users/api-keys/x", status=400)


async def test_the_eleventh_key_is_refused_however_many_ask_at_once(town: Town) -> None:
    ada = await town.citizen()

    answers = await asyncio.gather(*(ada.http.post("/api/users/api-keys", json={}) for _ in range(12)))

    assert sorted(each.status_code for each in answers) == [201] * 10 + [429] * 2
    refused = next(each.json() for each in answers if each.status_code == 429)
    assert refused["maxKeys"] == 10
    await ada.send("POST", "/api/users/api-keys", {"name": "x" * 129}, status=400)
    first = (await ada.get("/api/users/api-keys"))["data"][0]["id"]
    await ada.send("DELETE", f"/api/users/api-keys/{first}")
    await ada.send("POST", "/api/users/api-keys", None, status=201)


async def test_a_profile_is_changed_field_by_field(town: Town) -> None:
    ada, bo = await town.citizen(), await town.citizen()

    shown = await ada.send("PATCH", "/api/users/profile", {"name": "Ada King"})
    assert (shown["data"]["name"], shown["data"]["email"]) == ("Ada King", ada.email)
    email = f"{unique('new')}@example.com"
    shown = await ada.send("PATCH", "/api/users/profile", {"email": email})
    assert (shown["data"]["name"], shown["data"]["email"]) == ("Ada King", email)

    await ada.send("PATCH", "/api/users/profile", {"email": bo.email}, status=409)
    for body in ({}, {"name": ""}, {"email": "x"}, {"name": 7}):
        await ada.send("PATCH", "/api/users/profile", body, status=400)


async def test_a_session_is_cancelled_by_its_own_user_alone(town: Town) -> None:
    ada, bo = await town.citizen(), await town.citizen()
    session = (await ada.get("/api/users/sessions"))["data"][0]["id"]

    await bo.send("DELETE", f"/api/users/sessions/{session}", status=403)
    await bo.send("DELETE", "/api/users/sessions/999999", status=404)
    await bo.send("DELETE", "/api/users/sessions/99999999999999999999", status=404)
    await bo.send("DELETE", "/api/users/sessions/x", status=400)
    await ada.send("DELETE", f"/api/users/sessions/{session}")

    await ada.get("/api/projects", status=401)


async def test_the_administrator_of_the_platform_owns_its_first_workspace(town: Town, api: Running) -> None:
    admin = await people.find_person_by_email(api.db, "admin@example.com")
    assert admin is not None
    ada = await town.citizen()

    row = await api.db.fetchrow("SELECT role FROM members WHERE user_id = $1", admin.id)

    assert row is not None
    assert row["role"] == "owner"
    await ada.get("/api/projects/default", status=403)


async def test_nobody_signs_up_where_that_is_closed(database_url: str) -> None:
    async with running(database_url, TIDEMILL_SIGN_UP="closed") as api, Town(api) as town:
        body = {"email": "a@example.com", "password": PASSWORD, "name": "A"}

        answer = await (await town.client()).post("/api/auth/signup", json=body)

        assert answer.status_code == 403


async def test_two_replicas_honour_each_others_sessions(database_url: str) -> None:
    async with running(database_url) as one, running(database_url) as two, Town(one) as town, Town(two) as there:
        ada: Citizen = await town.citizen()

        client = await there.client(bearer(ada.token))

        assert (await client.get("/api/projects")).status_code == 200
        await ada.send("POST", "/api/auth/logout")
        assert (await client.get("/api/projects")).status_code == 401


async def test_keys_go_on_when_the_key_of_sessions_does_not_open(database_url: str) -> None:
    async with running(database_url) as one, Town(one) as town:
        ada = await town.citizen()
        key = (await ada.send("POST", "/api/users/api-keys", {}, status=201))["data"]["secret"]
    for envelope in (an_envelope(OTHER_MASTER_KEY), Envelope(KeyRing(()))):
        async with running(database_url, envelope) as two, Town(two) as town:
            there = await town.client(bearer(ada.token))
            assert (await there.get("/api/projects")).status_code == 503
            body = {"email": ada.email, "password": PASSWORD}
            assert (await there.post("/api/auth/login", json=body)).status_code == 503
            assert (await (await town.client(bearer(key))).get("/api/projects")).status_code == 200
    async with running(database_url) as three, Town(three) as town:
        await three.db.execute("UPDATE session_keys SET sealed = sealed || 'x'::bytea")
        there = await town.client(bearer(ada.token))
        assert (await there.get("/api/projects")).status_code == 503
        await three.db.execute("DELETE FROM session_keys")
        assert (await there.get("/api/projects")).status_code == 401
        body = {"email": ada.email, "password": PASSWORD}
        assert (await there.post("/api/auth/login", json=body)).status_code == 200


async def test_without_a_master_key_nobody_is_let_in_and_that_is_no_bug_of_ours(database_url: str) -> None:
    async with running(database_url, Envelope(KeyRing(()))) as api, Town(api) as town:
        body = {"email": "a@example.com", "password": PASSWORD, "name": "A"}

        answer = await (await town.client()).post("/api/auth/signup", json=body)

        assert answer.status_code == 503
        assert await api.db.fetchval("SELECT count(*) FROM accounts") == 1


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def forged(token: str, head: dict[str, str]) -> str:
    """Return the token under another head, without a signature."""
    encoded = base64.urlsafe_b64encode(orjson.dumps(head)).decode().rstrip("=")
    return f"{encoded}.{token.split('.')[1]}."
