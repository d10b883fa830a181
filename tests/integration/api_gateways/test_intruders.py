"""
Whatever belongs to a workspace is out of reach of everybody else, by whichever id and slug they ask for it.

The routes are those of the description of the api, so that none is forgotten.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from shared.domain.workspace import PERMISSIONS, Permission, Role
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import PASSWORD, Citizen, Town
from tests.integration.api_gateways.places import keep_function
from tests.support.builders import unique

pytestmark = pytest.mark.asyncio(loop_scope="session")

NONE_SUCH = 999_999_999
REFUSED = (403, 404)
PARAMETER = re.compile(r"\{(\w+)\}")
KEPT = ("accounts", "projects", "environments", "functions", "members", "invitations", "cloud_connections")
KEPT_BY_USER = ("personal_keys", "activities")

# One body for every route: each ignores what it does not know.
BODY = {
    "name": "Mine",
    "description": "mine",
    "email": "eve@example.com",
    "password": PASSWORD,
    "role": "viewer",
    "status": "failed",
    "accountId": "111122223333",
    "accountName": "Mine",
    "targetResourceType": "database",
    "targetResourceId": 1,
    "sourceResourceType": "function",
    "sourceResourceId": NONE_SUCH,
    "runtime": "nodejs20.x",
    "handler": "index.handler",
    "region": "eu-west-1",
    "memorySize": 256,
    "path": "a.js",
    "content": "",
    "oldPath": "index.js",
    "newPath": "a.js",
    "x": 1,
    "y": 1,
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the description; ``path`` has parameters."""

    name: str
    method: str
    path: str

    def at(self, slugs: dict[str, str], numbers: dict[str, int]) -> str:
        """Return the path of something: ``numbers`` by the noun before each number."""

        def value(found: "re.Match[str]") -> str:
            name = found[1]
            if name in slugs:
                return slugs[name]
            if name in ("resourceType", "path"):
                return {"resourceType": "function", "path": "index.js"}[name]
            noun = self.path[: found.start()].rstrip("/").rpartition("/")[2]
            return str(numbers["cloud-connections" if noun == "{workspaceSlug}" else noun])

        return PARAMETER.sub(value, self.path)


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What somebody has: one of each."""

    owner: Citizen
    slugs: dict[str, str]
    numbers: dict[str, int]


async def operations(town: Town) -> list[Operation]:
    """Return the operations of the dialect that name something and ask for a credential."""

    def described() -> Iterator[Operation]:
        for path, methods in paths.items():
            for method, operation in methods.items():
                if operation.get("operationId", "").startswith("gateways") and operation["security"] and "{" in path:
                    yield Operation(name=operation["operationId"][8:], method=method.upper(), path=path)

    paths = (await (await town.client()).get("/openapi.json")).json()["paths"]
    found = list(described())
    assert len(found) > 60
    return found


async def holdings(api: Running, town: Town) -> Holdings:
    owner = await town.citizen()
    workspace, project = await owner.workspace(), await owner.project(unique("shop"))
    home = (await owner.get(f"/api/projects/{project}"))["data"]["connectedCloudId"]
    _, function = await keep_function(api.db, project, unique("fn"), connection=home)
    place = f"/api/{project}/master"
    pair = {**BODY, "sourceResourceId": function}
    invited = await owner.send(
        "POST", f"/api/workspaces/{workspace}/members", {"email": f"{unique('bo')}@example.com"}, status=201
    )
    cloud = await owner.send("POST", f"/api/cloud-connections/{workspace}/connect-aws", status=201)
    await owner.send("PATCH", f"{place}/resources/{function}/position", {"x": 1, "y": 2})
    await owner.send("PATCH", f"{place}/resources/{function}", {"name": "thumbs-2"})
    numbers = {
        "functions": function,
        "resources": function,
        "function": function,
        "{resourceType}": function,
        "members": owner.id,
        "sessions": (await owner.get("/api/users/sessions"))["data"][0]["id"],
        "api-keys": (await owner.send("POST", "/api/users/api-keys", {}, status=201))["data"]["id"],
        "invitations": invited["data"]["invitation"]["id"],
        "activities": (await owner.get("/api/activities"))["data"][0]["id"],
        "cloud-connections": cloud["data"]["connectionId"],
        "connect-cloud": home,
        "resource-connections": (await owner.send("POST", f"{place}/resource-connections", pair, status=201))["data"][
            "id"
        ],
    }
    slugs = {"workspaceSlug": workspace, "projectSlug": project, "environmentSlug": "master"}
    return Holdings(owner=owner, slugs=slugs, numbers=numbers)


async def kept(api: Running, of: Holdings) -> dict[str, list[str]]:
    """Return all rows of somebody's workspace and of their own, as text."""
    by_account = {
        table: f"SELECT t::text FROM {table} t WHERE {'id' if table == 'accounts' else 'account_id'} ="
        " (SELECT id FROM accounts WHERE slug = $1) ORDER BY 1"
        for table in KEPT
    }
    rows = {table: await api.db.fetch(sql, of.slugs["workspaceSlug"]) for table, sql in by_account.items()}
    for table in KEPT_BY_USER:
        sql = f"SELECT t::text FROM {table} t WHERE user_id = (SELECT id FROM users WHERE number = $1) ORDER BY 1"
        rows[table] = await api.db.fetch(sql, of.owner.id)
    rows["connections"] = await api.db.fetch("SELECT c::text FROM resource_connections c ORDER BY 1")
    rows["open sessions"] = await api.db.fetch("SELECT id::text FROM sessions WHERE ended_at IS NULL ORDER BY 1")
    return {table: [row[0] for row in found] for table, found in rows.items()}


