"""How a function is shown while its cloud makes, changes and rests it (contracts/gateways.md section 4.1)."""

import pytest

from tests.integration.gateways_functions.shop import Shop
from tests.integration.gateways_functions.test_clouds import create, until
from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_create_that_fails_after_it_was_accepted_is_failed_and_may_be_deleted(
    cloud_shop: Shop, aws: FakeAws
) -> None:
    aws.becomes["create"] = {"State": "Failed", "StateReason": "no address left in the subnet"}
    made = await cloud_shop.create()

    await until(cloud_shop, made["id"], "failed")

    shown = (await cloud_shop.get("resources?status=failed&state=failed"))["data"][0]
    assert (shown["id"], shown["metadata"]["stateReason"]) == (made["id"], "no address left in the subnet")
    await cloud_shop.send("POST", f"functions/{made['id']}/invoke", status=400)
    await cloud_shop.send("DELETE", f"resources/{made['id']}")
    assert made["resourceId"] not in aws.functions


async def test_a_change_that_the_cloud_takes_and_fails_is_failed_until_one_succeeds(
    cloud_shop: Shop, aws: FakeAws
) -> None:
    number, _ = await create(cloud_shop)
    aws.becomes["code"] = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "the package is damaged"}

    refused = await cloud_shop.upload(number, {"index.js": "new", "a.js": ""}, status=500)

    assert "the package is damaged" in refused["message"]
    assert (await cloud_shop.read(number))["status"] == "failed"
    assert await cloud_shop.files(number) == ["index.js"]
    aws.becomes.clear()
    await cloud_shop.upload(number, {"index.js": "newer"})
    shown = await cloud_shop.read(number)
    assert (shown["status"], shown["code"]) == ("active", "newer")


async def test_a_function_that_rests_is_inactive_and_may_be_called(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop)
    aws.functions[name].configuration["State"] = "Inactive"
    aws.functions[name].ends_as = {}

    synced = (await cloud_shop.send("PUT", f"resources/{number}/sync"))["data"]

    assert (synced["status"], synced["awsData"]["state"]) == ("Inactive", "Inactive")
    assert [each["status"] for each in (await cloud_shop.get("functions"))["data"]] == ["inactive"]
    assert not (await cloud_shop.send("POST", f"functions/{number}/invoke"))["data"]["hasError"]


async def test_a_sync_takes_over_variables_tags_url_and_code_configuration(cloud_shop: Shop, aws: FakeAws) -> None:
    variables = {"MODE": "live", "TOKEN": "locked-value"}
    number, name = await create(
        cloud_shop, environmentVariables=variables, environmentVariablesLocked=["TOKEN"], description="ours"
    )
    there = aws.functions[name]
    there.configuration |= {
        "Environment": {"Variables": {"MODE": "test", "TOKEN": "locked-anew", "NEW": "1"}},
        "Handler": "other.run",
        "Timeout": 7,
        "Description": "by hand",
        "EphemeralStorage": {"Size": 2048},
    }
    there.tags["team"] = "pictures"
    there.url = None

    synced = await cloud_shop.send("PUT", f"resources/{number}/sync")

    shown = await cloud_shop.read(number)
    assert shown["environmentVariables"] == {"MODE": "test", "TOKEN": "********", "NEW": "1"}
    assert (shown["handler"], shown["timeout"], shown["ephemeralStorage"]) == ("other.run", 7, 2048)
    assert (shown["description"], shown["endpoint"]) == ("by hand", None)
    assert "locked-" not in str([synced, shown])
    labels = await cloud_shop.db.fetchval(
        "SELECT facts -> 'labels' FROM placements p JOIN functions f ON f.id = p.function_id WHERE f.number = $1",
        number,
    )
    assert labels["team"] == "pictures"


async def test_what_is_asked_for_is_brought_to_the_cloud_also_if_it_is_so_here(cloud_shop: Shop, aws: FakeAws) -> None:
    number, name = await create(cloud_shop, description="ours")
    there = aws.functions[name].configuration
    there |= {"MemorySize": 1024, "Description": "by hand"}

    await cloud_shop.send("PUT", f"functions/{number}", {"memorySize": 128})
    assert there["MemorySize"] == 128
    there["Description"] = "by hand"
    await cloud_shop.send("PUT", f"functions/{number}", {"description": "ours"})
    assert there["Description"] == "ours"

    del aws.functions[name]
    await cloud_shop.send("PUT", f"resources/{number}/sync", status=404)
    await cloud_shop.send("PUT", f"functions/{number}", {"timeout": 30})
    await until(cloud_shop, number, "active")
    assert aws.functions[name].configuration["Timeout"] == 30
