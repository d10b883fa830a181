"""Workspaces, members, invitations, roles and their places (contracts/gateways.md sections 2.2 and 3.10; check 6)."""

import asyncio
from typing import Any

import pytest

from services.api.operations.places import enter_environment
from services.api.operations.plans import require_room
from shared.domain.errors import QuotaExceededError
from shared.domain.workspace import PERMISSIONS, Permission, Role
from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import PASSWORD, Citizen, Town, caller_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_workspace_is_made_shown_changed_and_deleted(town: Town) -> None:
    ada = await town.citizen()
    made = await ada.send("POST", "/api/workspaces", {"name": " Acme  Inc. ", "description": "d"}, status=201)

    assert made["message"] == "Workspace created successfully"
    workspace = made["data"]
    assert (workspace["name"], workspace["slug"], workspace["description"]) == ("Acme  Inc.", "acme-inc", "d")
    listed = await ada.get("/api/workspaces")
    assert listed["count"] == 2
    assert [each["userRole"] for each in listed["data"]] == ["owner", "owner"]
    shown = (await ada.get("/api/workspaces/acme-inc"))["data"]
    assert shown == {**workspace, "plan": shown["plan"], "userRole": "owner"}
    assert shown["plan"]["restrictions"]["max_projects"] == -1
    changed = await ada.send("PATCH", "/api/workspaces/acme-inc", {"name": "Acme", "slug": "acme", "description": None})
    assert (changed["data"]["slug"], changed["data"]["description"]) == ("acme", None)
    await ada.send("DELETE", "/api/workspaces/acme", {}, status=400)
    await ada.send("DELETE", "/api/workspaces/acme", {"password": "wrong-password"}, status=401)
    await ada.send("PATCH", "/api/workspaces/acme/set-default")
    deleted = await ada.send("DELETE", "/api/workspaces/acme", {"password": PASSWORD})
    assert deleted["defaultWorkspaceUpdated"] is True
    assert deleted["newDefaultWorkspaceId"] == listed["data"][0]["id"]
    assert (await ada.get("/api/workspaces/acme", status=404))["error"] == "Workspace not found"
    await ada.send("DELETE", f"/api/workspaces/{await ada.workspace()}", {"password": PASSWORD}, status=400)


