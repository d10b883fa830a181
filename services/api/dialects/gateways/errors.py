"""
Platform errors in the words of the Gateways dialect: ``{"error", "message"}``, sometimes more keys (section 2.3).

The status comes from the error's own code where the contract names it, else from its kind; ``error`` says which
case it is, ``message`` what is wrong with this request.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from services.api.http import json_response
from shared.domain.errors import Kind, PlatformError

_BY_CODE: Mapping[str, tuple[int, str]] = {
    "function.not_found": (404, "Function not found"),
    "account.quota_exceeded": (403, "Plan limit exceeded"),
    "route.method_not_allowed": (405, "Method not allowed"),
    "access.too_many_failed_logins": (429, "Too many failed logins"),
    "cloud.denied": (403, "Insufficient permissions"),
    "cloud.refused": (500, "Refused by the cloud provider"),
    "cloud.unavailable": (500, "Cloud provider unavailable"),
}
_BY_KIND: Mapping[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "Bad Request"),
    Kind.UNAUTHENTICATED: (401, "Unauthorized"),
    Kind.FORBIDDEN: (403, "Forbidden"),
    Kind.NOT_FOUND: (404, "Not found"),
    Kind.CONFLICT: (409, "Conflict"),
    Kind.TOO_LARGE: (413, "Payload too large"),
    Kind.THROTTLED: (429, "Too many requests"),
    Kind.TIMEOUT: (503, "Service unavailable"),
    Kind.UNAVAILABLE: (503, "Service unavailable"),
    Kind.INTERNAL: (500, "Internal Server Error"),
}
_NOT_CONNECTED: Mapping[Any, str] = {
    "none": "No cloud connection",
    "not active": "Cloud connection not active",
    "refused": "Cloud connection failed",
}
_LATER = (429, 503)
_RETRY_AFTER_S = 1
_TOLD_OTHERWISE = frozenset({"what", "case", "allow", "limit", "currentValue", "maxKeys", "reset_in_seconds"})


def render(error: PlatformError) -> web.Response:
    """Return a platform error as this dialect's answer."""
    status, title = _BY_CODE.get(error.code) or _BY_KIND[error.kind]
    more: dict[str, Any] = {name: value for name, value in error.fields.items() if name not in _TOLD_OTHERWISE}
    if "maxKeys" in error.fields:
        status, title = 429, "Too many API keys"
        more["maxKeys"] = error.fields["maxKeys"]
    elif error.code == "account.quota_exceeded":
        more |= {name: error.fields[name] for name in ("currentValue", "limit") if name in error.fields}
        more["upgradeRequired"] = True
    elif error.code == "cloud.not_connected":
        title = _NOT_CONNECTED.get(error.fields.get("issue"), title)
    elif "case" in error.fields:
        title = str(error.fields["case"])
    elif "what" in error.fields:
        title = f"{error.fields['what']} not found"
    response = json_response({"error": title, "message": error.message, **more}, status)
    if error.kind in (Kind.THROTTLED, Kind.TIMEOUT, Kind.UNAVAILABLE) and status in _LATER:
        response.headers["Retry-After"] = str(error.fields.get("reset_in_seconds", _RETRY_AFTER_S))
    return response