async def refused(by: Citizen, operation: Operation, path: str) -> httpx.Response:
    body = None if operation.method == "GET" else BODY
    answer = await by.http.request(operation.method, path, json=body)
    assert answer.status_code in REFUSED, (operation.method, path, answer.status_code, answer.text)
    assert set(answer.json()) >= {"error", "message"}
    return answer


async def test_strangers_get_at_nothing_by_its_path(api: Running, town: Town) -> None:
    hers, eve = await holdings(api, town), await town.citizen("Eve")
    before = await kept(api, hers)

    for operation in await operations(town):
        answer = await refused(eve, operation, operation.at(hers.slugs, hers.numbers))
        assert hers.owner.email not in answer.text

    assert await kept(api, hers) == before


async def test_nobody_gets_at_what_others_have_by_its_number_in_a_place_of_their_own(api: Running, town: Town) -> None:
    hers, mine = await holdings(api, town), await holdings(api, town)
    before = await kept(api, hers)

    for operation in await operations(town):
        numbered = [name for name in PARAMETER.findall(operation.path) if name not in mine.slugs]
        if numbered:
            await refused(mine.owner, operation, operation.at(mine.slugs, hers.numbers))

    assert await kept(api, hers) == before


async def test_what_is_in_one_environment_is_in_no_other_of_the_same_people(api: Running, town: Town) -> None:
    hers = await holdings(api, town)
    live = f"/api/projects/{hers.slugs['projectSlug']}/environments"
    await hers.owner.send("POST", live, {"name": "Live"}, status=201)
    elsewhere = {**hers.slugs, "projectSlug": await hers.owner.project(unique("blog"))}
    before = await kept(api, hers)

    for slugs in ({**hers.slugs, "environmentSlug": "live"}, elsewhere):
        for operation in await operations(town):
            if operation.path.startswith("/api/{projectSlug}/{environmentSlug}/") and operation.path.count("{") > 2:
                assert (await refused(hers.owner, operation, operation.at(slugs, hers.numbers))).status_code == 404

    assert await kept(api, hers) == before


async def test_what_names_others_in_a_query_or_a_body_is_refused_too(api: Running, town: Town) -> None:
    hers, mine = await holdings(api, town), await holdings(api, town)
    slugs, eve = hers.slugs, mine.owner
    [workspace] = (await hers.owner.get("/api/workspaces"))["data"]
    project = (await hers.owner.get(f"/api/projects/{slugs['projectSlug']}"))["data"]
    place = f"/api/{mine.slugs['projectSlug']}/master"

    await eve.get(f"/api/activities?projectSlug={slugs['projectSlug']}", status=403)
    await eve.get(f"/api/activities?projectSlug={slugs['projectSlug']}&environmentSlug=master", status=403)
    await eve.get(f"/api/resources/summary?projectId={project['id']}", status=404)
    await eve.get(f"/api/resource-types?workspaceId={workspace['id']}", status=404)
    await eve.get(
        f"/api/workspaces/{mine.slugs['workspaceSlug']}/members?projectSlug={slugs['projectSlug']}", status=404
    )
    await eve.get(f"/api/cloud/{mine.slugs['workspaceSlug']}/{slugs['projectSlug']}/regions", status=403)
    await eve.send("POST", "/api/projects", {"name": "x", "workspaceSlug": slugs["workspaceSlug"]}, status=403)
    await eve.send("PATCH", f"/api/projects/{mine.slugs['projectSlug']}", {"slug": slugs["projectSlug"]}, status=409)
    pair = {**BODY, "sourceResourceId": hers.numbers["functions"]}
    await eve.send("POST", f"{place}/resource-connections", pair, status=404)
    narrowed = {"email": "x@example.com", "projectPermissions": [f"{slugs['projectSlug']}/*"]}
    await eve.send("POST", f"/api/workspaces/{mine.slugs['workspaceSlug']}/members", narrowed, status=400)


