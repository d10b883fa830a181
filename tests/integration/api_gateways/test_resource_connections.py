"""What is connected to what in an environment (contracts/gateways.md section 3.12)."""

from typing import Any

import pytest
import pytest_asyncio

from shared.database import functions
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import Citizen, Town
from tests.integration.api_gateways.places import keep_function

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACE = "/api/{}/master"


@pytest_asyncio.fixture(loop_scope="session")
async def project(ada: Citizen) -> str:
    return await ada.project()


@pytest.fixture
def place(project: str) -> str:
    return PLACE.format(project)


def a_pair(source: int, target: int = 8, target_type: str = "database") -> dict[str, Any]:
    return {
        "sourceResourceType": "function",
        "sourceResourceId": source,
        "targetResourceType": target_type,
        "targetResourceId": target,
    }


async def test_a_connection_begins_pending_and_is_read_back(
    api: Running, ada: Citizen, project: str, place: str
) -> None:
    _, number = await keep_function(api.db, project, "thumbs")

    made = await ada.send(
        "POST", f"{place}/resource-connections", a_pair(number) | {"connectionDetails": {"port": 5432}}, status=201
    )

    assert made["message"] == "Resource connection created successfully"
    data = made["data"]
    project_id = (await ada.get(f"/api/projects/{project}"))["data"]["id"]
    assert {name: data[name] for name in data if name not in ("id", "environmentId", "createdAt", "updatedAt")} == {
        "userId": ada.id,
        "projectId": project_id,
        "sourceResourceType": "function",
        "sourceResourceId": number,
        "targetResourceType": "database",
        "targetResourceId": 8,
        "status": "pending",
        "connectionDetails": {"port": 5432},
        "errorMessage": None,
    }
    assert (await ada.get(f"{place}/resource-connections/{data['id']}"))["data"] == data
    assert (await ada.get(f"{place}/resource-connections"))["data"] == [data]
    of_function = await ada.get(f"{place}/resources/function/{number}/connections")
    assert (of_function["resourceType"], of_function["resourceId"], of_function["data"]) == ("function", number, [data])
    assert (await ada.get(f"{place}/resources/database/8/connections"))["data"] == [data]
    twice = await ada.send("POST", f"{place}/resource-connections", a_pair(number), status=409)
    assert twice["error"] == "Conflict"


@pytest.mark.parametrize("wrong", ["function_to_cdn", "itself", "database_to_function"])
async def test_pairs_that_mean_nothing_are_refused(
    api: Running, ada: Citizen, project: str, place: str, wrong: str
) -> None:
    _, number = await keep_function(api.db, project, "thumbs")
    body = {
        "function_to_cdn": a_pair(number, 8, "cdn"),
        "itself": a_pair(number, number, "function"),
        "database_to_function": {
            "sourceResourceType": "database",
            "sourceResourceId": 8,
            "targetResourceType": "function",
            "targetResourceId": number,
        },
    }[wrong]

    refused = await ada.send("POST", f"{place}/resource-connections", body, status=400)

    assert refused["error"] == "Connection not allowed"
    assert (await ada.get(f"{place}/resource-connections"))["count"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"sourceResourceId": "1"},
        {"sourceResourceId": 0},
        {"sourceResourceId": True},
        {"targetResourceId": 2**63},
        {"targetResourceType": "moon"},
        {"sourceResourceType": None},
        {"connectionDetails": "a"},
    ],
)
async def test_fields_of_the_wrong_form_are_refused(
    api: Running, ada: Citizen, project: str, place: str, change: dict[str, Any]
) -> None:
    _, number = await keep_function(api.db, project, "thumbs")

    await ada.send("POST", f"{place}/resource-connections", a_pair(number) | change, status=400)


async def test_a_function_at_an_end_must_be_in_the_environment(
    api: Running, ada: Citizen, project: str, place: str
) -> None:
    other = PLACE.format(await ada.project("Other"))
    _, number = await keep_function(api.db, project, "thumbs")

    missing = await ada.send("POST", f"{other}/resource-connections", a_pair(number), status=404)

    assert missing["error"] == "Function not found"
    await ada.get(f"{other}/resources/function/{number}/connections", 404)
    await ada.get(f"{place}/resources/function/abc/connections", 400)
    await ada.get(f"{place}/resources/moon/1/connections", 400)


