"""Every platform error in the words of the Neo dialect (contracts/neo.md 3.12)."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from services.api.dialects.neo import errors
from shared.domain import login_errors, user_errors
from shared.domain.errors import ErrorRecord, InvalidCodeError, PlatformError, ThrottledError, every_error, revive

WORDS = {
    "request.invalid": (400, "invalid_request"),
    "request.malformed_body": (400, "invalid_request"),
    "request.empty_body": (400, "invalid_request"),
    "request.missing_field": (400, "invalid_request"),
    "request.malformed_id": (400, "invalid_request"),
    "request.invalid_query": (400, "invalid_request"),
    "request.empty_query": (400, "invalid_request"),
    "request.slow_query": (400, "invalid_request"),
    "function.invalid_name": (400, "invalid_request"),
    "package.invalid": (400, "invalid_request"),
    "code.invalid": (400, "invalid_function_code"),
    "function.environment_too_large": (400, "invalid_request"),
    "request.too_large": (413, "invalid_request"),
    "access.unauthenticated": (401, "unauthorized"),
    "access.unknown_token": (401, "unauthorized"),
    "access.expired_token": (401, "unauthorized"),
    "access.wrong_password": (401, "unauthorized"),
    "access.unknown_refresh_token": (401, "unauthorized"),
    "access.expired_refresh_token": (401, "unauthorized"),
    "access.unknown_client": (401, "unauthorized"),
    "access.wrong_client_secret": (401, "unauthorized"),
    "access.missing_client": (401, "unauthorized"),
    login_errors.UnsignedRequestError.code: (401, "unauthorized"),
    login_errors.UnknownConsumerError.code: (401, "unauthorized"),
    login_errors.UnknownSignedTokenError.code: (401, "unauthorized"),
    login_errors.WrongSignatureError.code: (401, "unauthorized"),
    login_errors.ReusedNonceError.code: (401, "unauthorized"),
    login_errors.UnknownApplicationError.code: (400, "invalid_request"),
    login_errors.InvalidCallbackError.code: (400, "invalid_request"),
    login_errors.UnsupportedResponseTypeError.code: (400, "invalid_request"),
    login_errors.UnknownAuthorizationError.code: (400, "invalid_request"),
    login_errors.ExpiredAuthorizationError.code: (400, "invalid_request"),
    login_errors.WrongVerifierError.code: (400, "invalid_request"),
    login_errors.MissingVerifierError.code: (400, "invalid_request"),
    "access.forbidden": (403, "forbidden"),
    "account.quota_exceeded": (403, "forbidden"),
    "resource.not_found": (404, "not_found"),
    "function.not_found": (404, "function_not_found"),
    "execution.not_found": (404, "execution_not_found"),
    "route.not_found": (404, "not_found"),
    "cloud.function_gone": (404, "not_found"),
    "cloud.not_connected": (400, "invalid_request"),
    "cloud.denied": (403, "forbidden"),
    "cloud.refused": (400, "invalid_request"),
    "cloud.unavailable": (503, "service_unavailable"),
    "route.method_not_allowed": (405, "method_not_allowed"),
    "function.name_taken": (409, "conflict"),
    user_errors.EmailUsedError.code: (409, "conflict"),
    user_errors.WeakPasswordError.code: (400, "invalid_request"),
    "resource.illegal_state": (400, "invalid_request"),
    "function.time_limit_too_long": (400, "invalid_request"),
    "logs.none": (404, "not_found"),
    "invocation.throttled": (429, "rate_limit_exceeded"),
    "execution.throttled": (429, "rate_limit_exceeded"),
    "access.rate_limited": (429, "rate_limit_exceeded"),
    "access.too_many_failed_logins": (429, "rate_limit_exceeded"),
    "platform.unavailable": (503, "service_unavailable"),
    "invocation.start_failed": (500, "internal_error"),
    "invocation.deadline": (503, "service_unavailable"),
    "execution.interrupted": (500, "internal_error"),
    "internal.unexpected": (500, "internal_error"),
    "seal.broken": (500, "internal_error"),
}


def shown(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    body = orjson.loads(response.body)
    assert body["success"] is False
    return dict(body["error"])


def test_every_error_has_its_words() -> None:
    assert {*WORDS} == {code for code in every_error() if code}


@pytest.mark.parametrize("code", sorted(WORDS))
def test_an_error_is_rendered_with_its_status_and_code(code: str) -> None:
    kind = every_error()[code].kind
    error = revive(ErrorRecord(code=code, kind=kind, message="what is wrong", fields={"field": "name"}))

    response = errors.render(error)

    assert (response.status, shown(response)["code"]) == WORDS[code]
    assert shown(response)["message"] == "what is wrong"
    assert shown(response)["details"]["field"] == "name"
    assert response.content_type == "application/json"


def test_an_error_without_facts_has_no_details() -> None:
    assert "details" not in shown(errors.render(PlatformError("x")))


def test_a_throttled_caller_hears_when_to_come_back() -> None:
    response = errors.render(ThrottledError("too many", limit=5))

    assert int(response.headers["Retry-After"]) >= 1


def test_a_syntax_error_is_told_as_the_compiler_told_it() -> None:
    error = InvalidCodeError("Unexpected token ';'", name="SyntaxError", line=2, stack="/function/index.js:2")

    assert shown(errors.render(error)) == {
        "code": "invalid_function_code",
        "message": "Unexpected token ';'",
        "details": {
            "name": "SyntaxError",
            "message": "Unexpected token ';'",
            "line": 2,
            "stack": "/function/index.js:2",
        },
    }
