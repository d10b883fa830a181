"""Locked variables through the other dialects and in what clouds say (contracts/gateways.md, 8.7)."""

import asyncio
from typing import Any

import pytest

from shared.crypto.passwords import hash_password
from shared.database import accounts, functions
from tests.integration.api.harness import CLIENT_ID, Running
from tests.integration.api_gateways.people import PASSWORD
from tests.integration.gateways_functions.shop import NODE, Shop
from tests.integration.gateways_functions.test_clouds import create
from tests.support.builders import unique
from tests.support.fake_aws import AwsError, FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "hunter2-never-shown"
MASK = "********"
VARIABLES = {"MODE": "live", "TOKEN": SECRET}


async def locked_function(shop: Shop) -> str:
    """Make a function with a locked variable where the other dialects act; return its name."""
    await shop.db.execute(
        "INSERT INTO members (account_id, user_id, role) SELECT $1, id, 'dev' FROM users WHERE number = $2",
        shop.api.environment.account_id,
        shop.owner.id,
    )
    body = {
        **NODE,
        "name": unique("locked"),
        "environmentVariables": VARIABLES,
        "environmentVariablesLocked": ["TOKEN"],
    }
    await shop.owner.send("POST", "/api/default/master/functions", body, status=201)
    return str(body["name"])


async def variables_of(api: Running, name: str) -> dict[str, str]:
    function = await functions.find_by_name(api.db, api.environment.id, name)
    assert function is not None
    return dict(function.version.spec.environment)


async def test_neo_shows_no_locked_value_and_keeps_it(shop: Shop) -> None:
    api, name = shop.api, await locked_function(shop)
    path = f"/v1/functions/{name}"

    shown = await api.http.get(path)
    environment = await api.http.get(f"{path}/environment")
    changed = await api.http.put(f"{path}/environment", json={"environment": {"MODE": "test", "TOKEN": MASK}})

    assert [each.status_code for each in (shown, environment, changed)] == [200] * 3
    assert SECRET not in shown.text + environment.text + changed.text
    assert environment.json()["data"]["environment"] == {"MODE": "live", "TOKEN": MASK}
    assert await variables_of(api, name) == {"MODE": "test", "TOKEN": SECRET}
    await api.http.put(f"{path}/environment", json={"environment": {"MODE": MASK, "TOKEN": "another"}})
    assert await variables_of(api, name) == {"MODE": MASK, "TOKEN": "another"}


async def test_extra_horizon_shows_no_locked_value_and_keeps_it(shop: Shop) -> None:
    api, name = shop.api, await locked_function(shop)
    email = f"{unique('kim')}@example.com"
    may = ("VIEW_TASK_FUNCTION_DETAILS", "UPDATE_TASK_FUNCTION")
    await accounts.add_user(api.db, email, await asyncio.to_thread(hash_password, PASSWORD), may)
    login = {"client_id": CLIENT_ID, "grant_type": "password", "username": email, "password": PASSWORD}
    tokens = await (await shop.town.client()).post("/auth/v2/oauth2/tokens", json=login)
    kim = await shop.town.client({"Authorization": f"Bearer {tokens.json()['access_token']}"})
    path = f"/tasks/v1/functions/{name}"

    shown = await kim.get(path)
    given: dict[str, Any] = {"environmentVariables": {"MODE": {"value": "test"}, "TOKEN": {"value": MASK}}}
    changed = await kim.put(path, json=given)

    assert (shown.status_code, changed.status_code) == (200, 200), changed.text
    assert SECRET not in shown.text + changed.text
    assert shown.json()["environmentVariables"]["TOKEN"] == {"value": MASK}
    assert await variables_of(api, name) == {"MODE": "test", "TOKEN": SECRET}


async def test_a_locked_value_is_not_in_what_the_account_says_of_it(cloud_shop: Shop, aws: FakeAws) -> None:
    number, _ = await create(cloud_shop, environmentVariables={"A": "hunter2", "B": "hunter2-long"})
    locked = {"environmentVariablesLocked": ["A", "B"]}
    await cloud_shop.send("PUT", f"functions/{number}", locked)
    text = "1 validation error detected: Value '{A=hunter2, B=hunter2-long}' at 'environment.variables'"
    aws.fail("UpdateFunctionConfiguration", AwsError(400, "ValidationException", text))
    kept = {"A": "********", "B": "********"}

    refused = await cloud_shop.send(
        "PUT", f"functions/{number}", {"environmentVariables": kept, "timeout": 9}, status=500
    )

    assert "Value '{A=********, B=********}'" in refused["message"]
    assert "hunter2" not in str(refused)
    aws.fail("CreateFunction", AwsError(400, "ValidationException", text))
    secret: dict[str, Any] = {"environmentVariables": {"A": "hunter2"}, "environmentVariablesLocked": ["A"]}
    assert "hunter2" not in str(await cloud_shop.create(status=500, **secret))
    assert "hunter2" not in str(await cloud_shop.db.fetch("SELECT error FROM deployments WHERE state = 'refused'"))
