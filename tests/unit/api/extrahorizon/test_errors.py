"""Every platform error in Extra Horizon's words (contracts/extrahorizon.md section 10)."""

import json
from typing import Any

import pytest
from aiohttp import web

from services.api.dialects.extrahorizon import errors
from shared.domain import login_errors, user_errors
from shared.domain.errors import Kind, PlatformError, every_error
from shared.domain.outcome import Failure

EVERY_ERROR = sorted(code for code in every_error() if code)
PUBLISHED = {
    "request.malformed_id": (400, 12),
    "request.empty_body": (400, 13),
    "request.missing_field": (400, 14),
    "request.invalid": (400, 15),
    "function.not_found": (404, 16),
    "function.name_taken": (400, 17),
    "request.invalid_query": (400, 19),
    "request.empty_query": (400, 20),
    "request.slow_query": (401, 21),
    user_errors.EmailUsedError.code: (400, 203),
    user_errors.WeakPasswordError.code: (400, 208),
    "request.malformed_body": (400, 22),
    "resource.illegal_state": (400, 27),
    "access.forbidden": (401, 10),
    "access.unauthenticated": (401, 104),
    "access.wrong_password": (401, 106),
    "access.too_many_failed_logins": (401, 212),
    login_errors.UnsignedRequestError.code: (401, 101),
    login_errors.UnknownApplicationError.code: (400, 103),
    login_errors.UnknownConsumerError.code: (401, 107),
    login_errors.UnknownSignedTokenError.code: (401, 108),
    login_errors.WrongSignatureError.code: (401, 109),
    login_errors.ReusedNonceError.code: (401, 110),
    login_errors.InvalidCallbackError.code: (400, 113),
    login_errors.UnsupportedResponseTypeError.code: (400, 114),
    login_errors.UnknownAuthorizationError.code: (400, 115),
    login_errors.ExpiredAuthorizationError.code: (400, 116),
    login_errors.WrongVerifierError.code: (400, 122),
    login_errors.MissingVerifierError.code: (400, 128),
    "access.unknown_token": (401, 117),
    "access.expired_token": (401, 118),
    "package.invalid": (400, 1401),
    "function.environment_too_large": (400, 1402),
    "invocation.start_failed": (400, 1405),
    "function.invalid_name": (400, 1407),
    "function.time_limit_too_long": (400, 1411),
    "invocation.throttled": (400, 1412),
    "execution.throttled": (400, 1403),
    "logs.none": (400, 1413),
    "internal.unexpected": (500, 1),
}


def body_of(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    body: dict[str, Any] = json.loads(response.body)
    return body


def an_error(code: str) -> PlatformError:
    cls = every_error()[code]
    error = cls.__new__(cls)
    PlatformError.__init__(error, "what happened")
    return error


@pytest.mark.parametrize("code", EVERY_ERROR)
def test_every_platform_error_has_words_of_its_own_here(code: str) -> None:
    response = errors.error_response(an_error(code), "/tasks/v1/functions")
    body = body_of(response)

    assert code in errors._BY_CODE, "say how it is rendered"
    assert set(body) == {"code", "name", "message"}
    assert 400 <= response.status <= 503
    assert ("Retry-After" in response.headers) is (response.status in {429, 503})
    assert body["message"] == "what happened"
    assert body["name"].isupper()


@pytest.mark.parametrize(("code", "expected"), PUBLISHED.items())
def test_published_errors_have_their_status_and_number(code: str, expected: tuple[int, int]) -> None:
    response = errors.error_response(an_error(code), "/tasks/v1/functions")

    assert (response.status, body_of(response)["code"]) == expected


def test_an_error_this_table_does_not_know_is_rendered_by_its_kind() -> None:
    assert set(errors._BY_KIND) == set(Kind)


@pytest.mark.parametrize(
    "code",
    [
        "request.invalid",
        "request.malformed_body",
        "request.empty_body",
        "request.missing_field",
        "access.wrong_password",
        "access.too_many_failed_logins",
        "access.unknown_refresh_token",
        "access.expired_refresh_token",
        "access.unknown_client",
        "access.wrong_client_secret",
        "access.missing_client",
    ],
)
def test_the_token_endpoint_has_no_code_at_the_top_where_clients_would_look_first(code: str) -> None:
    body = body_of(errors.error_response(an_error(code), errors.TOKEN_PATH + "/"))

    assert set(body) == {"error", "description", "exh_error"}


def test_an_event_that_is_too_large_is_an_invocation_error_and_a_large_body_elsewhere_a_413() -> None:
    error = an_error("request.too_large")

    assert errors.error_response(error, "/tasks/v1/api/fn").status == 400
    assert body_of(errors.error_response(error, "/tasks/v1/api/fn"))["code"] == 1405
    assert errors.error_response(error, "/tasks/v1/functions").status == 413


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(kind="raised", name="TypeError", message="x"), 1406),
        (Failure(kind="timed_out", name="Sandbox.Timedout", message="x"), 1406),
        (Failure(kind="oversized", name="Function.ResponseSizeTooLarge", message="x"), 1406),
        (Failure(kind="out_of_memory", name="Runtime.OutOfMemory", message="x"), 1406),
        (Failure(kind="crashed", name="Runtime.ExitError", message="x"), 1406),
        (Failure(kind="invalid_response", name="INVALID_API_FUNCTION_RESULT", message="x"), 1409),
        (Failure(kind="interrupted", message="x"), 1405),
    ],
)
def test_what_a_function_did_wrong_is_always_a_400(failure: Failure, expected: int) -> None:
    response = errors.failure_response(failure)

    assert (response.status, body_of(response)["code"]) == (400, expected)
    assert ("runtimeError" in body_of(response)) == (expected == 1406)


def test_names_of_refusals_lead_back_to_the_codes_they_stand_for() -> None:
    for code in EVERY_ERROR:
        assert code in errors.codes_named(errors.name_of_refusal(code))
