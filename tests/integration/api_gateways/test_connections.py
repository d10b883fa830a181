"""Ways into clouds (contracts/gateways.md section 3.11; checks 9, 10, 15 and 52). AWS is a fake."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from shared.database import cloud_connections
from tests.integration.api.harness import Running, running
from tests.integration.api_gateways.people import Citizen, Town
from tests.integration.api_gateways.places import keep_function
from tests.support.backends import DatabaseServer
from tests.support.fake_aws import ACCOUNT, ROLE, FakeAws, fake_aws

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEMPLATE = "https://bucket.s3.amazonaws.com/customer-connector.yaml"


@pytest.fixture(scope="module")
def module_aws() -> Iterator[FakeAws]:
    with pytest.MonkeyPatch.context() as patch, fake_aws() as started:
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            patch.setenv(f"AWS_{name}", "test")
        yield started


@pytest.fixture
def aws(module_aws: FakeAws) -> FakeAws:
    """An AWS that nobody has asked for anything yet."""
    module_aws.reset()
    return module_aws


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cloud_api(database_server: DatabaseServer, module_aws: FakeAws) -> AsyncIterator[Running]:
    """An api whose AWS is the fake."""
    settings = {
        "TIDEMILL_AWS_ENDPOINT_URL": module_aws.url,
        "TIDEMILL_AWS_ROLE_WAIT_S": "0",
        "TIDEMILL_AWS_ACCOUNT_ID": "999900001111",
        "TIDEMILL_AWS_CONNECTOR_TEMPLATE_URL": TEMPLATE,
    }
    url = database_server.create()
    async with running(url, **settings) as started:
        yield started
    database_server.drop(url)


@pytest_asyncio.fixture(loop_scope="session")
async def town(cloud_api: Running) -> AsyncIterator[Town]:
    """Those who live on it."""
    async with Town(cloud_api) as made:
        yield made


async def begun(ada: Citizen, aws: FakeAws, **body: str) -> tuple[str, dict[str, Any]]:
    """Begin a connection that the fake's role will let in; return where connections are, and what was told."""
    connections = f"/api/cloud-connections/{await ada.workspace()}"
    data = (await ada.send("POST", f"{connections}/connect-aws", body or None, status=201))["data"]
    aws.external_id = data["externalId"]
    return connections, data


async def completed(ada: Citizen, aws: FakeAws, name: str = "Prod") -> tuple[str, int]:
    connections, data = await begun(ada, aws)
    body = {"accountId": ACCOUNT, "accountName": name}
    await ada.send("POST", f"{connections}/{data['connectionId']}/complete", body)
    return connections, data["connectionId"]


async def test_what_the_stack_of_a_new_connection_needs_is_told(ada: Citizen, aws: FakeAws) -> None:
    connections, data = await begun(ada, aws, region="eu-west-1")

    assert (data["status"], data["region"]) == ("pending", "eu-west-1")
    assert data["stackName"].startswith("DeploCloudConnection-")
    assert len(data["externalId"]) >= 32
    page, _, filled = data["connectionUrl"].partition("?region=eu-west-1#/stacks/create/review?")
    assert page == "https://eu-west-1.console.aws.amazon.com/cloudformation/home"
    assert {name: values[0] for name, values in parse_qs(filled).items()} == {
        "templateURL": TEMPLATE,
        "stackName": data["stackName"],
        "param_ExternalId": data["externalId"],
        "param_TrustedAccountId": "999900001111",
    }
    [pending] = (await ada.get(f"{connections}?status=pending"))["data"]
    assert (pending["id"], pending["connectionStatus"]) == (data["connectionId"], "pending")
    assert data["externalId"] not in str(pending)


async def test_every_connection_has_an_external_id_of_its_own(ada: Citizen, aws: FakeAws) -> None:
    _, one = await begun(ada, aws)
    _, other = await begun(ada, aws)

    assert one["externalId"] != other["externalId"]
    assert one["region"] == "us-east-1"


async def test_completing_a_connection_enters_the_account(ada: Citizen, aws: FakeAws) -> None:
    connections, begun_data = await begun(ada, aws)
    number = begun_data["connectionId"]

    shown = await ada.send("POST", f"{connections}/{number}/complete", {"accountId": ACCOUNT, "accountName": " Prod "})

    assert shown["message"] == "Cloud connection completed successfully"
    data = shown["data"]
    assert data["cloudProvider"] == {"id": 1, "name": "aws", "displayName": "Amazon Web Services"}
    assert (data["accountId"], data["accountName"], data["roleArn"]) == (ACCOUNT, "Prod", ROLE)
    assert (data["connectionStatus"], data["errorMessage"]) == ("connected", None)
    assert data["connectedAt"] is not None
    [(_, asked)] = [request for request in aws.requests if request[0] == "AssumeRole"]
    assert (asked["ExternalId"], asked["RoleArn"]) == (begun_data["externalId"], ROLE)
    again = await ada.send(
        "POST", f"{connections}/{number}/complete", {"accountId": ACCOUNT, "accountName": "Other"}, status=409
    )
    assert again["error"] == "Conflict"