async def test_what_is_wrong_with_a_workspace_is_told(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()

    made: list[Any] = [{}, {"name": ""}, {"name": 1}, {"name": "x" * 101}, {"name": "x", "description": "x" * 351}]
    for body in made:
        await ada.send("POST", "/api/workspaces", body, status=400)
    changed: list[Any] = [{}, {"planId": 4}, {"slug": "Not A Slug"}, {"slug": "roles"}, {"name": None}]
    for body in changed:
        await ada.send("PATCH", f"/api/workspaces/{slug}", body, status=400)
    other = (await ada.send("POST", "/api/workspaces", {"name": "Other"}, status=201))["data"]["slug"]
    await ada.send("PATCH", f"/api/workspaces/{slug}", {"slug": other}, status=409)
    checked = await ada.get("/api/workspaces/check-name?name=Other")
    assert checked["data"] == {"name": "Other", "slug": "other", "available": False}
    await ada.get("/api/workspaces/check-name", status=400)


async def test_whoever_is_invited_sees_it_and_takes_it(town: Town) -> None:
    ada, bo, eve = await town.citizen(), await town.citizen("Bo"), await town.citizen("Eve")
    slug = await ada.workspace()
    body = {"email": bo.email.upper(), "role": "dev"}

    invited = await ada.send("POST", f"/api/workspaces/{slug}/members", body, status=201)

    invitation = invited["data"]["invitation"]
    assert (invitation["role"], invitation["status"]) == ("dev", "pending")
    await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": bo.email}, status=409)
    pending = await bo.get("/api/workspaces/invitations/pending")
    assert [each["workspaceSlug"] for each in pending["data"]] == [slug]
    assert pending["data"][0]["invitedByName"] == "Ada Lovelace"
    assert (await bo.get("/api/users/profile"))["data"]["pendingInvitationsCount"] == 1
    await bo.get(f"/api/workspaces/{slug}", status=403)
    path = f"/api/workspaces/invitations/{invitation['id']}"
    await eve.send("POST", f"{path}/accept", status=403)
    await bo.send("POST", "/api/workspaces/invitations/999999/accept", status=404)
    taken = await bo.send("POST", f"{path}/accept")
    assert (taken["data"]["workspace"]["slug"], taken["data"]["role"]) == (slug, "dev")
    await bo.send("POST", f"{path}/accept", status=400)
    await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": bo.email}, status=409)
    listed = await bo.get(f"/api/workspaces/{slug}/members")
    assert [(each["userId"], each["role"]) for each in listed["data"]] == [(ada.id, "owner"), (bo.id, "dev")]
    assert [each["userRole"] for each in (await bo.get("/api/workspaces"))["data"]] == ["owner", "dev"]


async def test_an_invitation_may_be_declined_or_wait_for_somebody_to_sign_up(town: Town) -> None:
    ada, bo = await town.citizen(), await town.citizen()
    slug = await ada.workspace()
    await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": bo.email}, status=201)
    [pending] = (await bo.get("/api/workspaces/invitations/pending"))["data"]

    await bo.send("POST", f"/api/workspaces/invitations/{pending['id']}/decline")

    assert (await bo.get("/api/workspaces/invitations/pending"))["count"] == 0
    await bo.send("POST", f"/api/workspaces/invitations/{pending['id']}/accept", status=400)
    await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": "late@example.com"}, status=201)
    late = await town.citizen(email="late@example.com")
    assert (await late.get("/api/workspaces/invitations/pending"))["data"][0]["role"] == "member"


async def test_members_are_managed_by_owners_and_admins_and_owners_by_owners(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()
    members = f"/api/workspaces/{slug}/members"
    admin, dev = await town.colleague(ada, "admin"), await town.colleague(ada, "dev")

    await dev.send("POST", members, {"email": "x@example.com"}, status=403)
    await dev.send("PATCH", f"{members}/{dev.id}", {"role": "admin"}, status=403)
    await dev.send("DELETE", f"{members}/{admin.id}", status=403)
    await admin.send("PATCH", f"{members}/{admin.id}", {"role": "owner"}, status=403)
    await admin.send("POST", members, {"email": "x@example.com", "role": "owner"}, status=403)
    await admin.send("PATCH", f"{members}/{ada.id}", {"role": "dev"}, status=403)
    await admin.send("DELETE", f"{members}/{ada.id}", status=403)
    await ada.send("PATCH", f"{members}/{ada.id}", {"role": "dev"}, status=400)
    await ada.send("DELETE", f"{members}/{ada.id}", status=400)
    for body in ({}, {"role": "king"}, {"role": ["dev"]}, {"role": "dev", "projectPermissions": 7}):
        await ada.send("PATCH", f"{members}/{dev.id}", body, status=400)
    await ada.send("PATCH", f"{members}/x", {"role": "dev"}, status=400)
    await ada.send("PATCH", f"{members}/999999", {"role": "dev"}, status=404)
    changed = await admin.send("PATCH", f"{members}/{dev.id}", {"role": "viewer"})
    assert changed["data"]["role"] == "viewer"
    told = (await dev.get(f"{members}/{dev.id}/permissions"))["data"]
    assert told["permissions"]["canViewResources"]
    assert not told["permissions"]["canCreateResources"]
    await admin.send("DELETE", f"{members}/{dev.id}")
    await dev.get(f"/api/workspaces/{slug}", status=403)


async def test_ownership_is_handed_over_and_the_old_owner_stays_an_admin(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()
    bo = await town.colleague(ada, "viewer")
    path = f"/api/workspaces/{slug}/transfer"
    await bo.send("POST", path, {"email": bo.email}, status=403)
    await ada.send("POST", path, {"email": bo.email}, status=400)
    await ada.send("POST", "/api/workspaces", {"name": "Mine"}, status=201)
    await ada.send("POST", path, {"email": ada.email}, status=400)
    await ada.send("POST", path, {"email": "nobody@example.com"}, status=404)

    handed = await ada.send("POST", path, {"email": bo.email})

    assert (handed["data"]["previousOwnerId"], handed["data"]["newOwnerId"]) == (ada.id, bo.id)
    assert (await bo.get(f"/api/workspaces/{slug}"))["data"]["userRole"] == "owner"
    assert (await ada.get(f"/api/workspaces/{slug}"))["data"]["userRole"] == "admin"


async def test_roles_are_told_with_their_permissions(town: Town) -> None:
    ada = await town.citizen()

    told = await ada.get("/api/workspaces/roles")

    assert told["count"] == 6
    assert [each["code"] for each in told["data"]] == ["owner", "admin", "billing", "dev", "viewer", "member"]
    for each in told["data"]:
        allowed = {name for name, may in each["permissions"].items() if may}
        assert allowed == {permission.value for permission in PERMISSIONS[Role(each["code"])]}


async def test_each_role_may_do_over_http_what_it_allows_and_no_more(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()
    project = await ada.project()
    environment = f"/api/projects/{project}/environments/master"
    tries: list[tuple[Permission, str, str, Any, int]] = [
        (Permission.VIEW_RESOURCES, "GET", environment, None, 200),
        (Permission.VIEW_ACTIVITIES, "GET", f"/api/activities/{project}/master", None, 200),
        (Permission.MANAGE_PROJECTS, "POST", f"/api/workspaces/{slug}/projects", {"name": "New"}, 201),
        (Permission.MANAGE_PROJECTS, "PATCH", f"/api/projects/{project}", {"description": "d"}, 200),
        (Permission.MANAGE_ENVIRONMENTS, "POST", f"/api/projects/{project}/environments", {"name": "E"}, 201),
        (Permission.MANAGE_ENVIRONMENTS, "PATCH", environment, {"description": "d"}, 200),
        (Permission.MANAGE_SETTINGS, "PATCH", f"/api/workspaces/{slug}", {"description": "d"}, 200),
        (Permission.MANAGE_MEMBERS, "POST", f"/api/workspaces/{slug}/members", {"email": "{}@example.com"}, 201),
        (Permission.MANAGE_WORKSPACE, "DELETE", f"/api/workspaces/{slug}", {"password": "wrong-password"}, 401),
    ]
    for role in Role:
        member = await town.colleague(ada, role)
        for permission, method, path, body, status in tries:
            sent = {"email": f"{role}@example.com"} if body and "email" in body else body
            expected = status if permission in PERMISSIONS[role] else 403
            await member.send(method, path, sent, status=expected)


async def test_whoever_is_no_member_is_kept_out_and_what_is_unknown_is_not_found(town: Town) -> None:
    ada, bo = await town.citizen(), await town.citizen()
    project = await ada.project()

    for path in (f"/api/projects/{project}", f"/api/projects/{project}/environments/master"):
        assert (await bo.get(path, status=403))["error"] == "Forbidden"
    await bo.get(f"/api/activities/{project}/master", status=403)
    await bo.get(f"/api/activities?projectSlug={project}", status=403)
    assert (await ada.get("/api/projects/none", status=404))["error"] == "Project not found"
    assert (await ada.get("/api/activities/none/master", status=404))["error"] == "Project not found"
    gone = await ada.get(f"/api/activities/{project}/none", status=404)
    assert gone["error"] == "Environment not found"
    assert (await bo.get("/api/projects"))["data"] == []


async def test_a_member_is_kept_to_their_places(town: Town) -> None:
    ada = await town.citizen()
    slug = await ada.workspace()
    shop, blog = await ada.project("Shop"), await ada.project("Blog")
    await ada.send("POST", f"/api/projects/{shop}/environments", {"name": "Live"}, status=201)
    bo = await town.colleague(ada, "dev", [f"{shop}/master"])

    await bo.get(f"/api/projects/{shop}/environments/master")
    await bo.get(f"/api/projects/{shop}/environments/live", status=403)
    await bo.get(f"/api/projects/{blog}", status=403)
    await bo.send("PATCH", f"/api/projects/{shop}", {"description": "d"}, status=403)
    await bo.send("DELETE", f"/api/projects/{shop}", status=403)
    await bo.send("POST", f"/api/projects/{shop}/environments", {"name": "E"}, status=403)
    await bo.send("POST", f"/api/workspaces/{slug}/projects", {"name": "P"}, status=403)
    assert [each["slug"] for each in (await bo.get("/api/projects"))["data"]] == [shop]
    listed = await bo.get(f"/api/projects/{shop}/environments")
    assert [each["slug"] for each in listed["data"]] == ["master"]
    members = f"/api/workspaces/{slug}/members"
    narrowed = await ada.get(f"{members}?projectSlug={shop}&environmentSlug=live")
    assert narrowed["filter"] == {"projectSlug": shop, "environmentSlug": "live"}
    assert [each["userId"] for each in narrowed["data"]] == [ada.id]
    await ada.get(f"{members}?environmentSlug=live", status=400)
    await ada.get(f"{members}?projectSlug=none", status=404)
    wider = await ada.send(
        "PATCH", f"{members}/{bo.id}", {"role": "dev", "projectPermissions": [f"{shop}/master", f"{blog}/*"]}
    )
    assert wider["data"]["projectPermissions"] == [f"{shop}/master", f"{blog}/*"]
    await bo.send("PATCH", f"/api/projects/{blog}", {"description": "d"})
    kept = await ada.send("PATCH", f"{members}/{bo.id}", {"role": "viewer"})
    assert kept["data"]["projectPermissions"] == [f"{shop}/master", f"{blog}/*"]
    for places in (["shop"], ["a/b/c"], ["none/*"], [f"{shop}/none"], ["*", f"{shop}/*"], "shop/*", [7]):
        body = {"role": "dev", "projectPermissions": places}
        await ada.send("PATCH", f"{members}/{bo.id}", body, status=400)
    everywhere = await ada.send("PATCH", f"{members}/{bo.id}", {"role": "dev", "projectPermissions": "*"})
    assert everywhere["data"]["projectPermissions"] == "*"
    await bo.get(f"/api/projects/{shop}/environments/live")


async def test_a_plan_limits_projects_environments_members_and_resources(database_url: str) -> None:
    async with running(database_url, TIDEMILL_PLAN="starter") as api, Town(api) as town:
        ada = await town.citizen()
        slug = await ada.workspace()
        project = await ada.project("One")
        for name in ("Two", "Three"):
            await ada.project(name)

        refused = await ada.send("POST", "/api/projects", {"name": "Four"}, status=403)

        assert refused["error"] == "Plan limit exceeded"
        assert (refused["currentValue"], refused["limit"], refused["upgradeRequired"]) == (3, 3, True)
        await ada.send("DELETE", "/api/projects/three")
        await ada.project("Four")
        for name in ("a", "b"):
            await ada.send("POST", f"/api/projects/{project}/environments", {"name": name}, status=201)
        await ada.send("POST", f"/api/projects/{project}/environments", {"name": "c"}, status=403)
        for name in ("a", "b"):
            await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": f"{name}@example.com"}, status=201)
        await ada.send("POST", f"/api/workspaces/{slug}/members", {"email": "c@example.com"}, status=403)
        usage = (await ada.get(f"/api/workspaces/{slug}/usage"))["usage"]
        assert usage["projects"] == {"current": 3, "limit": 3, "percentage": 100, "unlimited": False}
        assert usage["environments"] == {"current": 5, "limit": None, "percentage": None, "unlimited": True}
        await _fill(api, ada, project, 15)
        usage = (await ada.get(f"/api/projects/{project}/usage"))["usage"]
        assert usage["resources"] == {"total": 15, "limit": 15, "percentage": 100, "unlimited": False}


async def _fill(api: Running, ada: Citizen, project: str, limit: int) -> None:
    """Make functions until the plan allows no more; the next is refused, and one that goes makes room."""
    platform = api.api.platform
    caller = await caller_of(api, ada)
    place = await enter_environment(platform, caller, project, "master", Permission.CREATE_RESOURCES)
    for number in range(limit):
        await require_room(platform, place)
        await api.db.execute(
            """
            INSERT INTO functions (id, account_id, environment_id, name, status, provider, permission_mode)
            VALUES ($1, $2, $3, $1, 'active', 'local', 'public')
            """,
            f"func_{number:010d}",
            place.project.account_id,
            place.environment.id,
        )
    with pytest.raises(QuotaExceededError) as refused:
        await require_room(platform, place)
    assert refused.value.fields == {"limit": limit, "currentValue": limit}
    await api.db.execute("UPDATE functions SET deleted_at = now() WHERE id = 'func_0000000000'")
    await require_room(platform, place)
    await api.db.execute("UPDATE functions SET deleted_at = NULL")


async def test_two_owners_who_leave_at_once_leave_one(town: Town) -> None:
    ada = await town.citizen()
    members = f"/api/workspaces/{await ada.workspace()}/members"
    bo = await town.colleague(ada, "owner")

    answers = await asyncio.gather(ada.http.delete(f"{members}/{ada.id}"), bo.http.delete(f"{members}/{bo.id}"))

    assert sorted(each.status_code for each in answers) == [200, 400]
