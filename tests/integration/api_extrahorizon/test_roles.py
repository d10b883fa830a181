"""Roles over HTTP (contracts/extrahorizon.md sections 2.4 and 7): made, changed, given, taken; and what that means."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

import services.api.app
from services.ports import Ports, new_replica_id
from shared.database import accounts, roles
from shared.domain.ids import new_record_id
from shared.domain.permission import EXTRA_HORIZON_PERMISSIONS
from shared.process.health import Health
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor
from tests.integration.api_extrahorizon.conftest import Horizon, first_credentials
from tests.support.eventually import eventually

ROLES = "/users/v1/roles"
FUNCTIONS = "/tasks/v1/functions/"


def refusal(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


async def make(horizon: Horizon, name: str = "readers", *permissions: str) -> dict[str, Any]:
    """Make a role with these permissions."""
    answer = await horizon.admin.post(ROLES, json={"name": name, "description": f"The {name}"})
    assert answer.status_code == 200, answer.text
    if permissions:
        await change(horizon, f"/roles/add_permissions?eq(name,{name})", permissions=permissions)
    role: dict[str, Any] = answer.json()
    return role


async def change(horizon: Horizon, path: str, **body: Any) -> int:
    """Change permissions or holders; return how many were chosen."""
    answer = await horizon.admin.post(f"/users/v1{path}", json=body)
    assert answer.status_code == 200, answer.text
    affected: int = answer.json()["affectedRecords"]
    return affected


async def permissions_of(horizon: Horizon, name: str) -> list[str]:
    (role,) = (await horizon.admin.get(f"{ROLES}?eq(name,{name})")).json()["data"]
    return [each["name"] for each in role["permissions"]]


@asynccontextmanager
async def member(horizon: Horizon) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Give a client of a new user without any permission, and their id."""
    async with horizon.client(await horizon.user_token()) as client:
        yield client, (await client.get("/users/v1/me")).json()["id"]


@pytest.fixture
async def second(horizon: Horizon) -> AsyncIterator[Horizon]:
    """Another api replica beside the first, on the same bus and database."""
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor())
        ports = Ports(
            replica_id=new_replica_id("test"),
            db=horizon.db,
            bus=horizon.platform.bus,
            packages=horizon.platform.packages,
            envelope=horizon.platform.envelope,
            health=Health("test"),
        )
        api = await services.api.app.build(load_settings({"TIDEMILL_PORT": "0"}), ports, stack, supervisor)
        yield replace(horizon, port=api.port, platform=api.platform)


async def test_a_role_is_made_without_permissions_and_found_by_name(horizon: Horizon) -> None:
    made = await make(horizon, "exh.tasks.my-task")

    found = (await horizon.admin.get(f"{ROLES}?eq(name,exh%252Etasks%252Emy%252Dtask)")).json()

    assert found == {"page": {"total": 1, "offset": 0, "limit": 20}, "data": [made]}
    assert set(made) == {"id", "name", "description", "permissions", "creation_timestamp", "update_timestamp"}
    assert (made["name"], made["description"], made["permissions"]) == (
        "exh.tasks.my-task",
        "The exh.tasks.my-task",
        [],
    )


async def test_roles_are_listed_as_asked(horizon: Horizon) -> None:
    await make(horizon, "readers", "FREE")
    await make(horizon, "writers")
    expected: dict[str, list[str]] = {
        "sort(name)": ["admin", "readers", "writers"],
        "ne(name,admin)&sort(-name)": ["writers", "readers"],
        "ne(name,admin)": ["writers", "readers"],
        "like(name,ers)&sort(name)&limit(1,1)": ["writers"],
        "in(name,writers,nobody)": ["writers"],
        "eq(permissions,FREE)": ["readers"],
        "eq(permissions.name,FREE)": ["readers"],
        "eq(description,The%2520writers)": ["writers"],
        "or(eq(name,readers),eq(name,writers))&sort(name)": ["readers", "writers"],
        "lt(creation_timestamp,0)": [],
    }

    answers = {query: await horizon.admin.get(f"{ROLES}?{query}") for query in expected}

    found = {query: [role["name"] for role in answer.json()["data"]] for query, answer in answers.items()}
    assert found == expected


async def test_a_name_is_taken_once(horizon: Horizon) -> None:
    made = await make(horizon, "readers")
    await make(horizon, "writers")

    assert refusal(await horizon.admin.post(ROLES, json={"name": "readers", "description": ""})) == (400, 17)
    assert refusal(await horizon.admin.put(f"{ROLES}/{made['id']}", json={"name": "writers"})) == (400, 17)