@pytest.mark.parametrize(
    "body",
    [
        {"accountId": "11112222333", "accountName": "Prod"},
        {"accountId": 111122223333, "accountName": "Prod"},
        {"accountId": "11112222333x", "accountName": "Prod"},
        {"accountId": ACCOUNT},
        {"accountId": ACCOUNT, "accountName": " "},
        {},
    ],
)
async def test_a_connection_needs_an_account_and_a_name(ada: Citizen, aws: FakeAws, body: dict[str, Any]) -> None:
    connections, data = await begun(ada, aws)

    await ada.send("POST", f"{connections}/{data['connectionId']}/complete", body, status=400)

    assert aws.count("AssumeRole") == 0
    assert (await ada.get(f"{connections}?status=pending"))["count"] == 1


async def test_an_account_that_does_not_let_us_in_is_a_failed_connection_that_may_be_tried_again(
    ada: Citizen, aws: FakeAws
) -> None:
    connections, data = await begun(ada, aws)
    path = f"{connections}/{data['connectionId']}/complete"
    body = {"accountId": ACCOUNT, "accountName": "Prod"}
    aws.external_id = "another"

    refused = await ada.send("POST", path, body, status=400)

    assert refused["error"] == "Cloud connection failed"
    assert "sts:AssumeRole" in refused["details"]
    assert "customer-connector.yaml" in refused["suggestion"]
    listing = await ada.get(f"{connections}?status=failed")
    [failed] = listing["data"]
    assert (failed["id"], failed["connectionStatus"]) == (data["connectionId"], "failed")
    assert "sts:AssumeRole" in failed["errorMessage"]
    assert data["externalId"] not in str(refused) + str(listing)
    aws.external_id = data["externalId"]
    assert (await ada.send("POST", path, body))["data"]["connectionStatus"] == "connected"


