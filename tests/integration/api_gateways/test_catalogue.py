"""Catalogues and pricing plans (contracts/gateways.md sections 3.9, 3.13 and 6; checks 48 and 49)."""

from typing import Any

import pytest

from tests.integration.api_gateways.people import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_catalogues_are_told_to_anybody(town: Town) -> None:
    nobody = await town.client()

    async def told(path: str) -> Any:
        answer = await nobody.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    runtimes = await told("/api/cloud/lambda-runtimes")
    assert runtimes["count"] == 15
    assert len((await told("/api/cloud/lambda-runtimes?include_inactive=true"))["data"]) == 18
    python = await told("/api/cloud/lambda-runtimes?family=python")
    assert [each["code"] for each in python["data"]] == ["python3.12", "python3.11", "python3.10"]
    assert python["filters"] == {"language": None, "family": "python"}
    everything = await told("/api/cloud/lambda-runtimes?family=python&include_inactive=true")
    assert everything["data"][-1]["code"] == "python3.9"
    assert not everything["data"][-1]["isActive"]
    assert [each["code"] for each in (await told("/api/cloud/lambda-runtimes?language=csharp"))["data"]] == [
        "dotnet8",
        "dotnet6",
    ]
    [ruby, _] = (await told("/api/cloud/lambda-runtimes?family=ruby"))["data"]
    assert (ruby["name"], ruby["description"], ruby["version"], ruby["distro"]) == (
        "Ruby 3.2",
        "Ruby 3.2 runtime",
        "3.2",
        None,
    )
    assert ruby["metadata"] == {"language": "ruby", "family": "ruby", "version": "3.2"}
    assert (await nobody.get("/api/cloud/lambda-runtimes?family=cobol")).status_code == 400
    types = await told("/api/resource-types")
    assert [each["subtype"] for each in types["data"]] == ["function"]
    assert (await told("/api/resource-types?activeOnly=false"))["count"] > 1
    function = (await told("/api/resource-types/function"))["data"]
    assert function == {
        "id": 12,
        "subtype": "function",
        "displayName": "Function",
        "isActive": True,
        "minPlanId": 1,
        "minPlanSlug": "free",
        "minPlanName": "Free",
    }
    assert (await nobody.get("/api/resource-types/spaceship")).status_code == 404
    plans = await told("/api/pricing-plans")
    assert [(each["slug"], each["restrictions"]["max_resources"]) for each in plans["data"]] == [
        ("free", 5),
        ("starter", 15),
        ("pro", 100),
        ("ultimate", -1),
        ("unlimited", -1),
    ]
    assert (await told("/api/pricing-plans/pro"))["data"]["restrictions"]["max_projects"] == 15
    assert (await nobody.get("/api/pricing-plans/none")).json()["error"] == "Plan not found"
    assert (await nobody.get("/api/cloud/providers")).status_code == 401


async def test_with_a_workspace_the_types_of_resources_say_whether_the_caller_may_make_one(town: Town) -> None:
    ada = await town.citizen()
    [workspace] = (await ada.get("/api/workspaces"))["data"]
    viewer = await town.colleague(ada, "viewer")
    path = f"/api/resource-types?workspaceId={workspace['id']}"

    assert [each["canCreate"] for each in (await ada.get(path))["data"]] == [True]
    assert [each["canCreate"] for each in (await viewer.get(path))["data"]] == [False]
    [shown] = (await (await town.client()).get(path)).json()["data"]
    assert "canCreate" not in shown
    await ada.get("/api/resource-types?workspaceId=999999", status=404)
    await ada.get("/api/resource-types?workspaceId=x", status=400)
    providers = await ada.get("/api/cloud/providers")
    assert [each["name"] for each in providers["data"]] == ["aws", "local"]
    assert (await ada.get("/api/cloud/providers?include_inactive=true"))["count"] == 4