async def test_no_other_role_takes_the_name_of_the_one_that_gets_every_permission_at_a_start(horizon: Horizon) -> None:
    mine = await make(horizon, "mine")
    (admin,) = (await horizon.admin.get(f"{ROLES}?eq(name,admin)")).json()["data"]

    async with horizon.client(await horizon.user_token("UPDATE_ROLE")) as editor:
        described = await editor.put(f"{ROLES}/{admin['id']}", json={"name": "admin", "description": "All"})
        taken = await editor.put(f"{ROLES}/{mine['id']}", json={"name": "admin"})
        away = await editor.put(f"{ROLES}/{admin['id']}", json={"name": "former"})
        free = await editor.put(f"{ROLES}/{mine['id']}", json={"name": "admin"})
    await accounts.ensure_first_account(horizon.db, first_credentials())

    assert (described.status_code, away.status_code) == (200, 200)
    assert [refusal(taken), refusal(free)] == [(400, 17), (400, 17)]
    assert await permissions_of(horizon, "mine") == []
    assert sorted(await permissions_of(horizon, "admin")) == sorted(EXTRA_HORIZON_PERMISSIONS)


async def test_a_role_is_renamed_and_keeps_what_is_not_named(horizon: Horizon) -> None:
    made = await make(horizon, "readers", "FREE")

    changed = (await horizon.admin.put(f"{ROLES}/{made['id']}", json={"description": "Those who read"})).json()
    renamed = (await horizon.admin.put(f"{ROLES}/{made['id']}", json={"name": "watchers"})).json()

    assert (changed["name"], changed["description"]) == ("readers", "Those who read")
    assert (renamed["name"], renamed["description"]) == ("watchers", "Those who read")
    assert renamed["permissions"] == [{"name": "FREE", "description": ""}]
    assert refusal(await horizon.admin.put(f"{ROLES}/{new_record_id()}", json={"name": "x"})) == (404, 16)
    assert refusal(await horizon.admin.put(f"{ROLES}/readers", json={"name": "x"})) == (400, 12)


async def test_any_text_is_a_permission_and_each_is_there_once(horizon: Horizon) -> None:
    await make(horizon)
    names = ["VIEW_PATIENTS", "EXECUTE_API_FUNCTION:greeter", "naïve ☕", "VIEW_PATIENTS"]

    for _ in range(2):
        assert await change(horizon, "/roles/add_permissions?eq(name,readers)", permissions=names) == 1
    assert await permissions_of(horizon, "readers") == sorted(set(names))

    gone = ["VIEW_PATIENTS", "NEVER_THERE"]
    assert await change(horizon, "/roles/remove_permissions?eq(name,readers)", permissions=gone) == 1
    assert await permissions_of(horizon, "readers") == ["EXECUTE_API_FUNCTION:greeter", "naïve ☕"]


async def test_several_roles_are_changed_by_one_selection_and_no_others(horizon: Horizon) -> None:
    for name in ("readers", "writers", "others"):
        await make(horizon, name)

    assert await change(horizon, "/roles/add_permissions?like(name,ers)&ne(name,others)", permissions=["A"]) == 2

    assert [await permissions_of(horizon, name) for name in ("readers", "writers", "others")] == [["A"], ["A"], []]


async def test_a_role_cannot_have_permissions_without_end(horizon: Horizon) -> None:
    await make(horizon, "readers", "FIRST")
    half = [f"P{number}" for number in range(500)]
    await change(horizon, "/roles/add_permissions?eq(name,readers)", permissions=half)

    body = {"permissions": [f"Q{number}" for number in range(500)]}
    answer = await horizon.admin.post("/users/v1/roles/add_permissions?eq(name,readers)", json=body)

    assert refusal(answer) == (400, 27)
    assert len(await permissions_of(horizon, "readers")) == 501 <= roles.MOST_PERMISSIONS


async def test_a_given_role_counts_at_once_and_a_taken_one_no_more(horizon: Horizon) -> None:
    role = await make(horizon, "readers", "VIEW_TASK_FUNCTIONS")
    async with member(horizon) as (client, user_id):
        assert refusal(await client.get(FUNCTIONS)) == (401, 10)

        assert await change(horizon, f"/add_roles?eq(id,{user_id})", roles=[role["id"]]) == 1
        assert (await client.get(FUNCTIONS)).status_code == 200
        (held,) = [each for each in (await client.get("/users/v1/me")).json()["roles"] if each["id"] == role["id"]]
        assert held["name"] == "readers"

        assert await change(horizon, f"/remove_roles?eq(id,{user_id})", roles=[role["id"]]) == 1
        assert refusal(await client.get(FUNCTIONS)) == (401, 10)