async def test_of_two_who_complete_a_connection_at_once_one_does(ada: Citizen, aws: FakeAws) -> None:
    connections, data = await begun(ada, aws)
    path = f"{connections}/{data['connectionId']}/complete"

    answers = await asyncio.gather(
        *(ada.http.post(path, json={"accountId": ACCOUNT, "accountName": name}) for name in ("One", "Two"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [winner] = [answer.json()["data"]["accountName"] for answer in answers if answer.status_code == 200]
    assert [each["accountName"] for each in (await ada.get(connections))["data"]] == [winner]


async def test_an_account_that_lets_one_workspace_in_lets_no_other_in(ada: Citizen, town: Town, aws: FakeAws) -> None:
    await completed(ada, aws)
    trusted, eve = aws.external_id, await town.citizen("Eve")
    connections, hers = await begun(eve, aws)
    aws.external_id = trusted
    path = f"{connections}/{hers['connectionId']}/complete"

    body = {"accountId": ACCOUNT, "accountName": "Mine", "externalId": trusted, "roleArn": ROLE}
    refused = await eve.send("POST", path, body, status=400)

    assert refused["error"] == "Cloud connection failed"
    assert (await eve.get(connections))["data"] == []
    assert aws.requests[-1][1]["ExternalId"] == hers["externalId"]
    project = await eve.project()
    await eve.send("PATCH", f"/api/projects/{project}/connect-cloud/{hers['connectionId']}", status=400)


async def test_a_role_of_another_account_is_not_connected(ada: Citizen, aws: FakeAws) -> None:
    connections, data = await begun(ada, aws)
    aws.account = "999999999999"

    body = {"accountId": ACCOUNT, "accountName": "Prod"}
    refused = await ada.send("POST", f"{connections}/{data['connectionId']}/complete", body, status=400)

    assert "999999999999" in refused["message"]
    assert (await ada.get(f"{connections}?status=failed"))["count"] == 1


async def test_the_list_shows_what_is_connected_unless_asked_otherwise(ada: Citizen, aws: FakeAws) -> None:
    await ada.project()
    connections, number = await completed(ada, aws)
    await begun(ada, aws)

    shown = await ada.get(connections)

    assert [(each["cloudProvider"]["name"], each["connectionStatus"]) for each in shown["data"]] == [
        ("local", "connected"),
        ("aws", "connected"),
    ]
    everything = await ada.get(f"{connections}?status=all&provider=aws")
    assert everything["count"] == 2
    assert everything["summary"] == {
        "total": 2,
        "byStatus": {"pending": 1, "connected": 1, "failed": 0, "disconnected": 0},
    }
    assert (await ada.get(f"{connections}?provider_id=1"))["data"][0]["id"] == number
    await ada.get(f"{connections}?status=lost", 400)
    await ada.get(f"{connections}?provider=moon", 400)


async def test_names_are_unique_in_a_workspace(ada: Citizen, aws: FakeAws) -> None:
    connections, number = await completed(ada, aws, "Prod")
    _, other = await begun(ada, aws)

    body = {"accountId": ACCOUNT, "accountName": "Prod"}
    await ada.send("POST", f"{connections}/{other['connectionId']}/complete", body, status=409)
    await ada.send("POST", f"{connections}/{other['connectionId']}/complete", {**body, "accountName": "Test"})
    await ada.send("PATCH", f"{connections}/{number}", {"accountName": "Test"}, status=409)
    renamed = await ada.send("PATCH", f"{connections}/{number}", {"accountName": "Live"})

    assert renamed["data"]["accountName"] == "Live"
    assert (await ada.send("PATCH", f"{connections}/{number}", {}))["data"]["accountName"] == "Live"


async def test_the_first_project_is_on_this_installation_and_no_other_is_connected(ada: Citizen) -> None:
    first, second = await ada.project("Shop"), await ada.project("Side")

    home = (await ada.get(f"/api/projects/{first}"))["data"]["connectedCloud"]

    assert (home["cloudType"], home["accountName"], home["roleArn"]) == ("LOCAL", "local", None)
    other = (await ada.get(f"/api/projects/{second}"))["data"]
    assert (other["connectedCloudId"], other["connectedCloud"]) == (None, None)


async def test_a_project_is_linked_and_unlinked(ada: Citizen, aws: FakeAws) -> None:
    connections, number = await completed(ada, aws)
    project = await ada.project()

    linked = await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/{number}")

    assert linked["data"]["connectedCloudId"] == number
    assert linked["data"]["connectedCloud"] == {
        "id": number,
        "cloudType": "AWS",
        "accountId": ACCOUNT,
        "accountName": "Prod",
        "roleArn": ROLE,
    }
    assert (await ada.get(f"/api/projects/{project}"))["data"] == linked["data"]
    unlinked = await ada.send("PATCH", f"/api/projects/{project}/disconnect-cloud")
    assert unlinked["data"]["connectedCloud"] is None
    await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/{number}")
    await ada.send("DELETE", f"{connections}/{number}")
    assert (await ada.get(f"/api/projects/{project}"))["data"]["connectedCloud"] is None
    await ada.send("DELETE", f"{connections}/{number}", status=404)


async def test_only_an_active_connection_of_the_same_workspace_is_linked(
    ada: Citizen, town: Town, aws: FakeAws
) -> None:
    _, pending = await begun(ada, aws)
    project = await ada.project()
    eve = await town.citizen("Eve")
    hers = await eve.project()

    shown = await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/{pending['connectionId']}", status=400)

    assert shown["error"] == "Cloud connection not active"
    missing = await eve.send("PATCH", f"/api/projects/{hers}/connect-cloud/{pending['connectionId']}", status=404)
    assert missing["error"] == "Cloud connection not found"
    await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/abc", status=400)
    await eve.send("PATCH", f"/api/projects/{project}/disconnect-cloud", status=403)


async def test_neither_a_link_nor_a_connection_goes_while_a_function_lives_there(
    town: Town, ada: Citizen, aws: FakeAws
) -> None:
    connections, number = await completed(ada, aws)
    project = await ada.project()
    await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/{number}")
    function_id, _ = await keep_function(town.api.db, project, "thumbs", connection=number)

    kept = await ada.send("DELETE", f"{connections}/{number}", status=409)

    assert kept["error"] == "Cannot delete connection"
    shown = await ada.send("PATCH", f"/api/projects/{project}/disconnect-cloud", status=409)
    assert shown["error"] == "Cannot disconnect cloud"
    await town.api.db.execute("UPDATE functions SET deleted_at = now() WHERE id = $1", function_id)
    await ada.send("PATCH", f"/api/projects/{project}/disconnect-cloud")
    await ada.send("DELETE", f"{connections}/{number}")


async def test_the_connection_to_this_installation_can_be_had_again(ada: Citizen) -> None:
    await ada.project()
    connections = f"/api/cloud-connections/{await ada.workspace()}"
    [home] = (await ada.get(connections))["data"]

    same = await ada.send("POST", f"{connections}/connect-local")

    assert same["data"] == home
    await ada.send("DELETE", f"{connections}/{home['id']}")
    assert (await ada.get(f"{connections}?status=all"))["data"] == []
    assert (await ada.send("POST", f"{connections}/connect-local"))["data"]["id"] != home["id"]


async def test_roles_say_who_may_connect_and_who_may_look(ada: Citizen, town: Town, aws: FakeAws) -> None:
    connections, number = await completed(ada, aws)
    viewer = await town.colleague(ada, "viewer")
    dev = await town.colleague(ada, "dev")
    narrow = await town.colleague(ada, "dev", [f"{await ada.project()}/master"])

    assert (await viewer.get(f"{connections}?provider=aws"))["count"] == 1
    for somebody in (viewer, narrow):
        await somebody.send("POST", f"{connections}/connect-aws", status=403)
        await somebody.send("PATCH", f"{connections}/{number}", {"accountName": "Mine"}, status=403)
        await somebody.send("DELETE", f"{connections}/{number}", status=403)
    await dev.send("PATCH", f"{connections}/{number}", {"accountName": "Ours"})


@pytest.mark.parametrize("region", ["moon-1", "", 3])
async def test_a_connection_is_begun_in_a_region_of_aws(ada: Citizen, region: object) -> None:
    connections = f"/api/cloud-connections/{await ada.workspace()}"

    await ada.send("POST", f"{connections}/connect-aws", {"region": region}, status=400)

    assert (await ada.get(f"{connections}?status=all"))["count"] == 0


async def test_the_regions_are_those_of_the_cloud_a_project_is_linked_to(ada: Citizen, aws: FakeAws) -> None:
    _, number = await completed(ada, aws)
    workspace, project, bare = await ada.workspace(), await ada.project(), await ada.project("Bare")
    path = f"/api/cloud/{workspace}/{project}/regions"

    here = await ada.get(path)

    assert (here["provider"], [each["code"] for each in here["data"]]) == ("local", ["local"])
    await ada.send("PATCH", f"/api/projects/{project}/connect-cloud/{number}")
    there = await ada.get(path)
    assert there["provider"] == "aws"
    assert there["cloudConnection"] == {
        "id": number,
        "accountName": "Prod",
        "accountId": ACCOUNT,
        "region": "us-east-1",
    }
    [ireland] = [each for each in there["data"] if each["code"] == "eu-west-1"]
    assert (ireland["name"], ireland["metadata"]) == ("Europe (Ireland)", {"location": "Ireland"})
    nothing = await ada.get(f"/api/cloud/{workspace}/{bare}/regions", 400)
    assert nothing["error"] == "No cloud connection"
    assert (await ada.get(f"/api/cloud/{workspace}/nowhere/regions", 404))["error"] == "Project not found"
    assert (await ada.get(f"/api/cloud/nowhere/{project}/regions", 404))["error"] == "Workspace not found"


async def test_without_an_account_of_ours_there_is_no_link_to_the_console(api: Running) -> None:
    async with Town(api) as town:
        ada = await town.citizen()
        connections = f"/api/cloud-connections/{await ada.workspace()}"

        data = (await ada.send("POST", f"{connections}/connect-aws", status=201))["data"]

        assert (data["connectionUrl"], data["trustedAccountId"], data["templateUrl"]) == (None, None, None)


async def test_a_plan_limits_connections_into_clouds(database_url: str, aws: FakeAws) -> None:
    settings = {"TIDEMILL_PLAN": "free", "TIDEMILL_AWS_ENDPOINT_URL": aws.url}
    async with running(database_url, **settings) as api, Town(api) as town:
        ada = await town.citizen()
        await ada.project()
        connections, _ = await begun(ada, aws)
        await begun(ada, aws)
        ids = await api.db.fetch("SELECT id, number::text FROM cloud_connections WHERE provider = 'aws'")
        # As two who complete them at once: each was let in before the other was written down.
        letting_in = (
            cloud_connections.complete(api.db, row[0], name=row[1], cloud_account_id=ACCOUNT, role_arn=ROLE, most=1)
            for row in ids
        )
        done = await asyncio.gather(*letting_in, return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["CloudConnection", "QuotaExceededError"]

        refused = await ada.send("POST", f"{connections}/connect-aws", status=403)

        assert refused["error"] == "Plan limit exceeded"
        assert (refused["currentValue"], refused["limit"], refused["upgradeRequired"]) == (1, 1, True)
