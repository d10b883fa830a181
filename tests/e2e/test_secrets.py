"""What is told to the platform in confidence is in none of its own log lines, at the most talkative level."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.backends import open_directory
from tests.support.builders import Functions, functions_on, unique, zipped
from tests.support.eventually import eventually_sync
from tests.support.platform import API_KEY, CLIENT_ID, EMAIL, PASSWORD, Platform, all_in_one

TOKENS = "/auth/v2/oauth2/tokens"
FAILING = """
exports.handler = async event => {
  console.log('LOGGED-' + event.body)
  process.stderr.write('WRITTEN-' + event.body + process.env.CONFIDENTIAL)
  if (event.rawPath === '/throw') throw new Error('THROWN-' + event.body)
  if (event.rawPath === '/exit') process.exit(3)
  return { statusCode: event.rawPath === '/wrong' ? 'WRONG-' + event.body : 200, body: 'ANSWERED-' + event.body }
}
"""
NEO = "module.exports = ({ params, log }) => { log.warn('LOGGED-' + params.text); throw new Error(params.text) }"


@pytest.fixture(scope="module")
def talkative() -> Iterator[Platform]:
    with open_directory() as directory, all_in_one(directory, {"TIDEMILL_LOG_LEVEL": "debug"}) as running:
        yield running


def log_lines(platform: Platform) -> list[str]:
    """Return the platform's own log; the text a newcomer is greeted with, which has the credentials, is no part."""
    return [line for line in platform.processes["tidemill"].log_text().splitlines() if line.startswith("{")]


def log_in(http: httpx.Client, password: str) -> httpx.Response:
    body = {"client_id": CLIENT_ID, "grant_type": "password", "username": EMAIL, "password": password}
    return http.post(TOKENS, json=body)


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    return http.post(TOKENS, json={"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token})


def offer_credentials(platform: Platform) -> list[str]:
    """Show good and bad credentials of every kind; return them all."""
    wrong = {name: unique(f"wrong-{name}") for name in ("password", "key", "token", "refresh")}
    with platform.anonymous() as http:
        first = log_in(http, PASSWORD).json()
        second = refresh(http, first["refresh_token"]).json()
        statuses = [
            log_in(http, wrong["password"]).status_code,
            refresh(http, wrong["refresh"]).status_code,
            refresh(http, first["refresh_token"]).status_code,
            http.get("/v1/functions", headers={"X-API-Key": wrong["key"]}).status_code,
            http.get("/users/v1/me", headers={"Authorization": f"Bearer {wrong['token']}"}).status_code,
            http.get("/users/v1/me", headers={"Authorization": f"Bearer {second['access_token']}"}).status_code,
            http.get("/nowhere", headers={"X-API-Key": API_KEY}).status_code,
        ]
    assert statuses == [400, 400, 400, 401, 401, 200, 404]
    issued = [tokens[name] for tokens in (first, second) for name in ("access_token", "refresh_token")]
    return [API_KEY, PASSWORD, *issued, *wrong.values()]


def run_functions(functions: Functions) -> list[str]:
    """Create, call and break functions in every way; return what was confided on the way."""
    environment, payload = unique("environment"), unique("payload")
    confidential: dict[str, Any] = {"environmentVariables": {"CONFIDENTIAL": {"value": environment}}}
    name = functions.create_node(FAILING, **confidential)
    neo = functions.create_neo(NEO, environment={"CONFIDENTIAL": environment})
    broken = functions.create_package(zipped({"index.js": f"{payload} !!!"}), **confidential)

    codes = [
        functions.call(name, path, "POST", content=payload).status_code for path in ("/", "/throw", "/exit", "/wrong")
    ]
    assert codes == [200, 400, 400, 400]
    assert functions.call(broken, "/", "POST", content=payload).status_code == 400
    assert functions.invoke(neo, {"text": payload}).status_code == 500
    execution = functions.invoke(neo, {"text": payload}, **{"async": True}).json()["data"]["execution"]["id"]
    eventually_sync(lambda: functions.execution(neo, execution)["status"] == "failed", within_s=20)
    assert functions.neo.post("/v1/functions", content=f'{{"name": "{payload}').status_code == 400
    assert (
        functions.neo.post(
            "/v1/functions", json={"name": "x", "code": f"{payload} !!!", "runtime": "node18"}
        ).status_code
        == 400
    )
    return [environment, payload]


def test_no_line_of_the_log_holds_a_credential_an_environment_an_event_or_what_a_function_wrote(
    talkative: Platform,
) -> None:
    told = offer_credentials(talkative)
    with talkative.neo() as neo, talkative.extra_horizon() as exh, functions_on(neo, exh) as functions:
        told += [exh.headers["Authorization"].removeprefix("Bearer "), *run_functions(functions)]

    lines = log_lines(talkative)
    assert {json.loads(line)["event"] for line in lines} >= {"function_deployed", "deployment_refused"}
    assert [line for line in lines for secret in told if secret in line] == []
