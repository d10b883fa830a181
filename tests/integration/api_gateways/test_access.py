"""Who may do what with functions, by credential, by place and by role (contracts/gateways.md, checks 1 to 6)."""

from typing import Any

import pytest

from shared.domain.workspace import PERMISSIONS, Permission, Role
from tests.integration.api_gateways.people import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

NONE_SUCH = 999_999
OPERATIONS: list[tuple[Permission, str, str, Any]] = [
    (Permission.VIEW_RESOURCES, "GET", "/functions", None),
    (Permission.VIEW_RESOURCES, "GET", f"/functions/{NONE_SUCH}", None),
    (Permission.VIEW_RESOURCES, "GET", f"/functions/{NONE_SUCH}/files", None),
    (Permission.VIEW_RESOURCES, "GET", "/resources", None),
    (Permission.VIEW_RESOURCES, "GET", f"/resources/{NONE_SUCH}", None),
    (Permission.CREATE_RESOURCES, "POST", "/functions", {}),
    (Permission.UPDATE_RESOURCES, "PUT", f"/functions/{NONE_SUCH}", {"memorySize": 256}),
    (Permission.UPDATE_RESOURCES, "POST", f"/functions/{NONE_SUCH}/upload", None),
    (Permission.UPDATE_RESOURCES, "POST", f"/functions/{NONE_SUCH}/files", {"path": "a.js", "content": ""}),
    (Permission.UPDATE_RESOURCES, "POST", f"/functions/{NONE_SUCH}/invoke", {}),
    (Permission.UPDATE_RESOURCES, "PATCH", f"/resources/{NONE_SUCH}", {"name": "x"}),
    (Permission.UPDATE_RESOURCES, "PUT", f"/resources/{NONE_SUCH}/sync", None),
    (Permission.DELETE_RESOURCES, "DELETE", f"/resources/{NONE_SUCH}", None),
]


async def test_functions_are_listed_with_a_session_or_a_key_and_with_nothing_else(town: Town) -> None:
    ada = await town.citizen()
    project = await ada.project()
    key = (await ada.send("POST", "/api/users/api-keys", {}, status=201))["data"]["secret"]
    path = f"/api/{project}/master/functions"

    for headers in ({"Authorization": f"Bearer {ada.token}"}, {"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        listed = await (await town.client(headers)).get(path)
        assert listed.status_code == 200
        assert listed.json()["data"] == []
    for headers in ({}, {"Authorization": "Bearer garbage"}):
        refused = await (await town.client(headers)).get(path)
        assert refused.status_code == 401
        assert set(refused.json()) == {"error", "message"}
    await ada.send("POST", "/api/auth/logout")
    await ada.get(path, status=401)


async def test_a_place_that_is_not_there_and_one_of_others_are_told_apart(town: Town) -> None:
    ada, bo = await town.citizen(), await town.citizen()
    project = await ada.project()

    assert (await ada.get("/api/none/master/functions", status=404))["error"] == "Project not found"
    assert (await ada.get(f"/api/{project}/none/functions", status=404))["error"] == "Environment not found"
    assert (await bo.get(f"/api/{project}/master/functions", status=403))["error"] == "Forbidden"
    narrow = await town.colleague(ada, "dev", [f"{project}/master"])
    await ada.send("POST", f"/api/projects/{project}/environments", {"name": "Live"}, status=201)
    await narrow.get(f"/api/{project}/master/functions")
    await narrow.get(f"/api/{project}/live/functions", status=403)


async def test_each_role_may_do_with_functions_what_it_allows(town: Town) -> None:
    ada = await town.citizen()
    project = await ada.project()
    for role in Role:
        member = await town.colleague(ada, role)
        for permission, method, path, body in OPERATIONS:
            answer = await member.http.request(method, f"/api/{project}/master{path}", json=body)

            is_refused = permission not in PERMISSIONS[role]
            assert (answer.status_code == 403) == is_refused, (role, method, path, answer.status_code)
            assert answer.status_code < 500, answer.text
            assert answer.status_code != 405, (method, path)
