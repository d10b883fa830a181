"""Users over HTTP (contracts/extrahorizon.md section 2.4): who they are, who may see them, who joins and leaves."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.api.access.rate_limit import REGISTRATIONS_A_MINUTE
from shared.domain.ids import is_record_id, new_record_id
from shared.domain.permission import EXTRA_HORIZON_PERMISSIONS
from tests.integration.api_extrahorizon.conftest import CLIENT_ID, EMAIL, Horizon

OPEN = pytest.mark.parametrize("environ", [{"TIDEMILL_REGISTRATION": "open"}])
NEW = {
    "activation_mode": "manual",
    "first_name": "Bo",
    "last_name": "Miller",
    "email": "bo@example.com",
    "password": "a long password",
    "phone_number": "0000000000",
    "language": "EN",
}


async def user(horizon: Horizon, *permissions: str) -> httpx.AsyncClient:
    """Return a client of a new user with these permissions."""
    return horizon.client(await horizon.user_token(*permissions))


def refusal(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


async def test_a_user_is_shown_as_the_clients_expect(horizon: Horizon) -> None:
    answer = await horizon.admin.get("/users/v1/me")
    me = answer.json()

    assert answer.status_code == 200
    assert set(me) == {
        *("id", "first_name", "last_name", "email", "language", "time_zone", "phone_number", "activation"),
        *("roles", "creation_timestamp", "update_timestamp"),
    }
    assert (me["email"], me["activation"]) == (EMAIL, True)
    assert abs(me["creation_timestamp"] / 1000 - datetime.now(UTC).timestamp()) < 60
    (role,) = me["roles"]
    assert set(role) == {"id", "name", "description", "permissions", "creation_timestamp", "update_timestamp"}
    assert {each["name"] for each in role["permissions"]} == set(EXTRA_HORIZON_PERMISSIONS)


async def test_users_are_listed_with_their_roles_in_pages(horizon: Horizon) -> None:
    async with await user(horizon, "VIEW_USER") as reader:
        me = (await reader.get("/users/v1/me")).json()
        answer = await reader.get("/users/v1/?limit(1)")

    assert answer.json() == {"page": {"total": 2, "offset": 0, "limit": 1}, "data": [me]}


async def test_users_are_found_by_what_is_known_of_them(horizon: Horizon) -> None:
    me = (await horizon.admin.get("/users/v1/me")).json()
    await horizon.user_token("VIEW_TASKS")
    email, created = me["email"], me["creation_timestamp"]
    expected = {
        f"eq(email,{email.upper()})": 1,
        f"eq(email,{email})": 1,
        f"in(email,{email},nobody@example.com)": 1,
        "like(email,ADMIN)": 1,
        "eq(email,nobody@example.com)": 0,
        f"eq(id,{me['id']})": 1,
        f"ne(id,{me['id']})": 1,
        "eq(roles.name,admin)": 1,
        f"eq(roles.id,{me['roles'][0]['id']})": 1,
        "contains(roles)": 2,
        "eq(activation,true)": 2,
        "eq(activation,false)": 0,
        f"eq(creation_timestamp,{created})": 1,
        f"ge(creation_timestamp,{created})": 2,
        "lt(creation_timestamp,2020-01-01T00:00:00.000Z)": 0,
        "gt(update_timestamp,99999999999999999999)": 0,
    }

    found = {query: (await horizon.admin.get(f"/users/v1/?{query}")).json()["page"]["total"] for query in expected}

    assert found == expected


async def test_a_list_is_sorted_and_narrowed_as_asked(horizon: Horizon) -> None:
    for _ in range(2):
        await horizon.user_token()

    answer = await horizon.admin.get("/users/v1/?sort(-email)&select(email,roles)")

    emails = [each["email"] for each in answer.json()["data"]]
    assert emails == sorted(emails, reverse=True)
    assert {*answer.json()["data"][0]} == {"email", "roles"}


async def test_nothing_else_can_be_asked_of_users(horizon: Horizon) -> None:
    for query in ("eq(password_hash,x)", "eq(account_id,x)", "eq(email", "limit(x)", "eq(roles.5,x)"):
        assert refusal(await horizon.admin.get(f"/users/v1/?{query}")) == (400, 19), query


async def test_everybody_sees_themselves_and_others_only_with_the_permission(horizon: Horizon) -> None:
    admin_id = horizon.first.user_id
    async with await user(horizon) as nobody, await user(horizon, "VIEW_USER") as reader:
        me = (await nobody.get("/users/v1/me")).json()

        assert (await nobody.get(f"/users/v1/{me['id']}")).json() == me
        assert (await reader.get(f"/users/v1/{me['id']}")).json() == me
        assert refusal(await nobody.get(f"/users/v1/{admin_id}")) == (401, 10)
        assert refusal(await nobody.get(f"/users/v1/{new_record_id()}")) == (401, 10)
        assert refusal(await nobody.get("/users/v1/")) == (401, 10)
        assert refusal(await reader.get(f"/users/v1/{new_record_id()}")) == (404, 16)
        assert refusal(await reader.get("/users/v1/me2")) == (400, 12)
    assert refusal(await horizon.anonymous.get(f"/users/v1/{admin_id}")) == (401, 104)
    assert refusal(await horizon.anonymous.get("/users/v1/")) == (401, 104)


async def test_everybody_changes_themselves_and_others_only_with_the_permission(horizon: Horizon) -> None:
    changes = {"first_name": "Ann", "language": "NL", "email": "other@example.com", "roles": []}
    async with await user(horizon) as nobody, await user(horizon, "UPDATE_USER") as manager:
        me = (await nobody.get("/users/v1/me")).json()

        changed = (await nobody.put(f"/users/v1/{me['id']}", json=changes)).json()
        by_manager = await manager.put(f"/users/v1/{me['id']}", json={"phone_number": "1"})

        assert changed == {
            **me,
            "first_name": "Ann",
            "language": "NL",
            "update_timestamp": changed["update_timestamp"],
        }
        assert changed["update_timestamp"] > me["update_timestamp"]
        assert by_manager.json()["phone_number"] == "1"
        assert refusal(await nobody.put(f"/users/v1/{horizon.first.user_id}", json=changes)) == (401, 10)
        assert refusal(await nobody.put(f"/users/v1/{me['id']}", json={"first_name": 5})) == (400, 15)
        assert refusal(await manager.put(f"/users/v1/{new_record_id()}", json=changes)) == (404, 16)


async def test_a_user_who_is_removed_is_out_at_once(horizon: Horizon) -> None:
    async with await user(horizon, "VIEW_USER") as leaver, await user(horizon, "DELETE_USER") as manager:
        leaver_id = (await leaver.get("/users/v1/me")).json()["id"]

        assert refusal(await leaver.delete(f"/users/v1/{horizon.first.user_id}")) == (401, 10)
        answer = await manager.delete(f"/users/v1/{leaver_id}")

        assert answer.json() == {"affectedRecords": 1}
        assert refusal(await leaver.get("/users/v1/")) == (401, 117)
        assert refusal(await manager.delete(f"/users/v1/{leaver_id}")) == (404, 16)
        own_id = (await manager.get("/users/v1/me")).json()["id"]
        assert (await manager.delete(f"/users/v1/{own_id}")).json() == {"affectedRecords": 1}


async def test_registration_is_closed_unless_opened(horizon: Horizon) -> None:
    async with await user(horizon, "VIEW_USER") as reader:
        assert refusal(await horizon.anonymous.post("/users/v1/register", json=NEW)) == (401, 10)
        assert refusal(await reader.post("/users/v1/register", json=NEW)) == (401, 10)
    assert (await horizon.admin.get("/users/v1/?eq(email,bo@example.com)")).json()["data"] == []


async def test_who_may_change_users_may_also_make_them(horizon: Horizon) -> None:
    async with await user(horizon, "UPDATE_USER") as manager:
        made = (await manager.post("/users/v1/register", json=NEW)).json()

        assert is_record_id(made["id"])
        assert {name: made[name] for name in ("first_name", "last_name", "email")} == {
            "first_name": "Bo",
            "last_name": "Miller",
            "email": "bo@example.com",
        }
        assert (made["activation"], made["roles"], made["time_zone"]) == (True, [], "UTC")
        assert "password" not in str(made)


@OPEN
async def test_anybody_may_register_where_it_is_open_and_may_then_do_nothing(horizon: Horizon) -> None:
    made = (await horizon.anonymous.post("/users/v1/register", json=NEW)).json()

    login = {
        "client_id": CLIENT_ID,
        "grant_type": "password",
        "username": "BO@example.com",
        "password": NEW["password"],
    }
    tokens = (await horizon.anonymous.post("/auth/v2/oauth2/tokens", json=login)).json()
    async with horizon.client(tokens["access_token"]) as client:
        assert (await client.get("/users/v1/me")).json() == made
        for path in ("/users/v1/", "/users/v1/roles", "/tasks/v1/functions/", "/tasks/v1/apiRequests"):
            assert refusal(await client.get(path)) == (401, 10)


WRONG_REGISTRATIONS: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"email": EMAIL.upper()}, (400, 203)),
    ({"password": "short"}, (400, 208)),
    ({"password": "x" * 1025}, (400, 208)),
    ({"password": None}, (400, 14)),
    ({"email": None}, (400, 14)),
    ({"language": None}, (400, 14)),
    ({"email": "nobody"}, (400, 15)),
    ({"email": f"{'x' * 250}@example.com"}, (400, 15)),
    ({"first_name": "x" * 257}, (400, 15)),
    ({"last_name": "a\0b"}, (400, 15)),
    ({"phone_number": 5}, (400, 15)),
]


async def test_what_is_wrong_with_a_registration_is_told(horizon: Horizon) -> None:
    for changes, expected in WRONG_REGISTRATIONS:
        answer = await horizon.admin.post("/users/v1/register", json={**NEW, **changes})
        assert refusal(answer) == expected, changes

    assert await horizon.db.fetchval("SELECT count(*) FROM users") == 1


@OPEN
async def test_registrations_from_one_address_are_slowed_down(horizon: Horizon) -> None:
    for number in range(REGISTRATIONS_A_MINUTE):
        body = {**NEW, "email": f"{number}@example.com", "password": "short"}
        assert refusal(await horizon.anonymous.post("/users/v1/register", json=body)) == (400, 208)

    answer = await horizon.anonymous.post("/users/v1/register", json=NEW)

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert (await horizon.admin.post("/users/v1/register", json=NEW)).status_code == 200


async def test_the_permissions_that_mean_something_are_listed_for_anybody(horizon: Horizon) -> None:
    answer = (await horizon.anonymous.get("/users/v1/permissions")).json()

    assert {each["name"] for each in answer["data"]} == set(EXTRA_HORIZON_PERMISSIONS)
    assert answer["page"]["total"] == len(EXTRA_HORIZON_PERMISSIONS)
    assert {*answer["data"][0]} == {"name", "description"}


async def test_health_calls_are_answered(horizon: Horizon) -> None:
    for path in ("/auth/v2/health", "/users/v1/health", "/tasks/v1/health"):
        assert (await horizon.anonymous.get(path)).status_code == 200
