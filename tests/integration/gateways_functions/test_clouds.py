"""Functions of a project that is linked to AWS, through the same routes (contracts/gateways.md 4.1 and 4.2)."""

import base64
import io
import threading
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from services.api.operations import resources
from services.api.operations.create_function import Upload
from services.api.operations.delete_function import delete_function
from services.api.operations.place_function import PlacedFunction, place_function
from services.api.operations.places import enter_environment
from services.api.operations.update_function import FunctionPatch
from shared.database import functions
from shared.domain.errors import IllegalStateError, UnavailableError
from shared.domain.identity import Identity
from shared.domain.placement import CloudState
from shared.domain.workspace import Permission
from tests.integration.api_gateways.people import caller_of
from tests.integration.gateways_functions.shop import Shop
from tests.support.builders import unique, zipped
from tests.support.eventually import eventually
from tests.support.fake_aws import ACCOUNT, AwsError, FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

DENIED = AwsError(403, "AccessDeniedException", "not authorized to perform: lambda:UpdateFunctionCode")
ROLE_MISSING = AwsError(
    400, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
)


async def create(shop: Shop, **fields: Any) -> tuple[int, str]:
    """Make a function and wait until it is active without asking AWS for it; return its number and name there."""
    made = await shop.create(**fields)
    await until(shop, made["id"], "active")
    return made["id"], made["resourceId"]


async def until(shop: Shop, number: int, status: str) -> None:
    async def is_so() -> bool:
        found: str = (await shop.read(number))["status"]
        return found == status

    await eventually(is_so, within_s=30)


def files_at(aws: FakeAws, name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(aws.functions[name].package)) as archive:
        return {path: archive.read(path) for path in archive.namelist()}


async def test_a_function_is_made_in_the_account_and_becomes_active_by_itself(cloud_shop: Shop, aws: FakeAws) -> None:
    name = unique("made")
    variables = {"MODE": "live", "TOKEN": "locked-value"}
    made = await cloud_shop.create(
        name, architecture="arm64", environmentVariables=variables, environmentVariablesLocked=["TOKEN"]
    )

    assert (made["status"], made["resourceId"]) == ("creating", name)
    assert made["endpoint"] == aws.functions[name].url
    await until(cloud_shop, made["id"], "active")
    there = aws.functions[name]
    assert there.configuration["Environment"]["Variables"] == variables
    assert (there.configuration["Timeout"], there.configuration["MemorySize"]) == (30, 128)
    assert there.configuration["Architectures"] == ["arm64"]
    assert (there.configuration["Runtime"], there.configuration["Handler"]) == ("nodejs20.x", "index.handler")
    assert there.configuration["Role"] == f"arn:aws:iam::{ACCOUNT}:role/GatewaysAppLambdaExecutionRole"
    assert there.tags["gateways:resource-id"] == str(made["id"])
    told = [await cloud_shop.send("PUT", f"resources/{made['id']}/sync")]
    told += [await cloud_shop.get(path) for path in ("functions", "resources", f"functions/{made['id']}")]
    assert "locked-value" not in str([made, *told])


async def test_a_name_is_cleaned_for_the_account(cloud_shop: Shop, aws: FakeAws) -> None:
    made = await cloud_shop.create("my func!@" + "n" * 70)

    assert made["resourceId"] == "my-func-" + "n" * 56
    assert made["resourceId"] in aws.functions


async def test_every_runtime_of_the_catalogue_may_be_asked_for_and_has_its_starter(
    cloud_shop: Shop, aws: FakeAws
) -> None:
    for runtime, handler, file in (
        ("java21", "com.example.Handler::handleRequest", "Handler.java"),
        ("dotnet8", "MyFunction::MyFunction.Function::FunctionHandler", "Function.cs"),
        ("go1.x", "main", "main.go"),
        ("ruby3.2", "lambda_function.lambda_handler", "lambda_function.rb"),
        ("provided.al2023", "bootstrap", "index.js"),
    ):
        made = await cloud_shop.create(runtime=runtime, handler=handler)
        assert await cloud_shop.files(made["id"]) == [file]
        assert list(files_at(aws, made["resourceId"])) == [file]
    await cloud_shop.create(runtime="cobol1", status=400)
    await cloud_shop.create(region="local", status=400)


