"""Making, reading and changing functions (contracts/extrahorizon.md section 3.1; acceptance 7 to 10)."""

import base64
import json
from typing import Any

from tests.integration.api_extrahorizon.conftest import PACKAGE, Horizon
from tests.support.builders import api_function, zipped

FUNCTIONS = "/tasks/v1/functions"


async def refused(horizon: Horizon, body: Any, *, method: str = "POST", path: str = FUNCTIONS) -> tuple[int, int, str]:
    """Return status, code and name of what must be refused."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await horizon.admin.request(method, path, content=content)
    error = answer.json()

    assert set(error) == {"code", "name", "message"}
    assert error["message"]
    return answer.status_code, error["code"], error["name"]


async def test_7_a_function_made_from_a_zip_shows_every_field_with_its_defaults_and_no_code(horizon: Horizon) -> None:
    answer = await horizon.admin.post(FUNCTIONS + "/", json=api_function("greeter", PACKAGE))

    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert view.pop("updateTimestamp").endswith("Z")
    assert view == {
        "name": "greeter",
        "description": "",
        "enabled": True,
        "entryPoint": "index.handler",
        "runtime": "nodejs20.x",
        "timeLimit": 30,
        "memoryLimit": 128,
        "environmentVariables": {},
        "executionOptions": {"permissionMode": "permissionRequired", "defaultPriority": 0},
        "retryPolicy": {"enabled": False, "errorsToRetry": []},
    }


async def test_7_every_field_that_is_given_is_kept(horizon: Horizon) -> None:
    given = {
        "description": "says hi",
        "entryPoint": "build/index.handler",
        "runtime": "python3.12",
        "timeLimit": 60,
        "memoryLimit": 256,
        "environmentVariables": {"LANG_DEFAULT": {"value": "en"}, "kept_As_Is": {"value": ""}},
        "executionOptions": {"permissionMode": "public", "defaultPriority": -3},
        "retryPolicy": {"enabled": True, "errorsToRetry": ["CONNECTION_ERROR"]},
    }
    body = api_function("greeter", zipped({"build/index.py": "def handler(event, context): pass"}), **given)
    created = (await horizon.admin.post(FUNCTIONS, json={**body, "unknown": 7})).json()
    shown = (await horizon.admin.get(FUNCTIONS + "/greeter")).json()

    assert shown == created
    assert {field: created[field] for field in given} == given


WRONG_FIELDS: list[tuple[dict[str, Any], tuple[int, int, str]]] = [
    ({"name": None}, (400, 14, "MISSING_REQUIRED_FIELDS_EXCEPTION")),
    ({"code": None}, (400, 14, "MISSING_REQUIRED_FIELDS_EXCEPTION")),
    ({"timeLimit": 2}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"timeLimit": 301}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"timeLimit": "30"}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"timeLimit": True}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"memoryLimit": 64}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"executionOptions": {"permissionMode": "nobody"}}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"executionOptions": {"defaultPriority": 2**53}}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"executionOptions": []}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"retryPolicy": {"errorsToRetry": [7]}}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"runtime": "ruby3.3"}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"entryPoint": "index"}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"entryPoint": "../index.handler"}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"environmentVariables": {"A": "text"}}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    ({"description": "\0"}, (400, 15, "FIELD_FORMAT_EXCEPTION")),
    (
        {"environmentVariables": {"BIG": {"value": "x" * 5000}}},
        (400, 1402, "INVALID_FUNCTION_CONFIGURATION_EXCEPTION"),
    ),
    ({"name": "no spaces"}, (400, 1407, "INVALID_FUNCTION_NAME_EXCEPTION")),
    ({"code": "not base64!"}, (400, 1401, "INVALID_FUNCTION_CODE_EXCEPTION")),
    ({"code": base64.b64encode(b"no zip").decode()}, (400, 1401, "INVALID_FUNCTION_CODE_EXCEPTION")),
    ({"code": base64.b64encode(zipped({})).decode()}, (400, 1401, "INVALID_FUNCTION_CODE_EXCEPTION")),
    ({"code": ""}, (400, 1401, "INVALID_FUNCTION_CODE_EXCEPTION")),
]


async def test_8_a_wrong_field_is_refused_with_its_own_code_and_nothing_is_left(horizon: Horizon) -> None:
    for changes, expected in WRONG_FIELDS:
        assert await refused(horizon, {**api_function("greeter", PACKAGE), **changes}) == expected, changes
    assert (await horizon.admin.get(FUNCTIONS)).json()["data"] == []


async def test_8_a_body_that_is_absent_or_no_json_object_is_refused(horizon: Horizon) -> None:
    assert await refused(horizon, b"") == (400, 13, "EMPTY_BODY_EXCEPTION")
    assert await refused(horizon, b"{") == (400, 22, "BODY_FORMAT_EXCEPTION")
    assert await refused(horizon, b"[]") == (400, 22, "BODY_FORMAT_EXCEPTION")
    assert await refused(horizon, b'{"name":"\xff"}') == (400, 22, "BODY_FORMAT_EXCEPTION")


async def test_8_a_taken_name_is_refused(horizon: Horizon) -> None:
    await horizon.create("greeter")

    assert await refused(horizon, api_function("greeter", PACKAGE)) == (400, 17, "RESOURCE_ALREADY_EXISTS_EXCEPTION")


async def test_9_the_list_has_every_function_in_one_page(horizon: Horizon) -> None:
    for name in ("b", "a", "c"):
        await horizon.create(name, description=f"is {name}")
    answer = (await horizon.admin.get(FUNCTIONS + "/?limit(1)")).json()

    assert answer["page"] == {"total": 3, "offset": 0, "limit": 3}
    assert [(each["name"], each["description"]) for each in answer["data"]] == [
        ("a", "is a"),
        ("b", "is b"),
        ("c", "is c"),
    ]
    assert set(answer["data"][0]) == {"name", "description", "updateTimestamp"}


async def test_9_an_update_replaces_what_is_given_and_leaves_the_rest(horizon: Horizon) -> None:
    await horizon.create("greeter", description="old", timeLimit=10, executionOptions={"defaultPriority": 5})
    before = (await horizon.admin.get(FUNCTIONS + "/greeter")).json()
    answer = await horizon.admin.put(
        FUNCTIONS + "/greeter",
        json={"name": "ignored", "timeLimit": 20, "executionOptions": {"permissionMode": "public"}, "unknown": 1},
    )
    after = (await horizon.admin.get(FUNCTIONS + "/greeter/")).json()

    assert (answer.status_code, answer.json()) == (200, {"affectedRecords": 1})
    assert after.pop("updateTimestamp") > before.pop("updateTimestamp")
    assert after == {**before, "timeLimit": 20, "executionOptions": {"permissionMode": "public", "defaultPriority": 0}}


async def test_9_a_refused_update_changes_nothing(horizon: Horizon) -> None:
    await horizon.create("greeter", description="old")
    before = (await horizon.admin.get(FUNCTIONS + "/greeter")).json()
    changes = {"description": "new", "code": base64.b64encode(b"no zip").decode()}

    assert await refused(horizon, changes, method="PUT", path=FUNCTIONS + "/greeter") == (
        400,
        1401,
        "INVALID_FUNCTION_CODE_EXCEPTION",
    )
    assert (await horizon.admin.get(FUNCTIONS + "/greeter")).json() == before


async def test_9_a_removed_function_is_gone_and_its_name_free(horizon: Horizon) -> None:
    await horizon.create("greeter")
    answer = await horizon.admin.delete(FUNCTIONS + "/greeter")

    assert (answer.status_code, answer.json()) == (200, {"affectedRecords": 1})
    assert (await horizon.admin.get(FUNCTIONS + "/greeter")).status_code == 404
    await horizon.create("greeter")


async def test_9_an_unknown_name_is_a_404_everywhere(horizon: Horizon) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/disable")):
        answer = await horizon.admin.request(method, f"{FUNCTIONS}/nobody{path}", json={})

        assert (answer.status_code, answer.json()["code"]) == (404, 16)
        assert answer.json()["name"] == "RESOURCE_UNKNOWN_EXCEPTION"


async def test_10_a_disabled_function_is_not_called_until_it_is_enabled_again(horizon: Horizon) -> None:
    await horizon.create("greeter")
    for _ in range(2):
        answer = await horizon.admin.post(FUNCTIONS + "/greeter/disable", json={})
        assert (answer.status_code, answer.json()) == (200, {"affectedRecords": 1})
    refusal = await horizon.call("greeter")

    assert (refusal.status_code, refusal.json()["code"]) == (400, 27)
    assert refusal.json()["name"] == "ILLEGAL_STATE_EXCEPTION"
    assert (await horizon.admin.get(FUNCTIONS + "/greeter")).json()["enabled"] is False
    assert horizon.script.commands == []

    assert (await horizon.admin.post(FUNCTIONS + "/greeter/enable")).json() == {"affectedRecords": 1}
    assert (await horizon.call("greeter")).status_code == 200


async def test_every_management_call_needs_a_user_with_its_permission(horizon: Horizon) -> None:
    calls = {
        ("GET", ""): "VIEW_TASK_FUNCTIONS",
        ("POST", ""): "CREATE_TASK_FUNCTION",
        ("GET", "/x"): "VIEW_TASK_FUNCTION_DETAILS",
        ("PUT", "/x"): "UPDATE_TASK_FUNCTION",
        ("DELETE", "/x"): "DELETE_TASK_FUNCTION",
        ("POST", "/x/enable"): "UPDATE_TASK_FUNCTION",
    }
    async with horizon.client(await horizon.user_token("EXECUTE_API_FUNCTION")) as powerless:
        for (method, path), permission in calls.items():
            nobody = await horizon.anonymous.request(method, FUNCTIONS + path)
            lacking = await powerless.request(method, FUNCTIONS + path)

            assert (nobody.status_code, nobody.json()["code"]) == (401, 104)
            assert (lacking.status_code, lacking.json()["code"]) == (401, 10)
            assert permission in lacking.json()["message"]
