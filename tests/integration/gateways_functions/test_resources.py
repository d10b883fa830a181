"""Functions as resources of their environment (contracts/gateways.md section 3.8; checks 39, 40, 44, 46, 47)."""

import httpx
import pytest

from tests.integration.gateways_functions.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_function_is_in_every_list_it_belongs_to_and_in_no_other(shop: Shop) -> None:
    number = (await shop.create("thumbs", positionX=40, positionY=60))["id"]

    for kind in ("function", "functions", "all"):
        listed = await shop.get(f"resources?type={kind}")
        assert [each["id"] for each in listed["data"]] == [number]
        assert listed["counts"] == {"functions": 1, "total": 1}
        assert listed["filters"]["type"] == kind
    assert (await shop.get("resources?type=database"))["data"] == []
    await shop.get("resources?type=spaceship", 400)

    item = (await shop.get("resources"))["data"][0]
    assert item.items() >= {"resourceType": "function", "resourceId": "thumbs", "region": "eu-west-1"}.items()
    assert (item["position"], item["metadata"]["runtime"]) == ({"x": 40, "y": 60}, "nodejs20.x")
    assert item["environment"]["slug"] == "master"
    assert (await shop.get(f"resources/{number}"))["data"] == item
    assert (await shop.get(f"resources/function/{number}"))["data"] == item


async def test_a_list_is_narrowed_by_region_status_and_state(shop: Shop) -> None:
    one = (await shop.create())["id"]
    other = (await shop.create(region="us-east-1"))["id"]

    async def found(query: str) -> list[int]:
        return [each["id"] for each in (await shop.get(f"resources?{query}"))["data"]]

    assert await found("region=us-east-1") == [other]
    assert await found("status=active") == [other, one]
    assert await found("status=failed") == []
    assert await found("state=Active&region=eu-west-1") == [one]


async def test_a_resource_is_relabelled_and_moved_and_keeps_its_cloud_name(shop: Shop) -> None:
    number = (await shop.create("thumbs"))["id"]
    taken = (await shop.create("taken"))["name"]
    path = f"resources/{number}"

    changed = (await shop.send("PATCH", path, {"name": " new label ", "position": {"x": 1, "y": 2}}))["data"]
    assert (changed["name"], changed["resourceId"], changed["position"]) == ("new label", "thumbs", {"x": 1, "y": 2})

    moved = await shop.send("PATCH", f"{path}/position", {"x": 520, "y": 150})
    assert moved["data"] == {"id": number, "resourceType": "function", "position": {"x": 520, "y": 150}}

    for wrong in ({}, {"name": ""}, {"position": {"x": 1}}, {"position": 7}):
        await shop.send("PATCH", path, wrong, status=400)
    for nowhere in ({"x": 1}, {}, {"x": "1", "y": 2}):
        await shop.send("PATCH", f"{path}/position", nowhere, status=400)
    await shop.send("PATCH", path, {"name": taken}, status=409)
    assert (await shop.get(path))["data"]["position"] == {"x": 520, "y": 150}


async def test_a_local_function_is_synced_to_what_it_is(shop: Shop) -> None:
    number = (await shop.create("thumbs"))["id"]

    synced = await shop.send("PUT", f"resources/{number}/sync")

    assert synced["message"] == "Function synced successfully"
    assert (synced["data"]["status"], synced["data"]["localData"]["memorySize"]) == ("Active", 128)
    assert (await shop.read(number))["status"] == "active"


async def test_a_deleted_function_is_nowhere_and_its_name_is_free(shop: Shop) -> None:
    number = (await shop.create("thumbs"))["id"]

    answer = await shop.send("DELETE", f"resources/{number}")

    assert answer["data"] == {"id": number, "resourceType": "function", "deleted": True}
    for path in (f"functions/{number}", f"resources/{number}", f"functions/{number}/files"):
        await shop.get(path, 404)
    await shop.send("DELETE", f"resources/{number}", status=404)
    await shop.send("POST", f"functions/{number}/invoke", status=404)
    assert (await shop.get("resources"))["count"] == 0
    await shop.create("thumbs")


