"""``/v1/api-keys``: keys made, listed, replaced and revoked; a revoked one is refused everywhere."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

import services.api.app
from shared.crypto.tokens import sha256_hex
from shared.database.pool import Database
from shared.domain.permission import API_KEY_PERMISSIONS
from shared.messages.messages import Notice
from shared.process.health import Health
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor
from tests.integration.api.harness import API_KEY, Running, running
from tests.support.eventually import eventually

KEYS = "/v1/api-keys"


async def make(api: Running, **fields: Any) -> dict[str, Any]:
    answer = await api.http.post(KEYS, json={"name": "mine", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def status_with(http: httpx.AsyncClient, key: str, path: str = "/v1/functions") -> int:
    return (await http.get(path, headers={"X-API-Key": key})).status_code


def in_(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


async def test_a_key_is_shown_once_and_may_do_what_it_says(api: Running) -> None:
    made = await make(api)

    key = made.pop("key")
    assert re.fullmatch(r"sl_[0-9a-f]{64}", key)
    assert re.fullmatch(r"key_[a-z0-9]{10}", made["id"])
    assert {**made, "id": "", "createdAt": ""} == {
        "id": "",
        "name": "mine",
        "prefix": key[:11],
        "permissions": ["read", "write", "execute"],
        "createdAt": "",
        "expiresAt": None,
        "lastUsedAt": None,
        "revoked": False,
    }
    assert await status_with(api.http, key) == 200
    assert await status_with(api.http, key, KEYS) == 403
    listed = (await api.http.get(KEYS)).json()
    assert made in listed["data"]
    assert listed["pagination"] == {"total": 2, "limit": 10, "offset": 0, "hasMore": False}
    rows = [dict(row) for row in await api.db.fetch("SELECT * FROM api_keys")]
    for shown in (str(listed), str(rows)):
        assert key not in shown
        assert "sha256" not in str(listed)


async def test_bad_fields_are_named(api: Running) -> None:
    bad: dict[str, list[Any]] = {
        "name": ["", "x" * 101, 7, None, "nul\0"],
        "permissions": [[], ["own"], "read", None, [["read"]], {"read": True}],
        "expiresAt": ["tomorrow", 7, in_(seconds=-1), "2020-01-01", ""],
    }
    for field, values in bad.items():
        for value in values:
            answer = await api.http.post(KEYS, json={"name": "mine", field: value})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["details"]["field"]) == (400, "invalid_request", field)
    for content in (b"", b"[]", b"{}"):
        assert (await api.http.post(KEYS, content=content)).status_code == 400
    assert (await api.http.get(KEYS)).json()["pagination"]["total"] == 1


async def test_each_call_needs_admin(api: Running) -> None:
    made = await make(api)
    calls = [("GET", KEYS), ("POST", KEYS), ("POST", f"{KEYS}/{made['id']}/rotate"), ("DELETE", f"{KEYS}/{made['id']}")]
    keys = {permission: await api.new_key(permission) for permission in API_KEY_PERMISSIONS}
    for method, path in calls:
        for permission, key in keys.items():
            answer = await api.http.request(method, path, headers={"X-API-Key": key}, json={"name": "x"})
            if permission == "admin":
                assert answer.status_code in (200, 201), answer.text
            else:
                assert (answer.status_code, answer.json()["error"]["details"]) == (403, {"required": "admin"})
        assert (await api.http.request(method, path, headers={"X-API-Key": "sl_wrong"})).status_code == 401


async def test_keys_of_another_account_do_not_exist(api: Running) -> None:
    made = await make(api)
    theirs = {"X-API-Key": await api.new_key("admin", environment=await api.other_account())}

    assert [each["name"] for each in (await api.http.get(KEYS, headers=theirs)).json()["data"]] == ["test"]
    for method, path in (("DELETE", f"{KEYS}/{made['id']}"), ("POST", f"{KEYS}/{made['id']}/rotate")):
        answer = await api.http.request(method, path, headers=theirs)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    for method, path in (("DELETE", f"{KEYS}/key_0000000000"), ("POST", f"{KEYS}/%00/rotate")):
        assert (await api.http.request(method, path)).status_code == 404
    assert await status_with(api.http, made["key"]) == 200


async def test_a_key_made_by_a_key_belongs_to_its_account_and_environment(api: Running) -> None:
    other = await api.other_account()
    theirs = {"X-API-Key": await api.new_key("admin", environment=other)}

    made = (await api.http.post(KEYS, json={"name": "made"}, headers=theirs)).json()["data"]

    row = await api.db.fetchrow("SELECT account_id, environment_id FROM api_keys WHERE id = $1", made["id"])
    assert row is not None
    assert tuple(row) == (other.account_id, other.id)


async def test_a_revoked_key_is_refused_at_once_and_by_every_replica(api: Running) -> None:
    made = await make(api)
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor())
        ports = api.api.ports
        second = await services.api.app.build(
            load_settings({"TIDEMILL_PORT": "0", "TIDEMILL_RATE_LIMIT": "off"}),
            type(ports)(**{**{name: getattr(ports, name) for name in ports.__slots__}, "health": Health("second")}),
            stack,
            supervisor,
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://localhost:{second.port}", verify=False)
        )
        assert [await status_with(each, made["key"]) for each in (api.http, http)] == [200, 200]

        revoked = await api.http.delete(f"{KEYS}/{made['id']}")

        assert revoked.json() == {"success": True, "data": {"id": made["id"], "revoked": True}}
        assert await status_with(api.http, made["key"]) == 401

        async def refused_there() -> bool:
            return await status_with(http, made["key"]) == 401

        await eventually(refused_there, within_s=2)
    assert (await api.http.delete(f"{KEYS}/{made['id']}")).json()["data"]["revoked"] is True
    [shown] = [each for each in (await api.http.get(KEYS)).json()["data"] if each["id"] == made["id"]]
    assert shown["revoked"] is True


async def test_a_key_counts_until_it_expires(api: Running) -> None:
    made = await make(api, expiresAt=in_(seconds=1.2), permissions=["admin", "read", "read"])
    assert made["permissions"] == ["read", "admin"]
    assert await status_with(api.http, made["key"]) == 200

    async def refused() -> bool:
        return await status_with(api.http, made["key"]) == 401

    await eventually(refused, within_s=5)


async def test_a_rotated_key_counts_for_a_while_beside_its_successor(api: Running) -> None:
    made = await make(api, permissions=["read"], expiresAt=in_(days=30))
    assert await status_with(api.http, made["key"]) == 200

    answer = await api.http.post(f"{KEYS}/{made['id']}/rotate")

    assert answer.status_code == 201
    rotated = answer.json()["data"]
    assert (rotated["name"], rotated["permissions"], rotated["id"] != made["id"]) == ("mine", ["read"], True)
    ends = datetime.fromisoformat(rotated["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < ends <= timedelta(days=30)
    assert rotated["replaces"]["id"] == made["id"]
    grace = datetime.fromisoformat(rotated["replaces"]["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23) < grace <= timedelta(hours=24)
    assert [await status_with(api.http, each["key"]) for each in (made, rotated)] == [200, 200]
    again = await api.http.post(f"{KEYS}/{made['id']}/rotate")
    assert (again.status_code, again.json()["error"]["code"]) == (400, "invalid_request")


async def test_without_grace_a_rotated_key_is_refused_by_all_who_knew_it(database_url: str) -> None:
    async with running(database_url, TIDEMILL_API_KEY_GRACE_S="0") as api:
        heard: list[Notice] = []
        await api.bus.subscribe(heard.append, on_gap=heard.clear)
        made = await make(api)
        assert await status_with(api.http, made["key"]) == 200

        rotated = (await api.http.post(f"{KEYS}/{made['id']}/rotate")).json()["data"]

        assert [await status_with(api.http, each["key"]) for each in (made, rotated)] == [401, 200]
        assert [getattr(notice, "credential_sha256", "") for notice in heard] == [sha256_hex(made["key"])]


async def test_an_account_has_so_many_counting_keys_for_so_long_when_the_operator_says_so(database_url: str) -> None:
    async with running(database_url, TIDEMILL_MAX_API_KEYS="2", TIDEMILL_API_KEY_DAYS="90") as api:
        first = await make(api)
        ends = datetime.fromisoformat(first["expiresAt"]) - datetime.now(UTC)
        assert timedelta(days=89) < ends <= timedelta(days=90)

        refused = await api.http.post(KEYS, json={"name": "one too many"})
        assert (refused.status_code, refused.json()["error"]["details"]) == (403, {"limit": 2})
        too_late = await api.http.post(KEYS, json={"name": "x", "expiresAt": in_(days=91)})
        assert (too_late.status_code, too_late.json()["error"]["details"]["field"]) == (400, "expiresAt")
        rotated = await api.http.post(f"{KEYS}/{first['id']}/rotate")
        assert rotated.status_code == 201
        assert (await api.http.post(KEYS, json={"name": "still too many"})).status_code == 403
        await api.http.delete(f"{KEYS}/{rotated.json()['data']['id']}")
        await make(api)


async def test_keys_made_at_the_same_time_do_not_pass_the_limit(database_url: str) -> None:
    async with running(database_url, TIDEMILL_MAX_API_KEYS="4") as api:
        answers = await asyncio.gather(*(api.http.post(KEYS, json={"name": "x"}) for _ in range(10)))

        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 7


async def test_the_last_use_of_a_key_is_written_beside_the_requests(api: Running) -> None:
    made = await make(api)
    await status_with(api.http, made["key"])
    usage = api.api.platform.key_usage
    assert made["id"] in usage._used_at

    await usage.write()

    [shown] = [each for each in (await api.http.get(KEYS)).json()["data"] if each["id"] == made["id"]]
    used = datetime.fromisoformat(shown["lastUsedAt"])
    assert abs(datetime.now(UTC) - used) < timedelta(seconds=30)
    assert made["id"] not in usage._used_at


async def test_what_is_noted_is_written_when_the_api_is_closed(database_url: str) -> None:
    async with running(database_url) as api:
        made = await make(api)
        await status_with(api.http, made["key"])
    db = await Database.connect(database_url)
    try:
        assert await db.fetchval("SELECT last_used_at FROM api_keys WHERE id = $1", made["id"]) is not None
    finally:
        await db.close()


async def test_a_use_that_cannot_be_written_now_comes_up_again(database_url: str) -> None:
    async with running(database_url) as api:
        made = await make(api)
        await status_with(api.http, made["key"])
        usage = api.api.platform.key_usage
        await api.db.execute("ALTER TABLE api_keys RENAME TO away")
        with pytest.raises(asyncpg.UndefinedTableError):
            await usage.write()
        assert made["id"] in usage._used_at
        await api.db.execute("ALTER TABLE away RENAME TO api_keys")

        await usage.write()

        assert await api.db.fetchval("SELECT last_used_at FROM api_keys WHERE id = $1", made["id"]) is not None
        assert await status_with(api.http, API_KEY) == 200
