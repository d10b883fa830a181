"""Projects and environments, slugs, activities (contracts/gateways.md sections 3.10 and 3.13; checks 5 and 7)."""

import asyncio
import re

import pytest

from services.api.operations import activities
from services.api.operations.activities import Done
from services.api.operations.places import enter_environment
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import PASSWORD, Citizen, Town, caller_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_a_project_gets_a_slug_and_an_environment(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()

    made = await ada.send("POST", f"/api/workspaces/{slug}/projects", {"name": "My  Mill_1!", "slug": "x"}, status=201)

    assert made["message"] == "Project created successfully"
    project = made["data"]
    assert MOMENT.fullmatch(project.pop("createdAt"))
    assert MOMENT.fullmatch(project.pop("updatedAt"))
    workspace = (await ada.get(f"/api/workspaces/{slug}"))["data"]
    local = project.pop("connectedCloud")
    assert (local["id"], local["cloudType"]) == (project.pop("connectedCloudId"), "LOCAL")
    assert project == {
        "id": project["id"],
        "userId": ada.id,
        "workspaceId": workspace["id"],
        "name": "My  Mill_1!",
        "slug": "my-mill-1",
        "description": None,
        "workspaceSlug": slug,
        "isDefault": True,
        "isActive": True,
    }
    [environment] = (await ada.get("/api/projects/my-mill-1/environments"))["data"]
    assert (environment["slug"], environment["isDefault"]) == ("master", True)
    assert environment["projectId"] == project["id"]
    again = await ada.send("POST", "/api/projects", {"name": "My Mill_1"}, status=201)
    assert (again["data"]["slug"], again["data"]["isDefault"]) == ("my-mill-1-2", False)
    assert (again["data"]["connectedCloudId"], again["data"]["connectedCloud"]) == (None, None)


async def test_slugs_are_shared_by_all_users_and_given_out_once(town: Town) -> None:
    people = [await town.citizen() for _ in range(3)]

    made = await asyncio.gather(*(each.project("Bakery") for each in people for _ in range(3)))

    assert sorted(made) == ["bakery", *(f"bakery-{number}" for number in range(2, 10))]
    checked = await people[0].get("/api/projects/check-name?name=%20Bakery%20")
    assert checked["data"] == {"name": "Bakery", "slug": "bakery", "available": False}
    assert (await people[0].get("/api/projects/check-name?name=Users"))["data"]["available"] is False
    assert re.fullmatch(r"users-\d+", await people[0].project("Users"))
    assert re.fullmatch(r"untitled(-\d+)?", await people[0].project("***"))


async def test_what_is_wrong_with_a_project_is_told(town: Town) -> None:
    ada = await town.citizen()
    project, other = await ada.project("One"), await ada.project("Two")

    for body in ({}, {"name": "  "}, {"name": None}, {"name": "x" * 101}, {"name": "x", "description": "x" * 351}):
        await ada.send("POST", "/api/projects", body, status=400)
    for text in (b"", b"{", b"[]", b'"x"', b"\xff"):
        assert (await ada.http.post("/api/projects", content=text)).status_code == 400
    await ada.send("POST", "/api/projects", {"name": "x", "workspaceSlug": "none"}, status=404)
    await ada.send("PATCH", f"/api/projects/{project}", {}, status=400)
    await ada.send("PATCH", f"/api/projects/{project}", {"slug": other}, status=409)
    await ada.send("PATCH", f"/api/projects/{project}", {"slug": "a/b"}, status=400)
    assert (await ada.http.post(f"/api/projects/{project}")).status_code == 405
    assert (await ada.http.get("/api/nothing")).json()["error"] == "Not found"


async def test_a_project_is_changed_made_the_default_and_deleted(town: Town) -> None:
    ada = await town.citizen()
    one, two = await ada.project("One"), await ada.project("Two")

    changed = await ada.send("PATCH", f"/api/projects/{two}", {"name": "Second", "slug": "second", "description": "d"})
    assert (changed["data"]["name"], changed["data"]["slug"], changed["data"]["description"]) == (
        "Second",
        "second",
        "d",
    )
    assert (await ada.send("PATCH", "/api/projects/second", {"name": "2nd"}))["data"]["description"] == "d"
    await ada.get(f"/api/projects/{two}", status=404)
    assert (await ada.send("PATCH", "/api/projects/second/set-default"))["data"]["isDefault"]
    assert not (await ada.get(f"/api/projects/{one}"))["data"]["isDefault"]
    assert await ada.send("DELETE", "/api/projects/second") == {"message": "Project deleted successfully"}
    await ada.send("DELETE", "/api/projects/second", status=404)
    listed = await ada.get("/api/projects")
    assert [(each["slug"], each["isDefault"]) for each in listed["data"]] == [(one, True)]
    listed = await ada.get("/api/projects?include_inactive=true")
    assert [(each["slug"], each["isActive"]) for each in listed["data"]] == [(one, True), ("second", False)]


async def test_environments_are_made_changed_and_deleted(town: Town) -> None:
    ada = await town.citizen()
    project = await ada.project()
    path = f"/api/projects/{project}/environments"

    body = {"name": "Live", "description": "for customers", "isDefault": True}
    made = (await ada.send("POST", path, body, status=201))["data"]
    assert set(made) == {
        "id",
        "projectId",
        "name",
        "slug",
        "description",
        "isDefault",
        "isActive",
        "createdAt",
        "updatedAt",
    }
    assert (made["slug"], made["isDefault"]) == ("live", True)
    again = (await ada.send("POST", path, {"name": "live"}, status=201))["data"]
    assert again["slug"] == "live-2"
    checked = (await ada.get(f"{path}/check-name?name=Live"))["data"]
    assert (checked["slug"], checked["available"], checked["projectSlug"]) == ("live", False, project)
    await ada.send("PATCH", f"{path}/live-2", {"slug": "live"}, status=409)
    changed = await ada.send("PATCH", f"{path}/live-2", {"name": "Test", "slug": "test"})
    assert changed["data"]["slug"] == "test"
    assert (await ada.get(f"{path}/test"))["data"]["id"] == again["id"]
    assert (await ada.send("PATCH", f"{path}/test/set-default"))["data"]["isDefault"]
    await ada.send("DELETE", f"{path}/test")
    await ada.get(f"{path}/test", status=404)
    listed = await ada.get(path)
    assert [(each["slug"], each["isDefault"]) for each in listed["data"]] == [("master", True), ("live", False)]
    for bad in ({}, {"name": 1}, {"name": "x", "isDefault": "yes"}):
        await ada.send("POST", path, bad, status=400)
    other = await ada.project("Other")
    assert (await ada.send("POST", f"/api/projects/{other}/environments", {"name": "Live"}, status=201))["data"][
        "slug"
    ] == "live"


async def test_the_platforms_own_default_cannot_be_deleted(town: Town, api: Running) -> None:
    ada = await town.citizen()
    await api.db.execute(
        "INSERT INTO members (account_id, user_id, role) SELECT $1, id, 'owner' FROM users WHERE number = $2",
        api.environment.account_id,
        ada.id,
    )

    await ada.send("DELETE", "/api/projects/default", status=409)
    await ada.send("DELETE", "/api/projects/default/environments/master", status=409)
    await ada.send("DELETE", "/api/workspaces/default", {"password": PASSWORD}, status=409)

    assert (await ada.get("/api/projects/default"))["data"]["userId"] is None


async def test_people_read_their_own_activities_newest_first(town: Town, api: Running) -> None:
    ada = await town.citizen()
    shop, blog = await ada.project("Shop"), await ada.project("Blog")
    bo = await town.colleague(ada, "dev")
    for number in range(3):
        await note(api, ada, shop, number, "create")
    await note(api, ada, blog, 7, "invoke")
    await note(api, bo, shop, 9, "create")

    listed = await ada.get("/api/activities?limit=3")

    assert [each["resourceId"] for each in listed["data"]] == [7, 2, 1]
    assert listed["pagination"] == {"total": 4, "limit": 3, "offset": 0, "hasMore": True}
    newest = listed["data"][0]
    assert (newest["action"], newest["resourceType"], newest["metadata"]) == ("invoke", "function", {"number": 7})
    assert newest["user"] == {"id": ada.id, "name": "Ada Lovelace", "profileImage": None}
    assert newest["project"] == {"slug": blog, "name": "Blog"}
    assert newest["environment"] == {"slug": "master", "name": "master"}
    assert MOMENT.fullmatch(newest["createdAt"])
    shown = {
        query: [each["resourceId"] for each in (await ada.get(f"/api/activities{query}"))["data"]]
        for query in (
            "?offset=3",
            "?action=invoke",
            "?resourceType=server",
            f"?projectSlug={shop}",
            f"?projectSlug={shop}&environmentSlug=master&limit=1",
            f"/{shop}/master?limit=5000&offset=1",
            "?offset=99999999999999999999999",
        )
    }
    assert list(shown.values()) == [[0], [7], [], [2, 1, 0], [2], [1, 0], []]
    for query in ("?environmentSlug=master", "?limit=0", "?limit=x", "?offset=-1"):
        await ada.get(f"/api/activities{query}", status=400)
    assert (await ada.get(f"/api/activities/{newest['id']}"))["data"] == newest
    await bo.get(f"/api/activities/{newest['id']}", status=403)
    await ada.get("/api/activities/999999", status=404)
    assert "activity" in (await ada.get("/api/activities/x", status=400))["message"]


async def test_activities_outlive_the_project_they_were_in(town: Town, api: Running) -> None:
    ada = await town.citizen()
    shop = await ada.project("Shop")
    await note(api, ada, shop, 1, "create")

    await ada.send("DELETE", f"/api/projects/{shop}")

    assert [each["action"] for each in (await ada.get("/api/activities"))["data"]] == ["create"]


async def note(api: Running, citizen: Citizen, project: str, number: int, action: str) -> None:
    platform = api.api.platform
    place = await enter_environment(platform, await caller_of(api, citizen), project, "master")
    done = Done(
        action=action,
        resource_type="function",
        resource_number=number,
        description=f"{action} of {number}",
        metadata={"number": number},
    )
    await activities.note(platform, place, done)
