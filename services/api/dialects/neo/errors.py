"""
Platform errors and failed runs in the words of the Neo dialect (contracts/neo.md sections 3.6 and 3.12).

Status and code come from the error's own code where the contract names it, else from its kind.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from services.api.http import json_response
from shared.domain.errors import Kind, PlatformError
from shared.domain.outcome import Failure
from shared.domain.run_error import run_error

EXECUTION_ID = "X-Execution-Id"
_BY_CODE: Mapping[str, tuple[int, str]] = {
    "code.invalid": (400, "invalid_function_code"),
    "function.not_found": (404, "function_not_found"),
    "execution.not_found": (404, "execution_not_found"),
    "route.method_not_allowed": (405, "method_not_allowed"),
    "resource.illegal_state": (400, "invalid_request"),
}
_BY_KIND: Mapping[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "invalid_request"),
    Kind.UNAUTHENTICATED: (401, "unauthorized"),
    Kind.FORBIDDEN: (403, "forbidden"),
    Kind.NOT_FOUND: (404, "not_found"),
    Kind.CONFLICT: (409, "conflict"),
    Kind.TOO_LARGE: (413, "invalid_request"),
    Kind.THROTTLED: (429, "rate_limit_exceeded"),
    Kind.TIMEOUT: (503, "service_unavailable"),
    Kind.UNAVAILABLE: (503, "service_unavailable"),
    Kind.INTERNAL: (500, "internal_error"),
}
_RETRY_AFTER_S = 1
_NOT_DETAILS = frozenset({"execution_id", "allow"})


def render(error: PlatformError) -> web.Response:
    """Return a platform error as this dialect's answer."""
    status, code = _BY_CODE.get(error.code) or _BY_KIND[error.kind]
    body: dict[str, Any] = {"code": code, "message": error.message}
    details: dict[str, str | int] = {name: value for name, value in error.fields.items() if name not in _NOT_DETAILS}
    if code == "invalid_function_code":
        details = {"message": error.message, **details}
    if error.kind is Kind.THROTTLED:
        details.setdefault("reset_in_seconds", _RETRY_AFTER_S)
    if "execution_id" in error.fields:
        details["executionId"] = f"exec_{error.fields['execution_id']}"
    if details:
        body["details"] = details
    response = json_response({"success": False, "error": body}, status)
    if "execution_id" in error.fields:
        response.headers[EXECUTION_ID] = str(details["executionId"])
    if error.kind in (Kind.THROTTLED, Kind.TIMEOUT, Kind.UNAVAILABLE):
        response.headers["Retry-After"] = str(error.fields.get("reset_in_seconds", _RETRY_AFTER_S))
    return response


def render_failure(failure: Failure, execution_id: str) -> web.Response:
    """Return a failed synchronous run: HTTP 500 although the server is well, as the dialect's document says."""
    details = {**run_error(failure), "executionId": execution_id}
    error = {
        "code": "execution_error",
        "message": "An error occurred during function execution",
        "details": details,
    }
    response = json_response({"success": False, "error": error}, 500)
    response.headers[EXECUTION_ID] = execution_id
    return response
