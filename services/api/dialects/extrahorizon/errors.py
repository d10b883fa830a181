"""
Every platform error and every failure of a function, in Extra Horizon's words.

The envelope is ``{"code", "name", "message"}``, plus ``runtimeError`` where code of the user failed and ``taskId``
where the answer is about a task; the table is
contracts/extrahorizon.md section 10. Clients choose their error class by ``code`` alone. What a function did
wrong is always a 400: clients repeat a GET that was answered with a 5xx, and would run the function again. The
token endpoint speaks OAuth2's own error shape, without ``code`` at the top (section 2.2).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from shared.domain.errors import Kind, PlatformError
from shared.domain.outcome import Failure

TOKEN_PATH = "/auth/v2/oauth2/tokens"  # noqa: S105 - a path, not a secret
API_PATH = "/tasks/v1/api/"

RUNTIME_ERROR_MESSAGE = "Invoking the Lambda function resulted in a runtime error."
_RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Rendering:
    """How an error is said: HTTP status, code number and name."""

    status: int
    number: int
    name: str


_SERVER = Rendering(500, 1, "SERVER_EXCEPTION")
_UNREACHABLE = Rendering(503, 4, "SERVICE_UNREACHABLE_EXCEPTION")
_NO_PERMISSION = Rendering(401, 10, "NO_PERMISSION_EXCEPTION")
_FIELD_FORMAT = Rendering(400, 15, "FIELD_FORMAT_EXCEPTION")
_UNKNOWN_RESOURCE = Rendering(404, 16, "RESOURCE_UNKNOWN_EXCEPTION")
_ALREADY_EXISTS = Rendering(400, 17, "RESOURCE_ALREADY_EXISTS_EXCEPTION")
_ILLEGAL_ARGUMENT = Rendering(400, 26, "ILLEGAL_ARGUMENT_EXCEPTION")
_ILLEGAL_STATE = Rendering(400, 27, "ILLEGAL_STATE_EXCEPTION")
_NO_USER = Rendering(401, 104, "USER_NOT_AUTHENTICATED_EXCEPTION")
_INVALID_CODE = Rendering(400, 1401, "INVALID_FUNCTION_CODE_EXCEPTION")
_INVOCATION = Rendering(400, 1405, "LAMBDA_INVOCATION_EXCEPTION")
_RUNTIME = Rendering(400, 1406, "LAMBDA_RUNTIME_EXCEPTION")
_THROTTLED = Rendering(400, 1412, "CONCURRENT_API_FUNCTION_LIMIT_EXCEPTION")
_ENDPOINT = Rendering(404, 2, "ENDPOINT_EXCEPTION")
"""Its number is not published; clients know no 2."""
_TOO_LARGE = Rendering(413, _ILLEGAL_ARGUMENT.number, _ILLEGAL_ARGUMENT.name)

_BY_CODE = {
    "request.invalid": _FIELD_FORMAT,
    "request.malformed_body": Rendering(400, 22, "BODY_FORMAT_EXCEPTION"),
    "request.empty_body": Rendering(400, 13, "EMPTY_BODY_EXCEPTION"),
    "request.missing_field": Rendering(400, 14, "MISSING_REQUIRED_FIELDS_EXCEPTION"),
    "request.malformed_id": Rendering(400, 12, "ID_FORMAT_EXCEPTION"),
    "request.invalid_query": Rendering(400, 19, "INVALID_RQL_EXCEPTION"),
    "request.empty_query": Rendering(400, 20, "EMPTY_RQL_EXCEPTION"),
    "request.slow_query": Rendering(401, 21, "LONG_QUERY_EXCEPTION"),
    "request.too_large": _TOO_LARGE,
    "function.invalid_name": Rendering(400, 1407, "INVALID_FUNCTION_NAME_EXCEPTION"),
    "package.invalid": _INVALID_CODE,
    "code.invalid": _INVALID_CODE,
    "function.environment_too_large": Rendering(400, 1402, "INVALID_FUNCTION_CONFIGURATION_EXCEPTION"),
    "access.unauthenticated": _NO_USER,
    "access.unknown_token": Rendering(401, 117, "ACCESS_TOKEN_UNKNOWN_EXCEPTION"),
    "access.expired_token": Rendering(401, 118, "ACCESS_TOKEN_EXPIRED_EXCEPTION"),
    "access.wrong_password": Rendering(401, 106, "AUTHENTICATION_EXCEPTION"),
    "access.unknown_refresh_token": Rendering(400, 119, "REFRESH_TOKEN_UNKNOWN_EXCEPTION"),
    "access.expired_refresh_token": Rendering(400, 120, "REFRESH_TOKEN_EXPIRED_EXCEPTION"),
    "access.unknown_client": Rendering(401, 123, "OAUTH2_CLIENT_ID_EXCEPTION"),
    "access.wrong_client_secret": Rendering(401, 124, "OAUTH2_CLIENT_SECRET_EXCEPTION"),
    "access.missing_client": Rendering(401, 126, "OAUTH2_MISSING_CLIENT_CREDENTIALS_EXCEPTION"),
    "access.unsigned": Rendering(401, 101, "APPLICATION_NOT_AUTHENTICATED_EXCEPTION"),
    "access.unknown_consumer": Rendering(401, 107, "OAUTH_KEY_EXCEPTION"),
    "access.unknown_signed_token": Rendering(401, 108, "OAUTH_TOKEN_EXCEPTION"),
    "access.wrong_signature": Rendering(401, 109, "OAUTH_SIGNATURE_EXCEPTION"),
    "access.reused_nonce": Rendering(401, 110, "DUPLICATE_REQUEST_EXCEPTION"),
    "access.unknown_application": Rendering(400, 103, "APPLICATION_UNKNOWN_EXCEPTION"),
    "access.invalid_callback": Rendering(400, 113, "CALLBACK_NOT_VALID"),
    "access.unsupported_response_type": Rendering(400, 114, "UNSUPPORTED_RESPONSE_TYPE"),
    "access.unknown_authorization": Rendering(400, 115, "AUTHORIZATION_UNKNOWN_EXCEPTION"),
    "access.expired_authorization": Rendering(400, 116, "AUTHORIZATION_CODE_EXPIRED_EXCEPTION"),
    "access.wrong_verifier": Rendering(400, 122, "INVALID_PKCE_EXCEPTION"),
    "access.missing_verifier": Rendering(400, 128, "MISSING_PKCE_VERIFIER_EXCEPTION"),
    "access.forbidden": _NO_PERMISSION,
    "account.quota_exceeded": _ILLEGAL_STATE,
    "resource.not_found": _UNKNOWN_RESOURCE,
    "function.not_found": _UNKNOWN_RESOURCE,
    "execution.not_found": _UNKNOWN_RESOURCE,
    "cloud.function_gone": _UNKNOWN_RESOURCE,
    "cloud.not_connected": _INVOCATION,
    "cloud.denied": _INVOCATION,
    "cloud.refused": _INVOCATION,
    "cloud.unavailable": _UNREACHABLE,
    "route.not_found": _ENDPOINT,
    "route.method_not_allowed": _ENDPOINT,
    "function.name_taken": _ALREADY_EXISTS,
    "user.email_used": Rendering(400, 203, "EMAIL_USED_EXCEPTION"),
    "user.weak_password": Rendering(400, 208, "PASSWORD_EXCEPTION"),
    "resource.illegal_state": _ILLEGAL_STATE,
    "function.time_limit_too_long": Rendering(400, 1411, "TIME_LIMIT_EXCEEDS_API_FUNCTION_MAXIMUM_EXCEPTION"),
    "logs.none": Rendering(400, 1413, "NO_API_REQUEST_LOGS_FOUND"),
    "invocation.throttled": _THROTTLED,
    "execution.throttled": Rendering(400, 1403, "CONCURRENT_EXECUTION_LIMIT_EXCEPTION"),
    "access.rate_limited": Rendering(429, 429, "TOO_MANY_REQUESTS_EXCEPTION"),  # no number is published
    "access.too_many_failed_logins": Rendering(401, 212, "LOGIN_FREEZE_EXCEPTION"),
    "platform.unavailable": _UNREACHABLE,
    "invocation.start_failed": _INVOCATION,
    "invocation.deadline": _INVOCATION,
    "execution.interrupted": _INVOCATION,
    "internal.unexpected": _SERVER,
    "seal.broken": _SERVER,
}

_BY_KIND = {
    Kind.INVALID: _FIELD_FORMAT,
    Kind.UNAUTHENTICATED: _NO_USER,
    Kind.FORBIDDEN: _NO_PERMISSION,
    Kind.NOT_FOUND: _UNKNOWN_RESOURCE,
    Kind.CONFLICT: _ILLEGAL_STATE,
    Kind.TOO_LARGE: _TOO_LARGE,
    Kind.THROTTLED: _THROTTLED,
    Kind.TIMEOUT: _INVOCATION,
    Kind.UNAVAILABLE: _UNREACHABLE,
    Kind.INTERNAL: _SERVER,
}

_OAUTH_ERRORS = {
    13: "invalid_request",
    14: "invalid_request",
    15: "invalid_request",
    22: "invalid_request",
    106: "invalid_grant",
    113: "invalid_grant",
    115: "invalid_grant",
    116: "invalid_grant",
    119: "invalid_grant",
    120: "invalid_grant",
    122: "invalid_grant",
    123: "invalid_client",
    124: "invalid_client",
    126: "invalid_client",
    128: "invalid_request",
    212: "invalid_grant",
}
_TOO_MANY = 429

OTHER_SERVICES = (
    "/configurations/v2",
    "/data/v1",
    "/dispatchers/v1",
    "/events/v1",
    "/files/v1",
    "/localizations/v1",
    "/logs/v1",
    "/mail/v1",
    "/notifications/v1",
    "/notifications/v2",
    "/payments/v1",
    "/profiles/v1",
    "/templates/v1",
    "/templates/v2",
)
"""Where clients look for services of Extra Horizon that there are none of here: they have an error for that."""

_PLACES: tuple[tuple[re.Pattern[str], Mapping[str, Rendering]], ...] = (
    (re.compile(API_PATH), {"request.too_large": _INVOCATION}),
    (
        re.compile(r"/tasks/v1/functions/[^/]+/execute/?$"),
        {
            "request.too_large": _INVOCATION,
            "function.time_limit_too_long": Rendering(
                400, 1404, "TIME_LIMIT_EXCEEDS_DIRECT_EXECUTION_MAXIMUM_EXCEPTION"
            ),
        },
    ),
    (re.compile(r"/tasks/v1/[0-9a-f]{24}/logs/?$"), {"logs.none": Rendering(400, 1408, "NO_TASK_LOGS_FOUND")}),
    (
        re.compile(rf"(?:{'|'.join(OTHER_SERVICES)})(?:/|$)"),
        {"route.not_found": Rendering(404, 903, "SERVICE_NOT_FOUND_EXCEPTION")},
    ),
)
"""Where an error is said in other words than elsewhere, by path."""


def rendering_of(error: PlatformError, path: str = "") -> Rendering:
    """Return how an error is said, also one this table does not list; ``path`` is the request's."""
    for place, renderings in _PLACES:
        if error.code in renderings and place.match(path):
            return renderings[error.code]
    return _BY_CODE.get(error.code) or _BY_KIND[error.kind]


