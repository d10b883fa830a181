"""What is secret is told to nobody else, kept in no table in the clear, and in no line of our log."""

from typing import Any

import httpx
import pytest
import structlog

from services.api.operations.cloud_connections import DEPLOY_ROLE
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import PASSWORD
from tests.integration.gateways_functions.shop import Shop, link_to_aws
from tests.support.fake_aws import EXTERNAL_ID, AwsError, FakeAws

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOCKED, LOCKED_TOO = "hunter2-never-shown", "hunter3-never-shown"
OF_A_CALLER = "swordfish-of-somebody"
"""What somebody sends to the URL of a function: it goes to the function alone."""
HASH = "$argon2"


async def everything_kept(api: Running) -> dict[str, str]:
    """Return all rows of all tables, as text and with binary columns as the text they may be."""
    tables = await api.db.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    kept = {}
    for (table,) in tables:
        rows = await api.db.fetch(f'SELECT t::text FROM "{table}" t')
        kept[table] = "\n".join(row[0] for row in rows)
    return kept


GIVEN: dict[str, Any] = {"environmentVariables": {"TOKEN": LOCKED}, "environmentVariablesLocked": ["TOKEN"]}


def occurs(secret: str, text: str) -> bool:
    return secret in text or secret.encode().hex() in text


async def act_here(shop: Shop, connections: str, begun: Any) -> None:
    """Do on this installation what secrets are given for; some of it fails."""
    owner = shop.owner
    await owner.send("POST", "/api/auth/login", {"email": owner.email, "password": PASSWORD + "x"}, status=401)
    body = {"accountId": "111122223333", "accountName": "Prod"}
    await owner.send("POST", f"{connections}/{begun['connectionId']}/complete", body, status=400)
    made = await shop.create(**GIVEN)
    await shop.send("PUT", f"functions/{made['id']}", {"memorySize": 256})
    await shop.send("POST", f"functions/{made['id']}/invoke", {"payload": {}})
    caller = await shop.town.client({"Authorization": f"Bearer {OF_A_CALLER}", "Cookie": f"s={OF_A_CALLER}"})
    assert (await caller.post(f"{made['endpoint']}x?key={OF_A_CALLER}", json={"p": OF_A_CALLER})).status_code == 200
    await shop.send("DELETE", f"resources/{made['id']}")


async def act_at_aws(shop: Shop, aws: FakeAws) -> int:
    """Do the same at AWS, which repeats what it was sent; return the number of the function that is left."""
    await link_to_aws(shop)
    aws.fail("CreateFunction", AwsError(403, "AccessDeniedException", f"{DEPLOY_ROLE} may not"))
    await shop.create(**GIVEN, status=403)
    number: int = (await shop.create(**GIVEN))["id"]
    await shop.send("PUT", f"functions/{number}", {"timeout": 60})
    other = {"environmentVariables": {"TOKEN": LOCKED_TOO}}
    echoed = f"1 validation error: Value '{{TOKEN={LOCKED_TOO}}}' at 'environment.variables' is not allowed"
    aws.fail("UpdateFunctionConfiguration", AwsError(400, "ValidationException", echoed))
    await shop.send("PUT", f"functions/{number}", other, status=500)
    await shop.send("PUT", f"functions/{number}", other)
    await shop.send("PUT", f"resources/{number}/sync")
    return number


async def look_at_everything(shop: Shop, connections: str, number: int) -> None:
    """Ask for all that is shown."""
    for path in ("/api/users/profile", "/api/users/sessions", "/api/users/api-keys", "/api/activities", connections):
        await shop.owner.get(f"{path}?status=all&limit=100")
    for path in ("functions", "resources", f"functions/{number}", f"resources/{number}"):
        await shop.get(path)


async def test_what_is_secret_is_kept_and_logged_nowhere_in_the_clear(shop: Shop, aws: FakeAws) -> None:
    told: list[str] = []

    async def listen(answer: httpx.Response) -> None:
        await answer.aread()
        told.append(answer.text)

    with structlog.testing.capture_logs() as said:
        owner = shop.owner
        key = (await owner.send("POST", "/api/users/api-keys", {}, status=201))["data"]["secret"]
        session = (await owner.send("POST", "/api/auth/login", {"email": owner.email, "password": PASSWORD}))["data"]
        connections = f"/api/cloud-connections/{await owner.workspace()}"
        begun = (await owner.send("POST", f"{connections}/connect-aws", status=201))["data"]
        owner.http.event_hooks["response"].append(listen)
        await act_here(shop, connections, begun)
        await look_at_everything(shop, connections, await act_at_aws(shop, aws))

    assert said
    of_users = (PASSWORD, key, session["token"], session["refreshToken"], LOCKED, LOCKED_TOO)
    secrets = (*of_users, begun["externalId"], EXTERNAL_ID, OF_A_CALLER)
    assert [each for each in (*secrets, HASH) if any(each in text for text in told)] == []
    assert [each for each in (*secrets, HASH) if occurs(each, repr(said))] == []
    kept = await everything_kept(shop.api)
    assert [(each, table) for each in secrets for table, rows in kept.items() if occurs(each, rows)] == []
    assert HASH in kept["users"]
    assert [table for table, rows in kept.items() if HASH in rows] == ["users"]