async def test_what_becomes_of_a_role_counts_at_once_for_whoever_has_it(horizon: Horizon) -> None:
    role = await make(horizon)
    async with member(horizon) as (client, user_id):
        await change(horizon, f"/add_roles?eq(id,{user_id})", roles=[role["id"]])
        assert refusal(await client.get(FUNCTIONS)) == (401, 10)

        await change(horizon, "/roles/add_permissions?eq(name,readers)", permissions=["VIEW_TASK_FUNCTIONS"])
        assert (await client.get(FUNCTIONS)).status_code == 200
        await change(horizon, "/roles/remove_permissions?eq(name,readers)", permissions=["VIEW_TASK_FUNCTIONS"])
        assert refusal(await client.get(FUNCTIONS)) == (401, 10)

        await change(horizon, "/roles/add_permissions?eq(name,readers)", permissions=["VIEW_TASK_FUNCTIONS"])
        assert (await client.get(FUNCTIONS)).status_code == 200
        answer = await horizon.admin.delete(f"{ROLES}?eq(id,{role['id']})")
        assert answer.json() == {"affectedRecords": 1}
        assert refusal(await client.get(FUNCTIONS)) == (401, 10)


async def test_a_taken_role_counts_no_more_on_any_replica(horizon: Horizon, second: Horizon) -> None:
    role = await make(horizon, "readers", "VIEW_TASK_FUNCTIONS")
    token = await horizon.user_token()
    async with horizon.client(token) as here, second.client(token) as there:
        user_id = (await here.get("/users/v1/me")).json()["id"]

        async def seen(expected: int) -> bool:
            return [(await client.get(FUNCTIONS)).status_code for client in (here, there)] == [expected] * 2

        assert await seen(401)
        await change(horizon, f"/add_roles?eq(id,{user_id})", roles=[role["id"]])
        await eventually(lambda: seen(200), within_s=5)
        await change(second, f"/remove_roles?eq(id,{user_id})", roles=[role["id"]])
        await eventually(lambda: seen(401), within_s=5)


async def test_roles_are_given_to_all_whom_the_query_chooses(horizon: Horizon) -> None:
    first, second = await make(horizon, "readers"), await make(horizon, "writers")
    for _ in range(3):
        await horizon.user_token()
    ids = [first["id"], second["id"]]

    assert await change(horizon, f"/add_roles?ne(id,{horizon.first.user_id})", roles=ids) == 3
    assert await change(horizon, "/add_roles?eq(roles.name,readers)", roles=ids) == 3
    assert (await horizon.admin.get("/users/v1/?eq(roles.name,writers)")).json()["page"]["total"] == 3
    assert await change(horizon, "/add_roles?eq(email,nobody@example.com)", roles=ids) == 0
    assert await change(horizon, "/remove_roles?eq(roles.name,readers)", roles=[first["id"], new_record_id()]) == 3
    assert (await horizon.admin.get("/users/v1/?eq(roles.name,readers)")).json()["page"]["total"] == 0


async def test_an_unknown_role_is_given_to_nobody(horizon: Horizon) -> None:
    role = await make(horizon)
    body = {"roles": [role["id"], new_record_id()]}

    assert refusal(await horizon.admin.post("/users/v1/add_roles?contains(id)", json=body)) == (404, 16)

    assert (await horizon.admin.get("/users/v1/?eq(roles.name,readers)")).json()["data"] == []


CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("DELETE", "/roles", None),
    ("POST", "/roles/add_permissions", {"permissions": ["A"]}),
    ("POST", "/roles/remove_permissions", {"permissions": ["A"]}),
    ("POST", "/add_roles", {"roles": ["64f0c2a1b7e94d0012ab34d2"]}),
    ("POST", "/remove_roles", {"roles": ["64f0c2a1b7e94d0012ab34d2"]}),
]


async def test_nothing_is_changed_without_a_condition_that_can_be_read(horizon: Horizon) -> None:
    numbers = {"": 20, "?": 20, "?limit(20)": 19, "?eq(id,x)&limit(1)": 19, "?sort(id)": 19, "?eq(secret,x)": 19}

    for method, path, body in CHANGES:
        for query, number in numbers.items():
            answer = await horizon.admin.request(method, f"/users/v1{path}{query}", json=body)
            assert refusal(answer) == (400, number), (path, query)

    assert await permissions_of(horizon, "admin")