def name_of_refusal(code: str) -> str:
    """Return Extra Horizon's name for the platform's error code, as an API Request's record shows it."""
    if code == "request.too_large":
        return _INVOCATION.name
    return _BY_CODE.get(code, _SERVER).name


def names_of_refusals() -> set[str]:
    """Return every name that ``name_of_refusal`` gives."""
    return {name_of_refusal(code) for code in _BY_CODE}


def codes_named(name: str) -> list[str]:
    """Return the platform's error codes that a record shows under this name."""
    return [code for code in _BY_CODE if name_of_refusal(code) == name]


def error_response(error: PlatformError, path: str) -> web.Response:
    """Render an error for the path it happened on."""
    rendering = rendering_of(error, path)
    if path.rstrip("/") == TOKEN_PATH:
        response = _oauth_error(error, rendering)
    else:
        response = _answer(rendering.status, _envelope(rendering, error.message, error.fields.get("task_id")))
    if error.kind is Kind.UNAVAILABLE or response.status == _TOO_MANY or "reset_in_seconds" in error.fields:
        response.headers["Retry-After"] = str(error.fields.get("reset_in_seconds", _RETRY_AFTER_S))
    return response


def failure_response(failure: Failure, task_id: str | None = None) -> web.Response:
    """Render what a function did wrong while somebody waited: called as an API, or executed as a task."""
    match failure.kind:
        case "invalid_response":
            return _answer(400, {"code": 1409, "name": failure.name, "message": failure.message})
        case "refused" | "interrupted":
            return _answer(400, _envelope(_INVOCATION, failure.message, task_id))
        case _:
            envelope = _envelope(_RUNTIME, RUNTIME_ERROR_MESSAGE, task_id)
            envelope["runtimeError"] = {"name": failure.name, "message": failure.message}
            return _answer(400, envelope)