async def test_what_was_deleted_takes_what_is_in_it_out_of_reach(api: Running, town: Town) -> None:
    hers = await holdings(api, town)
    place = f"/api/{hers.slugs['projectSlug']}/master"
    function = f"{place}/functions/{hers.numbers['functions']}"
    await hers.owner.send("POST", "/api/workspaces", {"name": "Other"}, status=201)
    assert (await hers.owner.get("/api/resources/summary"))["summary"]["total"] == 1

    await hers.owner.send("DELETE", f"/api/workspaces/{hers.slugs['workspaceSlug']}", {"password": PASSWORD})

    for path in (function, f"{place}/resources", f"/api/projects/{hers.slugs['projectSlug']}"):
        await hers.owner.get(path, status=404)
    assert (await hers.owner.get("/api/resources/summary"))["summary"]["total"] == 0
    assert (await hers.owner.get("/api/projects"))["data"] == []


MEMBERS = None
OWNER = Permission.MANAGE_WORKSPACE
VIEW, CREATE = Permission.VIEW_RESOURCES, Permission.CREATE_RESOURCES
UPDATE, DELETE = Permission.UPDATE_RESOURCES, Permission.DELETE_RESOURCES
PROJECTS, ENVIRONMENTS = Permission.MANAGE_PROJECTS, Permission.MANAGE_ENVIRONMENTS
NEEDED: dict[str, Permission | None] = {
    **dict.fromkeys(
        (
            *("Workspace", "SetDefaultWorkspace", "WorkspaceUsage", "WorkspaceProjects", "Members"),
            *("MemberPermissions", "Project", "ProjectUsage", "Environments", "CheckEnvironmentName"),
        ),
        MEMBERS,
    ),
    **dict.fromkeys(("DeleteWorkspace", "TransferWorkspace"), OWNER),
    "UpdateWorkspace": Permission.MANAGE_SETTINGS,
    **dict.fromkeys(("Invite", "UpdateMember", "RemoveMember"), Permission.MANAGE_MEMBERS),
    **dict.fromkeys(("CreateWorkspaceProject", "UpdateProject", "DeleteProject", "SetDefaultProject"), PROJECTS),
    **dict.fromkeys(
        ("CreateEnvironment", "UpdateEnvironment", "DeleteEnvironment", "SetDefaultEnvironment"), ENVIRONMENTS
    ),
    "EnvironmentActivities": Permission.VIEW_ACTIVITIES,
    **dict.fromkeys(
        (
            *("Environment", "CloudConnections", "CloudRegions", "ResourceConnections", "ResourceConnection"),
            *("ConnectionsOfResource", "ConnectionsOfFunction", "Functions", "Function", "FunctionFiles"),
            *("FunctionFile", "FunctionFileByPath", "Resources", "Resource", "FunctionResource"),
        ),
        VIEW,
    ),
    **dict.fromkeys(
        ("ConnectAws", "ConnectLocal", "CompleteCloudConnection", "CreateResourceConnection", "CreateFunction"),
        CREATE,
    ),
    **dict.fromkeys(
        (
            *("UpdateCloudConnection", "ConnectProjectCloud", "DisconnectProjectCloud", "UpdateResourceConnection"),
            *("UpdateFunction", "UploadFunction", "InvokeFunction", "CreateFunctionFile", "UpdateFunctionFile"),
            *("DeleteFunctionFile", "RenameFunctionFile", "UpdateFunctionFileByPath", "DeleteFunctionFileByPath"),
            *("UpdateResource", "MoveResource", "SyncResource"),
        ),
        UPDATE,
    ),
    **dict.fromkeys(("DeleteCloudConnection", "DeleteResourceConnection", "DeleteResource"), DELETE),
}
FINAL = {"DeleteWorkspace", "TransferWorkspace", "DeleteProject", "DeleteEnvironment"}
"""After these there would be nothing left to ask the others about."""


async def test_every_operation_of_a_workspace_asks_for_what_a_role_must_allow(api: Running, town: Town) -> None:
    hers = await holdings(api, town)
    of_workspaces = [each for each in await operations(town) if any(slug in each.path for slug in hers.slugs)]
    nothing = dict.fromkeys(hers.numbers, NONE_SUCH)
    assert {operation.name for operation in of_workspaces} == NEEDED.keys()

    for role in Role:
        member = await town.colleague(hers.owner, role)
        for operation in of_workspaces:
            needed = NEEDED[operation.name]
            may = needed is None or needed in PERMISSIONS[role]
            if may and operation.name in FINAL:
                continue
            body = None if operation.method == "GET" else {**BODY, "email": f"{unique('x')}@example.com"}
            answer = await member.http.request(operation.method, operation.at(hers.slugs, nothing), json=body)
            assert (answer.status_code != 403) == may, (role, operation, answer.status_code, answer.text)
            assert answer.status_code < 500, answer.text