async def test_a_name_that_the_account_has_already_is_a_conflict(cloud_shop: Shop, aws: FakeAws) -> None:
    _, name = await create(cloud_shop)
    await cloud_shop.create(name, status=409)

    aws.fail("CreateFunction", AwsError(409, "ResourceConflictException", "Function already exist: other"))
    refusal = await cloud_shop.create(unique("other"), status=409)

    assert "exist" in refusal["message"]
    assert (await cloud_shop.get("functions"))["count"] == 1
    assert name in aws.functions


async def test_a_create_that_the_account_refuses_says_why_and_leaves_no_row(cloud_shop: Shop, aws: FakeAws) -> None:
    aws.fail("CreateFunction", AwsError(403, "AccessDeniedException", "not authorized to perform: iam:PassRole"))
    denied = await cloud_shop.create(status=403)
    assert denied["error"] == "Insufficient permissions"
    assert "iam:PassRole" in denied["details"]
    assert denied["suggestion"]

    missing = AwsError(400, "InvalidParameterValueException", "The runtime parameter is no longer supported")
    aws.fail("CreateFunction", missing)
    refused = await cloud_shop.create("again", status=500)
    assert refused["error"] == "Failed to create function"
    assert missing.message in refused["message"]

    assert (await cloud_shop.get("functions"))["data"] == []
    await cloud_shop.create("again")


async def test_a_role_that_cannot_be_assumed_is_named_with_its_trust(cloud_shop: Shop, aws: FakeAws) -> None:
    aws.fail("CreateFunction", *[ROLE_MISSING] * 8)

    refused = await cloud_shop.create(status=500)

    assert "GatewaysAppLambdaExecutionRole" in refused["message"]
    assert "lambda.amazonaws.com" in refused["message"]
    assert (await cloud_shop.get("functions"))["data"] == []


async def test_without_a_url_the_function_is_made_all_the_same(cloud_shop: Shop, aws: FakeAws) -> None:
    aws.fail("CreateFunctionUrlConfig", AwsError(403, "AccessDeniedException", "no URLs here"))

    assert (await cloud_shop.create())["endpoint"] is None


