"""Making, reading, listing and changing functions (contracts/gateways.md sections 3.1 to 3.4; checks 11 to 31)."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from shared.database import functions
from tests.integration.gateways_functions.shop import NODE, SEED, Shop
from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "hunter2-never-shown"


async def test_the_documented_fields_make_a_function_that_is_soon_active(shop: Shop) -> None:
    body = {**SEED, "region": "eu-west-1", "positionX": 40, "positionY": 60}
    answer = await shop.send("POST", "functions", body, status=201)

    assert answer["message"] == "Function created successfully"
    made = answer["data"]
    assert {
        "resourceId": "thumbs",
        "name": "thumbs",
        "runtime": "python3.12",
        "architecture": "arm64",
        "handler": "lambda_function.lambda_handler",
        "region": "eu-west-1",
        "status": "creating",
        "description": None,
        "positionX": 40,
        "positionY": 60,
        "userId": shop.owner.id,
    }.items() <= made.items()
    assert (type(made["positionX"]), type(made["positionY"])) == (int, int)
    assert made["endpoint"].startswith("http://")
    assert datetime.fromisoformat(made["createdAt"]).tzinfo is not None

    shown = await shop.read(made["id"])
    assert shown["status"] == "active"
    assert "def lambda_handler(event, context)" in shown["code"]
    assert {name: made[name] for name in made if name not in ("status", "updatedAt")}.items() <= shown.items()
    assert (shown["timeout"], shown["memorySize"], shown["ephemeralStorage"]) == (30, 128, 512)


async def test_the_list_has_every_function_without_its_code_or_variables(shop: Shop) -> None:
    one, other = await shop.create(), await shop.create(environmentVariables={"MODE": "live"})

    answer = await shop.get("functions")

    assert answer["message"] == "Functions retrieved successfully"
    assert [each["id"] for each in answer["data"]] == [other["id"], one["id"]]
    assert answer["data"][0]["status"] == "active"
    assert not {"code", "userId", "projectId", "environmentId", "resourceId"} & answer["data"][0].keys()


WRONG_NEW: list[dict[str, Any]] = [
    {"name": None},
    {"name": "  "},
    {"name": 7},
    {"name": "***"},
    {"name": "a\0b"},
    {"name": "n" * 256},
    {"runtime": None},
    {"runtime": "cobol1"},
    {"runtime": "java21"},
    {"runtime": "node18"},
    {"handler": None},
    {"handler": "no-dot"},
    {"handler": "../x.handler"},
    {"handler": "with space.handler"},
    {"region": None},
    {"region": "moon-1"},
    {"architecture": "mips"},
    {"architecture": None},
    {"description": "d" * 257},
    {"environmentVariables": {"1": "a"}},
    {"environmentVariables": {"AWS_REGION": "a"}},
    {"environmentVariables": {"A": 1}},
    {"environmentVariables": {"A": "x" * 4096}},
    {"environmentVariables": [1]},
    {"environmentVariablesLocked": "A"},
    {"environmentVariablesLocked": [1]},
    {"positionX": "1"},
    {"positionY": True},
]
"""What no new function may have; None leaves the field out, but for the architecture."""
ONLY_HERE: list[dict[str, Any]] = [{"runtime": "java21"}]
"""What a cloud takes."""


async def test_a_wrong_field_makes_nothing(shop: Shop) -> None:
    for wrong in WRONG_NEW:
        body = {name: value for name, value in {**NODE, "name": "fn", **wrong}.items() if value is not None}
        body |= {name: value for name, value in wrong.items() if name == "architecture"}
        answer = await shop.owner.http.post(f"{shop.place}/functions", json=body)

        assert answer.status_code == 400, (wrong, answer.text)
        assert answer.json()["error"]

    assert (await shop.get("functions"))["data"] == []


async def test_a_wrong_field_asks_nothing_of_the_cloud(cloud_shop: Shop, aws: FakeAws) -> None:
    asked = len(aws.calls)

    for wrong in WRONG_NEW:
        if wrong not in ONLY_HERE:
            body = {name: value for name, value in {**NODE, "name": "fn", **wrong}.items() if value is not None}
            body |= {name: value for name, value in wrong.items() if name == "architecture"}
            await cloud_shop.send("POST", "functions", body, status=400)

    assert (await cloud_shop.get("functions"))["data"] == []
    assert "CreateFunction" not in aws.calls[asked:]


async def test_the_architecture_is_x86_64_when_it_is_not_given_and_inactive_runtimes_are_taken(shop: Shop) -> None:
    made = await shop.create(runtime="python3.9", handler="app.main")

    assert made["architecture"] == "x86_64"


async def test_a_name_is_cleaned_for_the_cloud_and_kept_as_a_label(shop: Shop) -> None:
    made = await shop.create("  my func!@2 ")
    assert (made["name"], made["resourceId"]) == ("my func!@2", "my-func-2")

    assert len((await shop.create("n" * 70))["resourceId"]) == 64


async def test_a_taken_name_is_a_conflict_and_the_first_is_unharmed(shop: Shop) -> None:
    first = await shop.create("my func")

    for again in ("my func", "my-func"):
        refusal = await shop.create(again, status=409)
        assert "already exists" in refusal["message"]

    assert (await shop.read(first["id"]))["status"] == "active"
    assert len((await shop.get("functions"))["data"]) == 1


async def test_code_in_the_body_is_ignored(shop: Shop) -> None:
    made = await shop.create(code="exports.mine = 1;" * 20_000, handler="api.run")

    assert await shop.files(made["id"]) == ["api.js"]
    assert "exports.mine" not in (await shop.read(made["id"]))["code"]


async def test_a_function_begins_with_the_starter_of_its_runtime(shop: Shop) -> None:
    for runtime, handler, file, warns in (
        ("nodejs20.x", "api.run", "api.js", False),
        ("python3.12", "pkg/app.main", "pkg/app.py", False),
        ("provided.al2023", "anything", "index.js", True),
    ):
        body = {**NODE, "name": runtime, "runtime": runtime, "handler": handler}
        answer = await shop.send("POST", "functions", body, status=201)

        number = answer["data"]["id"]
        assert await shop.files(number) == [file]
        assert ("warning" in answer) == warns
        assert handler.rpartition(".")[2] in (await shop.read(number))["code"] or warns


async def test_a_project_without_a_cloud_makes_nothing(shop: Shop) -> None:
    project = await shop.owner.project("Bare")

    refusal = await shop.owner.send("POST", f"/api/{project}/master/functions", {**NODE, "name": "fn"}, status=400)

    assert refusal["error"] == "No cloud connection"
    assert (await shop.owner.get(f"/api/{project}/master/functions"))["data"] == []


async def test_a_locked_value_is_shown_nowhere_and_is_what_the_function_gets(shop: Shop) -> None:
    variables = {"MODE": "live", "TOKEN": SECRET}
    made = await shop.create(environmentVariables=variables, environmentVariablesLocked=["TOKEN"])
    number = made["id"]
    assert made["environmentVariables"] == {"MODE": "live", "TOKEN": "********"}
    changed = {"MODE": "test", "TOKEN": "********", "NEW": "1"}

    updated = (await shop.send("PUT", f"functions/{number}", {"environmentVariables": changed}))["data"]

    assert updated["environmentVariables"] == changed
    assert updated["environmentVariablesLocked"] == ["TOKEN"]
    told = [made, updated, await shop.send("PUT", f"resources/{number}/sync")]
    told += [await shop.get(path) for path in (f"functions/{number}", "functions", "resources", f"resources/{number}")]
    told += [await shop.send("PATCH", f"resources/{number}", {"name": "other"})]
    told += [await shop.owner.get("/api/activities")]
    assert SECRET not in str(told)
    assert await variables_of(shop, number) == {"MODE": "test", "TOKEN": SECRET, "NEW": "1"}

    await shop.send("PUT", f"functions/{number}", {"environmentVariables": {"TOKEN": "other"}})
    assert await variables_of(shop, number) == {"TOKEN": "other"}


async def variables_of(shop: Shop, number: int) -> dict[str, str]:
    """Return the variables as they are for who runs the function."""
    function_id = await shop.db.fetchval("SELECT id FROM functions WHERE number = $1", number)
    function = await functions.find_function(shop.db, function_id)
    assert function is not None
    return dict(function.version.spec.environment)


async def test_an_id_that_is_none_is_400_and_one_that_is_elsewhere_404(shop: Shop) -> None:
    number = (await shop.create())["id"]
    await shop.owner.send("POST", f"/api/projects/{shop.place.split('/')[2]}/environments", {"name": "dev"}, status=201)
    other = shop.place.replace("/master", "/dev")
    project = await shop.owner.project("Elsewhere")

    assert (await shop.get("functions/abc", 400))["error"] == "Invalid function ID"
    assert (await shop.get("functions/999999", 404))["error"] == "Function not found"
    assert (await shop.get(f"functions/{10**30}", 404))["error"] == "Function not found"
    for place in (other, f"/api/{project}/master"):
        assert (await shop.owner.get(f"{place}/functions/{number}", 404))["error"] == "Function not found"
        assert (await shop.owner.get(f"{place}/resources/{number}", 404))["error"] == "Function not found"
        for method, path in (("PUT", f"functions/{number}"), ("DELETE", f"resources/{number}")):
            await shop.owner.send(method, f"{place}/{path}", {"timeout": 5}, status=404)


async def test_limits_are_changed_and_shown(shop: Shop) -> None:
    number = (await shop.create())["id"]
    wanted = {"memorySize": 256, "timeout": 60, "ephemeralStorage": 1024, "description": "now larger"}

    answer = await shop.send("PUT", f"functions/{number}", wanted)

    assert answer["message"] == "Function updated successfully"
    assert wanted.items() <= answer["data"].items()
    assert wanted.items() <= (await shop.read(number)).items()


WRONG_CHANGES: list[dict[str, Any]] = [
    {},
    {"name": "other"},
    {"code": "x"},
    {"memorySize": 64},
    {"memorySize": 10_241},
    {"memorySize": "256"},
    {"memorySize": None},
    {"timeout": 0},
    {"timeout": 901},
    {"timeout": 1.5},
    {"ephemeralStorage": 511},
    {"handler": "nodot"},
    {"handler": None},
    {"architecture": "mips"},
    {"positionX": "left"},
    {"environmentVariables": {"A": "x" * 5000}},
    {"timeout": 60, "memorySize": 1},
]


async def test_a_wrong_change_changes_nothing(shop: Shop) -> None:
    number = (await shop.create())["id"]
    before = await shop.read(number)

    for wrong in WRONG_CHANGES:
        answer = await shop.owner.http.put(f"{shop.place}/functions/{number}", json=wrong)
        assert answer.status_code == 400, (wrong, answer.text)

    assert await shop.read(number) == before


async def test_the_handler_and_the_architecture_change_and_no_file_is_made(shop: Shop) -> None:
    number = (await shop.create())["id"]

    await shop.send("PUT", f"functions/{number}", {"handler": "lib/other.run", "architecture": "arm64"})

    shown = await shop.read(number)
    assert (shown["handler"], shown["architecture"], shown["code"]) == ("lib/other.run", "arm64", None)
    assert await shop.files(number) == ["index.js"]


async def test_moving_on_the_canvas_deploys_nothing(shop: Shop) -> None:
    number = (await shop.create())["id"]
    deployments = await shop.db.fetchval("SELECT count(*) FROM deployments")

    moved = (await shop.send("PUT", f"functions/{number}", {"positionX": 7.5}))["data"]

    assert (moved["positionX"], moved["positionY"]) == (7.5, None)
    assert (await shop.get(f"resources/{number}"))["data"]["position"] == {"x": 7.5, "y": None}
    assert await shop.db.fetchval("SELECT count(*) FROM deployments") == deployments


async def test_changes_at_the_same_time_all_come_into_force(shop: Shop) -> None:
    number = (await shop.create())["id"]

    await asyncio.gather(
        shop.send("PUT", f"functions/{number}", {"timeout": 60}),
        shop.send("PUT", f"functions/{number}", {"memorySize": 512}),
        shop.upload(number, {"index.js": "exports.handler = 1"}),
    )

    shown = await shop.read(number)
    assert (shown["timeout"], shown["memorySize"], shown["code"]) == (60, 512, "exports.handler = 1")


async def test_what_a_role_does_not_allow_is_refused(shop: Shop) -> None:
    number = (await shop.create())["id"]
    viewer = await shop.town.colleague(shop.owner, "viewer")
    place = shop.place

    await viewer.get(f"{place}/functions")
    await viewer.get(f"{place}/functions/{number}/files")
    await viewer.send("POST", f"{place}/functions", {**NODE, "name": "no"}, status=403)
    for method, path in (
        ("PUT", f"functions/{number}"),
        ("POST", f"functions/{number}/upload"),
        ("POST", f"functions/{number}/invoke"),
        ("POST", f"functions/{number}/files"),
        ("PATCH", f"resources/{number}"),
        ("PATCH", f"resources/{number}/position"),
        ("PUT", f"resources/{number}/sync"),
        ("DELETE", f"resources/{number}"),
    ):
        await viewer.send(method, f"{place}/{path}", {}, status=403)
    stranger = await shop.town.citizen()
    await stranger.get(f"{place}/functions", 403)


async def test_without_a_credential_nothing_is_told(shop: Shop) -> None:
    nobody = await shop.town.client()

    for method, path in (("GET", "functions"), ("POST", "functions"), ("GET", "resources"), ("GET", "functions/1")):
        answer = await nobody.request(method, f"{shop.place}/{path}")
        assert answer.status_code == 401
        assert {"error", "message"} <= answer.json().keys()