async def test_only_the_unified_delete_deletes(shop: Shop) -> None:
    number = (await shop.create())["id"]

    await shop.send("DELETE", f"functions/{number}", status=httpx.codes.METHOD_NOT_ALLOWED)

    assert (await shop.read(number))["status"] == "active"


async def test_the_summary_counts_what_the_caller_may_see(shop: Shop) -> None:
    await shop.create()
    await shop.create(region="us-east-1")
    stranger = await shop.town.citizen()
    project = (await shop.get("resources"))["project"]["id"]

    summary = (await shop.owner.get("/api/resources/summary"))["summary"]

    assert summary == {"total": 2, "byStatus": {"active": 2}, "byRegion": {"eu-west-1": 1, "us-east-1": 1}}
    assert (await shop.owner.get(f"/api/resources/summary?projectId={project}"))["summary"] == summary
    assert (await stranger.get("/api/resources/summary"))["summary"]["total"] == 0
    await stranger.get(f"/api/resources/summary?projectId={project}", 404)
    await stranger.get("/api/resources/summary?projectId=x", 400)


async def test_what_was_done_is_an_activity(shop: Shop) -> None:
    number = (await shop.create("thumbs"))["id"]
    await shop.send(
        "PUT", f"functions/{number}", {"timeout": 5, "environmentVariables": {"A": "value-of-a"}, "unknown": 1}
    )
    await shop.send("PUT", f"resources/{number}/sync")
    await shop.send("DELETE", f"resources/{number}")

    found = (await shop.owner.get("/api/activities?resourceType=function"))["data"]

    assert [each["action"] for each in found] == ["delete", "sync", "update", "create"]
    assert [each["description"] for each in found] == [
        f'{done} function "thumbs"' for done in ("Deleted", "Synced", "Updated", "Created")
    ]
    assert found[2]["metadata"] == {"fields": ["environmentVariables", "timeout"]}
    created = found[-1]
    assert (created["resourceId"], created["metadata"]["runtime"]) == (number, "nodejs20.x")
    assert {"architecture", "handler", "region", "resourceId", "functionUrl"} <= created["metadata"].keys()
    assert "value-of-a" not in str(found)
    assert created["environment"]["slug"] == "master"


async def test_a_function_of_another_dialect_is_a_resource_too(shop: Shop) -> None:
    slug = (await shop.db.fetchval("SELECT slug FROM projects WHERE id = $1", shop.api.environment.project_id)) or ""
    await shop.db.execute(
        "INSERT INTO members (account_id, user_id, role) SELECT $1, id, 'dev' FROM users WHERE number = $2",
        shop.api.environment.account_id,
        shop.owner.id,
    )
    body = {"name": "greet", "code": "module.exports = async () => 1", "runtime": "node18"}
    await shop.api.http.post("/v1/functions", json=body)
    place = f"/api/{slug}/{shop.api.environment.slug}"

    listed = (await shop.owner.get(f"{place}/functions"))["data"][0]
    number = listed["id"]

    assert (listed["name"], listed["region"], listed["endpoint"]) == ("greet", "local", None)
    for region, there in (("local", True), ("eu-west-1", False)):
        found = (await shop.owner.get(f"{place}/resources?region={region}"))["data"]
        assert (number in [each["id"] for each in found]) == there
    assert (await shop.owner.get(f"{place}/functions/{number}"))["data"]["code"] == body["code"]
    refused = {"path": "x.js", "content": ""}
    await shop.owner.send("POST", f"{place}/functions/{number}/files", refused, status=400)
    await shop.owner.send("DELETE", f"{place}/resources/{number}")
    assert (await shop.api.http.get("/v1/functions/greet")).status_code == 404
