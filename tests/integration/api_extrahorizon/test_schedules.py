"""Schedules over HTTP (contracts/extrahorizon.md section 3.5)."""

from typing import Any

from shared.database import schedules
from shared.domain.ids import new_record_id
from tests.integration.api_extrahorizon.conftest import Horizon

SCHEDULES = "/tasks/v1/schedules"


def refusal(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


async def made(horizon: Horizon, **fields: Any) -> dict[str, Any]:
    """Make a schedule; return what is shown of it."""
    answer = await horizon.admin.post(SCHEDULES, json={"functionName": "greeter", "interval": 3600, **fields})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_33_a_schedule_is_shown_with_every_field(horizon: Horizon) -> None:
    start = "2099-05-01T10:00:00.000Z"
    schedule = await made(horizon, data={"who": "all"}, priority=-4, startTimestamp=start)

    assert schedule == {
        "id": schedule["id"],
        "interval": 3600,
        "functionName": "greeter",
        "data": {"who": "all"},
        "priority": -4,
        "startTimestamp": start,
        "nextTimestamp": start,
        "creationTimestamp": schedule["creationTimestamp"],
        "updateTimestamp": schedule["creationTimestamp"],
    }
    assert (await horizon.admin.get(SCHEDULES + "/")).json() == {
        "page": {"total": 1, "offset": 0, "limit": 20},
        "data": [schedule],
    }


async def test_33_what_a_schedule_is_not_told_has_its_default(horizon: Horizon) -> None:
    await horizon.create("urgent", executionOptions={"defaultPriority": 12})
    schedule = await made(horizon, functionName="urgent")

    assert schedule["startTimestamp"] == schedule["nextTimestamp"] == schedule["creationTimestamp"]
    assert schedule["priority"] == 12
    assert "data" not in schedule


async def test_33_schedules_are_found_by_rql(horizon: Horizon) -> None:
    first = await made(horizon, interval=60, data={"x": 1})
    second = await made(horizon, interval=90, data={"x": 2})

    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await horizon.admin.get(f"{SCHEDULES}?{query}")).json()["data"]]

    assert await ids("") == [second["id"], first["id"]]
    assert await ids("gt(interval,60)") == await ids("eq(data.x,2)") == [second["id"]]
    assert await ids("sort(interval)&limit(1)") == [first["id"]]
    assert refusal(await horizon.admin.get(f"{SCHEDULES}?eq(tags,x)")) == (400, 19)


async def test_33_a_removed_schedule_is_gone_and_its_tasks_stay(horizon: Horizon) -> None:
    schedule = await made(horizon, data={"who": "all"}, priority=5)
    await schedules.fire(horizon.db)

    assert (await horizon.admin.delete(f"{SCHEDULES}/{schedule['id']}")).json() == {"affectedRecords": 1}

    assert refusal(await horizon.admin.delete(f"{SCHEDULES}/{schedule['id']}")) == (404, 16)
    assert refusal(await horizon.admin.delete(f"{SCHEDULES}/{new_record_id()}")) == (404, 16)
    assert refusal(await horizon.admin.delete(f"{SCHEDULES}/nonsense")) == (400, 12)
    assert (await horizon.admin.get(SCHEDULES)).json()["data"] == []
    (task,) = (await horizon.admin.get("/tasks/v1/")).json()["data"]
    assert (task["functionName"], task["data"], task["priority"]) == ("greeter", {"who": "all"}, 5)
    assert task["createdByUserId"] == horizon.first.user_id


async def test_a_schedule_with_a_wrong_field_is_refused(horizon: Horizon) -> None:
    for body, code in (({"interval": 1}, 14), ({"functionName": "f", "interval": 0}, 15)):
        assert refusal(await horizon.admin.post(SCHEDULES, json=body)) == (400, code)