def unsupported_grant(grant_type: str) -> web.Response:
    """Refuse a grant type this server does not offer."""
    message = f"The grant type {grant_type!r} is not supported."
    return _oauth_answer(400, "unsupported_grant_type", Rendering(400, 121, "UNSUPPORTED_GRANT_EXCEPTION"), message)


def _oauth_error(error: PlatformError, rendering: Rendering) -> web.Response:
    kind = _OAUTH_ERRORS.get(rendering.number)
    if kind is None:
        return _answer(rendering.status, _envelope(rendering, error.message))
    # A wrong password is a 401 elsewhere; OAuth2 wants every bad grant to be a 400.
    status = 400 if kind == "invalid_grant" else rendering.status
    return _oauth_answer(status, kind, rendering, error.message)


def _oauth_answer(status: int, kind: str, rendering: Rendering, message: str) -> web.Response:
    inner = {"code": rendering.number, "name": rendering.name, "description": message}
    response = _answer(status, {"error": kind, "description": message, "exh_error": inner})
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    if status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = 'Basic realm="tidemill"'
    return response


def _envelope(rendering: Rendering, message: str, task_id: str | int | None = None) -> dict[str, Any]:
    envelope: dict[str, Any] = {"code": rendering.number, "name": rendering.name, "message": message}
    return envelope if task_id is None else {**envelope, "taskId": task_id}


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