async def test_changing_or_removing_what_is_not_there_is_told(horizon: Horizon) -> None:
    for query in ("eq(name,nobody)", "eq(permissions,nothing)"):
        assert refusal(await horizon.admin.delete(f"{ROLES}?{query}")) == (404, 16)
        for verb in ("add_permissions", "remove_permissions"):
            answer = await horizon.admin.post(f"{ROLES}/{verb}?{query}", json={"permissions": ["A"]})
            assert refusal(answer) == (404, 16)


WRONG_BODIES = [
    ("/roles", b"", 13),
    ("/roles", b"[]", 22),
    ("/roles", b"{}", 14),
    ("/roles", b'{"name":""}', 15),
    ("/roles", b'{"name":" "}', 15),
    ("/roles", b'{"name":5}', 15),
    ("/roles", b'{"name":"a\\u0000"}', 15),
    ("/roles", b'{"name":"a","description":5}', 15),
    ("/roles/add_permissions?eq(id,x)", b"{}", 14),
    ("/roles/add_permissions?eq(id,x)", b'{"permissions":[]}', 15),
    ("/roles/add_permissions?eq(id,x)", b'{"permissions":"A"}', 15),
    ("/roles/add_permissions?eq(id,x)", b'{"permissions":[5]}', 15),
    ("/roles/add_permissions?eq(id,x)", b'{"permissions":[""]}', 15),
    ("/add_roles?eq(id,x)", b'{"roles":["admin"]}', 15),
    ("/add_roles?eq(id,x)", b'{"roles":[]}', 15),
]


async def test_what_is_wrong_with_a_body_is_told(horizon: Horizon) -> None:
    for path, body, number in WRONG_BODIES:
        answer = await horizon.admin.post(f"/users/v1{path}", content=body)
        assert refusal(answer) == (400, number), (path, body)


MATRIX: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("VIEW_USER", "GET", "/users/v1/", None),
    ("VIEW_ROLE", "GET", ROLES, None),
    ("CREATE_ROLE", "POST", ROLES, {"name": "new", "description": ""}),
    ("UPDATE_ROLE", "PUT", f"{ROLES}/{{role}}", {"description": "changed"}),
    ("DELETE_ROLE", "DELETE", f"{ROLES}?eq(id,{{role}})", None),
    ("ADD_ROLE_PERMISSION", "POST", f"{ROLES}/add_permissions?eq(id,{{role}})", {"permissions": ["A"]}),
    ("REMOVE_ROLE_PERMISSION", "POST", f"{ROLES}/remove_permissions?eq(id,{{role}})", {"permissions": ["A"]}),
    ("ADD_ROLE_TO_USER", "POST", "/users/v1/add_roles?eq(id,x)", None),
    ("REMOVE_ROLE_FROM_USER", "POST", "/users/v1/remove_roles?eq(id,x)", None),
]


async def test_each_change_needs_its_own_permission(horizon: Horizon) -> None:
    for permission, method, path, body in MATRIX:
        role = (await make(horizon, permission.lower()))["id"]
        asked: dict[str, Any] = {
            "url": path.format(role=role),
            "json": {"roles": [role]} if path.endswith("roles?eq(id,x)") else body,
        }
        others = await horizon.user_token(*(each[0] for each in MATRIX if each[0] != permission))
        async with horizon.client(others) as without, horizon.client(await horizon.user_token(permission)) as having:
            assert refusal(await without.request(method, **asked)) == (401, 10), permission
            assert refusal(await horizon.anonymous.request(method, **asked)) == (401, 104), permission
            assert (await having.request(method, **asked)).status_code == 200, permission


async def test_roles_of_another_account_do_not_exist(horizon: Horizon) -> None:
    role_id, account_id = new_record_id(), new_record_id()
    await horizon.db.execute("INSERT INTO accounts (id, name, slug) VALUES ($1, 'other', $1)", account_id)
    await roles.add_role(horizon.db, role_id, account_id, "theirs", "")

    body = {"permissions": ["A"]}
    assert (await horizon.admin.get(f"{ROLES}?eq(name,theirs)")).json()["data"] == []
    assert refusal(await horizon.admin.put(f"{ROLES}/{role_id}", json={"name": "mine"})) == (404, 16)
    assert refusal(await horizon.admin.delete(f"{ROLES}?eq(id,{role_id})")) == (404, 16)
    answer = await horizon.admin.post(f"{ROLES}/add_permissions?eq(id,{role_id})", json=body)
    assert refusal(answer) == (404, 16)
    answer = await horizon.admin.post("/users/v1/add_roles?contains(id)", json={"roles": [role_id]})
    assert refusal(answer) == (404, 16)
