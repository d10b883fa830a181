"""What signs requests is seen by nobody but its owner: not in the platform's log, and not by the function it calls."""

import secrets

import httpx

from tests.support.builders import Functions
from tests.support.oauth1 import OAuth1
from tests.support.platform import CONSUMER_KEY, CONSUMER_SECRET, EMAIL, PASSWORD, Platform

CONSUMER = OAuth1(key=CONSUMER_KEY, secret=CONSUMER_SECRET)
ECHO = "exports.handler = async event => ({ statusCode: 200, body: event });"


def test_secrets_that_sign_are_not_logged_and_what_a_function_sees_cannot_be_sent_again(
    platform: Platform, anonymous: httpx.Client, functions: Functions
) -> None:
    name = functions.create_node(ECHO)
    login = {"email": EMAIL, "password": PASSWORD}
    token = anonymous.post("/auth/v2/oauth1/tokens", json=login, auth=CONSUMER).raise_for_status().json()
    auth = OAuth1(key=CONSUMER_KEY, secret=CONSUMER_SECRET, token=token["token"], token_secret=token["tokenSecret"])
    wrong = OAuth1(key=CONSUMER_KEY, secret=secrets.token_hex(20), token=token["token"], token_secret="x")

    seen = anonymous.get(f"/tasks/v1/api/{name}/a?b=c", auth=auth).raise_for_status().json()
    again = anonymous.get(f"/tasks/v1/api/{name}/a?b=c", headers={"Authorization": seen["headers"]["authorization"]})
    assert (again.status_code, again.json()["code"]) == (401, 110)
    assert anonymous.get("/users/v1/me", auth=wrong).json()["code"] == 109

    assert token["tokenSecret"] not in str(seen)
    log = platform.processes["tidemill"].log_text()
    for secret in (token["tokenSecret"], token["token"], wrong.secret, seen["headers"]["authorization"]):
        assert secret not in log
