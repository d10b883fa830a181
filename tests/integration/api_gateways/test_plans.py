"""Functions within a plan (contracts/gateways.md, check 47)."""

import asyncio

import pytest

from tests.integration.api.harness import running
from tests.integration.api_gateways.people import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

FUNCTION = {"runtime": "nodejs20.x", "handler": "index.handler", "region": "eu-west-1"}


async def test_the_sixth_function_is_refused_on_the_free_plan_until_one_is_deleted(database_url: str) -> None:
    async with running(database_url, None, "real", TIDEMILL_PLAN="free") as api, Town(api) as town:
        ada = await town.citizen()
        place = f"/api/{await ada.project()}/master"
        made = [
            (await ada.send("POST", f"{place}/functions", {**FUNCTION, "name": f"f{number}"}, status=201))["data"]["id"]
            for number in range(5)
        ]

        refused = await ada.send("POST", f"{place}/functions", {**FUNCTION, "name": "f5"}, status=403)

        assert refused["error"] == "Plan limit exceeded"
        assert (refused["currentValue"], refused["limit"], refused["upgradeRequired"]) == (5, 5, True)
        assert len((await ada.get(f"{place}/functions"))["data"]) == 5
        await ada.send("DELETE", f"{place}/resources/{made[0]}")
        await ada.send("DELETE", f"{place}/resources/{made[1]}")
        answers = await asyncio.gather(
            *(ada.http.post(f"{place}/functions", json={**FUNCTION, "name": f"g{number}"}) for number in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 4
        assert len((await ada.get(f"{place}/functions"))["data"]) == 5

        # What is left in a deleted project nobody can reach, nor delete to make room.
        await ada.send("DELETE", f"/api/projects/{place.split('/')[2]}")
        usage = f"/api/workspaces/{await ada.workspace()}/usage"
        assert (await ada.get(usage))["usage"]["resources"]["current"] == 0
        body = {**FUNCTION, "name": "f0"}
        await ada.send("POST", f"/api/{await ada.project('Other')}/master/functions", body, status=201)
        assert (await ada.get(usage))["usage"]["resources"]["current"] == 1