async def test_changes_reach_the_account_and_a_move_does_not(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    wanted = {"memorySize": 256, "timeout": 60, "ephemeralStorage": 1024, "description": "larger"}

    changed = (await cloud_shop.send("PUT", f"functions/{number}", {**wanted, "architecture": "arm64"}))["data"]

    assert {**wanted, "architecture": "arm64", "status": "active"}.items() <= changed.items()
    there = aws.functions[name].configuration
    assert (there["MemorySize"], there["Timeout"], there["Description"]) == (256, 60, "larger")
    assert there["EphemeralStorage"] == {"Size": 1024}
    assert there["Architectures"] == ["arm64"]
    code = [body for action, body in aws.requests if action == "UpdateFunctionCode"][-1]
    assert (code["Architectures"], base64.b64decode(code["ZipFile"])) == (["arm64"], aws.functions[name].package)
    updates = [aws.count("UpdateFunctionConfiguration"), aws.count("UpdateFunctionCode")]
    await cloud_shop.send("PUT", f"functions/{number}", {"positionX": 3})
    assert [aws.count("UpdateFunctionConfiguration"), aws.count("UpdateFunctionCode")] == updates


async def test_uploads_and_files_reach_the_account(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)

    await cloud_shop.upload(number, {"index.js": "1", "utils/h.js": "2", "logo.png": b"\x89PNG\0"})
    assert files_at(aws, name) == {"index.js": b"1", "utils/h.js": b"2"}

    files = f"functions/{number}/files"
    digests = [aws.functions[name].configuration["CodeSha256"]]
    for method, path, body, status in (
        ("POST", files, {"path": "new.js", "content": "3"}, 201),
        ("PUT", files, {"path": "new.js", "content": "4"}, 200),
        ("PATCH", f"{files}/rename", {"oldPath": "new.js", "newPath": "newer.js"}, 200),
        ("DELETE", f"{files}?path=utils/h.js", None, 200),
    ):
        await cloud_shop.send(method, path, body, status=status)
        digests.append(aws.functions[name].configuration["CodeSha256"])
    assert len(set(digests)) == len(digests)
    assert files_at(aws, name) == {"index.js": b"1", "newer.js": b"4"}


async def test_a_change_of_the_configuration_leaves_the_code_there_as_it_is(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    there = aws.functions[name]
    there.package, there.configuration["CodeSha256"] = b"compiled by hand", "Y29tcGlsZWQ="
    updates = aws.count("UpdateFunctionCode")

    await cloud_shop.send("PUT", f"functions/{number}", {"memorySize": 256})
    assert (there.package, there.configuration["MemorySize"]) == (b"compiled by hand", 256)
    assert aws.count("UpdateFunctionCode") == updates

    starter = await cloud_shop.deployed(number)
    await cloud_shop.upload(number, dict(starter))
    assert files_at(aws, name) == starter


async def test_a_refused_change_leaves_the_old_files_and_the_old_configuration(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    before, there = await cloud_shop.read(number), files_at(aws, name)

    aws.fail("UpdateFunctionCode", AwsError(400, "InvalidParameterValueException", "Unzipped size must be smaller"))
    refused = await cloud_shop.upload(number, {"index.js": "new"}, status=500)
    assert refused["error"] == "Failed to update function"
    assert "Unzipped size" in refused["message"]

    aws.fail("UpdateFunctionCode", DENIED)
    body = {"path": "x.js", "content": ""}
    await cloud_shop.send("POST", f"functions/{number}/files", body, status=403)
    aws.fail("UpdateFunctionConfiguration", AwsError(400, "InvalidParameterValueException", "no such memory"))
    await cloud_shop.send("PUT", f"functions/{number}", {"memorySize": 512}, status=500)

    assert await cloud_shop.read(number) == before
    assert await cloud_shop.files(number) == ["index.js"]
    assert files_at(aws, name) == there


async def test_what_aws_cannot_do_now_is_told_with_what_to_do_and_changes_nothing(
    cloud_shop: Shop, aws: FakeAws
) -> None:
    number, name = await create(cloud_shop)
    before, there = await cloud_shop.read(number), files_at(aws, name)
    throttled = [AwsError(429, "TooManyRequestsException", "Rate exceeded")] * 9
    for action in ("UpdateFunctionCode", "UpdateFunctionConfiguration", "DeleteFunction"):
        aws.fail(action, *throttled)

    refused = [
        await cloud_shop.upload(number, {"index.js": "new"}, status=500),
        await cloud_shop.send("PUT", f"functions/{number}", {"memorySize": 512}, status=500),
        await cloud_shop.send("DELETE", f"resources/{number}", status=500),
    ]
    aws.fails.clear()
    aws.fail("GetFunction", *[AwsError(503, "ServiceUnavailableException", "down")] * 9)
    refused.append(await cloud_shop.send("PUT", f"resources/{number}/sync", status=500))
    aws.fails.clear()

    assert [each["error"].rpartition(" to ")[2] for each in refused] == [
        "update function",
        "update function",
        "delete function",
        "sync function",
    ]
    assert all(each["suggestion"] and each["message"] for each in refused)
    await until(cloud_shop, number, "active")
    after = await cloud_shop.read(number)
    assert {**after, "updatedAt": None} == {**before, "updatedAt": None}
    assert files_at(aws, name) == there


async def test_a_sync_takes_over_what_was_changed_behind_our_back(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    aws.functions[name].configuration["MemorySize"] = 1024

    synced = (await cloud_shop.send("PUT", f"resources/{number}/sync"))["data"]

    assert (synced["memorySize"], synced["awsData"]["memorySize"]) == (1024, 1024)
    assert (synced["status"], synced["awsData"]["state"]) == ("Active", "Active")
    assert synced["functionArn"].endswith(f":function:{name}")
    assert synced["awsData"]["lastModified"] == "2026-03-01T09:00:00.000Z"
    assert (await cloud_shop.get("functions"))["data"][0]["memorySize"] == 1024


async def test_a_function_deleted_behind_our_back_is_failed_after_a_sync(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    del aws.functions[name]

    answer = await cloud_shop.send("PUT", f"resources/{number}/sync", status=404)

    assert answer == {
        "error": "Function not found in AWS",
        "message": f'Function "{name}" was not found in AWS. It may have been deleted.',
        "data": {"id": number, "resourceId": name, "status": "Failed", "synced": True},
    }
    assert (await cloud_shop.get("functions"))["data"][0]["status"] == "failed"
    await cloud_shop.send("POST", f"functions/{number}/invoke", status=400)
    await cloud_shop.send("DELETE", f"resources/{number}")


async def test_a_sync_needs_a_connection_that_is_active(cloud_shop: Shop) -> None:
    number, _ = await create(cloud_shop)
    await cloud_shop.db.execute(
        """
        UPDATE cloud_connections SET status = 'failed'
        WHERE id = (SELECT connection_id FROM placements p JOIN functions f ON f.id = p.function_id WHERE number = $1)
        """,
        number,
    )

    assert (await cloud_shop.send("PUT", f"resources/{number}/sync", status=400))["error"] == (
        "Cloud connection not active"
    )
    assert (await cloud_shop.create(status=400))["error"] == "Cloud connection not active"


async def test_a_delete_is_denied_or_done(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)

    aws.fail("DeleteFunction", AwsError(403, "AccessDeniedException", "not authorized to perform: DeleteFunction"))
    assert (await cloud_shop.send("DELETE", f"resources/{number}", status=403))["suggestion"]
    assert (await cloud_shop.read(number))["status"] == "active"
    linked = {"sourceResourceType": "function", "sourceResourceId": number}
    linked |= {"targetResourceType": "database", "targetResourceId": 8}
    await cloud_shop.send("POST", "resource-connections", linked, status=201)

    await cloud_shop.send("DELETE", f"resources/{number}")
    assert name not in aws.functions
    for path in (f"functions/{number}", f"resources/{number}", f"functions/{number}/files"):
        await cloud_shop.get(path, 404)
    assert (await cloud_shop.get("resource-connections"))["data"] == []
    await cloud_shop.send("DELETE", f"resources/{number}", status=404)
    await cloud_shop.create(name)


async def test_a_delete_by_another_dialect_reaches_the_account_too(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    function_id = await cloud_shop.db.fetchval("SELECT id FROM functions WHERE number = $1", number)
    function = await functions.find_function(cloud_shop.db, function_id)
    assert function is not None
    caller = Identity(
        account_id=function.account_id,
        environment_id=function.environment_id,
        permissions=frozenset({"admin"}),
        key_id="key_0000000000",
    )

    await delete_function(cloud_shop.api.api.platform, caller, function)

    assert name not in aws.functions
    await cloud_shop.get(f"functions/{number}", 404)


async def test_a_change_that_takes_long_is_answered_as_updating_and_goes_on(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    platform = cloud_shop.api.api.platform
    hasty = replace(platform, limits=replace(platform.limits, deployment_s=0.5, change_wait_s=0.2))
    caller = await caller_of(cloud_shop.api, cloud_shop.owner)
    project = cloud_shop.place.split("/")[2]
    place = await enter_environment(hasty, caller, project, "master", Permission.UPDATE_RESOURCES)
    resource = await resources.find_resource(hasty, place, number)
    aws.held["UpdateFunctionCode"] = goes_on = threading.Event()
    try:
        changed = await resources.change_resource(hasty, place, resource, uploaded("new"))
        assert changed.status == CloudState.UPDATING
        with pytest.raises(IllegalStateError):
            await resources.change_resource(hasty, place, resource, uploaded("newer"))
    finally:
        goes_on.set()
        aws.held.clear()

    await until(cloud_shop, number, "active")
    assert files_at(aws, name) == {"index.js": b"new"}


async def test_a_create_that_takes_long_is_told_to_go_on_and_is_there_when_it_is_done(
    cloud_shop: Shop, aws: FakeAws
) -> None:
    platform = cloud_shop.api.api.platform
    hasty = replace(platform, limits=replace(platform.limits, deployment_s=0.5))
    caller = await caller_of(cloud_shop.api, cloud_shop.owner)
    project = cloud_shop.place.split("/")[2]
    place = await enter_environment(hasty, caller, project, "master", Permission.CREATE_RESOURCES)
    wanted = PlacedFunction(name=unique("slow"), runtime="python3.12", handler="a.b", region="eu-west-1")
    aws.held["CreateFunction"] = goes_on = threading.Event()
    try:
        with pytest.raises(UnavailableError, match="goes on"):
            await place_function(hasty, place, wanted)
    finally:
        goes_on.set()
        aws.held.clear()

    async def is_there() -> bool:
        return any(each["name"] == wanted.name for each in (await cloud_shop.get("functions"))["data"])

    await eventually(is_there, within_s=20)


def uploaded(code: str) -> FunctionPatch:
    return FunctionPatch(upload=Upload(kind="text", content=zipped({"index.js": code})))