async def test_lists_are_filtered_by_ends_and_status(api: Running, ada: Citizen, project: str, place: str) -> None:
    _, one = await keep_function(api.db, project, "one")
    _, two = await keep_function(api.db, project, "two")
    path = f"{place}/resource-connections"
    ids = [
        (await ada.send("POST", path, body, status=201))["data"]["id"]
        for body in (a_pair(one), a_pair(two, 9), a_pair(one, two, "function"))
    ]

    await ada.send("PATCH", f"{path}/{ids[1]}", {"status": "failed", "errorMessage": "no route"})

    async def found(query: str) -> list[int]:
        return [each["id"] for each in (await ada.get(f"{path}?{query}"))["data"]]

    assert await found(f"sourceResourceType=function&sourceResourceId={one}") == [ids[0], ids[2]]
    assert await found("targetResourceType=database") == ids[:2]
    assert await found("targetResourceId=9") == [ids[1]]
    assert await found("status=failed") == [ids[1]]
    await ada.get(f"{path}?status=lost", 400)
    await ada.get(f"{path}?sourceResourceId=x", 400)


async def test_a_connection_is_changed_and_deleted(api: Running, ada: Citizen, project: str, place: str) -> None:
    _, number = await keep_function(api.db, project, "thumbs")
    path = f"{place}/resource-connections"
    made = (await ada.send("POST", path, a_pair(number), status=201))["data"]["id"]

    failed = await ada.send("PATCH", f"{path}/{made}", {"status": "failed", "errorMessage": "no route"})
    mended = await ada.send("PATCH", f"{path}/{made}", {"status": "connected", "connectionDetails": {"a": 1}})

    assert (failed["data"]["status"], failed["data"]["errorMessage"]) == ("failed", "no route")
    assert mended["data"]["connectionDetails"] == {"a": 1}
    assert (mended["data"]["status"], mended["data"]["errorMessage"]) == ("connected", None)
    await ada.send("PATCH", f"{path}/{made}", {"status": "lost"}, status=400)
    await ada.send("PATCH", f"{path}/{made}", {}, status=400)
    await ada.send("DELETE", f"{path}/{made}")
    for method in ("GET", "DELETE"):
        gone = await ada.send(method, f"{path}/{made}", status=404)
        assert gone["error"] == "Resource connection not found"
    await ada.send("PATCH", f"{path}/{made}", {"status": "failed"}, status=404)


async def test_the_connections_of_a_deleted_function_go_in_both_directions(
    api: Running, ada: Citizen, project: str, place: str
) -> None:
    function_id, one = await keep_function(api.db, project, "one")
    _, two = await keep_function(api.db, project, "two")
    path = f"{place}/resource-connections"
    for body in (a_pair(one), a_pair(two, one, "function")):
        await ada.send("POST", path, body, status=201)
    kept = (await ada.send("POST", path, a_pair(two), status=201))["data"]["id"]

    assert await functions.delete_function(api.db, function_id) is not None

    assert [each["id"] for each in (await ada.get(path))["data"]] == [kept]


async def test_roles_say_who_may_connect_resources(
    api: Running, ada: Citizen, town: Town, project: str, place: str
) -> None:
    _, number = await keep_function(api.db, project, "thumbs")
    path = f"{place}/resource-connections"
    made = (await ada.send("POST", path, a_pair(number), status=201))["data"]["id"]
    viewer = await town.colleague(ada, "viewer")

    assert (await viewer.get(path))["count"] == 1
    await viewer.send("POST", path, a_pair(number, 9), status=403)
    await viewer.send("PATCH", f"{path}/{made}", {"status": "connected"}, status=403)
    await viewer.send("DELETE", f"{path}/{made}", status=403)
    stranger = await town.citizen("Eve")
    await stranger.get(path, 403)
