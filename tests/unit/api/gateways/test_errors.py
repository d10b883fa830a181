"""Every platform error in the words of the Gateways dialect (contracts/gateways.md section 2.3)."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from services.api.dialects.gateways import errors
from shared.domain.errors import (
    ErrorRecord,
    InternalError,
    Kind,
    NotFoundError,
    QuotaExceededError,
    TooManyFailedLoginsError,
    every_error,
    revive,
)

EVERY_ERROR = sorted(code for code in every_error() if code)
STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.THROTTLED: 429,
    Kind.TIMEOUT: 503,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}
BY_CODE = {"route.method_not_allowed": 405, "cloud.refused": 500, "cloud.unavailable": 500}


def shown(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    body = orjson.loads(response.body)
    assert isinstance(body["error"], str)
    assert isinstance(body["message"], str)
    return dict(body)


@pytest.mark.parametrize("code", EVERY_ERROR)
def test_every_error_has_a_status_and_says_what_is_wrong(code: str) -> None:
    kind = every_error()[code].kind

    response = errors.render(revive(ErrorRecord(code=code, kind=kind, message="what is wrong")))

    expected = BY_CODE.get(code, STATUS[kind])
    assert response.status == expected
    assert shown(response)["message"] == "what is wrong"
    assert ("Retry-After" in response.headers) == (expected in (429, 503))


def test_what_is_missing_is_named() -> None:
    response = errors.render(NotFoundError("The specified project does not exist", what="Project"))

    assert shown(response) == {"error": "Project not found", "message": "The specified project does not exist"}


def test_a_plan_says_how_much_it_allows() -> None:
    response = errors.render(QuotaExceededError("enough", limit=5, currentValue=5))

    assert response.status == 403
    assert shown(response) == {
        "error": "Plan limit exceeded",
        "message": "enough",
        "currentValue": 5,
        "limit": 5,
        "upgradeRequired": True,
    }


def test_too_many_keys_are_no_matter_of_the_plan() -> None:
    response = errors.render(QuotaExceededError("enough", limit=10, maxKeys=10))

    assert response.status == 429
    assert shown(response) == {"error": "Too many API keys", "message": "enough", "maxKeys": 10}


def test_who_has_to_wait_is_told_how_long() -> None:
    response = errors.render(TooManyFailedLoginsError("wait", limit=10, reset_in_seconds=42))

    assert response.headers["Retry-After"] == "42"


def test_a_bug_of_ours_shows_its_incident_and_nothing_else() -> None:
    response = errors.render(InternalError("something went wrong on our side", incident="abc"))

    assert response.status == 500
    assert shown(response) == {
        "error": "Internal Server Error",
        "message": "something went wrong on our side",
        "incident": "abc",
    }
