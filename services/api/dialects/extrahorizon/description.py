"""
The Extra Horizon dialect's part of the OpenAPI document: its operations, by method and path, and its schemas.

Limits are taken from the modules that enforce them, so that the description cannot drift from what is checked.
"""

from typing import Any

from services.api.dialects.extrahorizon import bodies, rql_query
from shared.domain.function import Convention, PermissionMode
from shared.domain.runtime import offered

Object = dict[str, Any]

FUNCTIONS = "/tasks/v1/functions"
FUNCTION = FUNCTIONS + "/{name}"
API = "/tasks/v1/api/{name}/{path...}"
API_REQUESTS = "/tasks/v1/apiRequests"
API_REQUEST_LOGS = API_REQUESTS + "/{id}/logs"
TOKENS = "/auth/v2/oauth2/tokens"

_BEARER: list[dict[str, list[str]]] = [{"ExtraHorizonToken": []}, {"ExtraHorizonSignature": []}]
_MEDIA = "application/json"
_TEXT: Object = {"type": "string"}
_WHOLE: Object = {"type": "integer"}
_MOMENT: Object = {"type": "string", "format": "date-time"}
_ID: Object = {"type": "string", "pattern": "^[0-9a-f]{24}$"}


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Object, required: tuple[str, ...] | None = None) -> Object:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }


def _page(items: str, *, counted: bool = True) -> Object:
    numbers = {"offset": _WHOLE, "limit": _WHOLE}
    return _object(
        {
            "page": _object({"total": _WHOLE, **numbers}, tuple(numbers) if not counted else None),
            "data": {"type": "array", "items": _ref(items)},
        }
    )


_SETTINGS: Object = {
    "description": _TEXT,
    "entryPoint": {**_TEXT, "description": "`file.export`, e.g. `index.handler` or `build/index.handler`."},
    "runtime": {**_TEXT, "enum": list(offered(Convention.LAMBDA))},
    "timeLimit": {
        **_WHOLE,
        "minimum": bodies.SHORTEST_TIME_LIMIT_S,
        "maximum": bodies.LONGEST_TIME_LIMIT_S,
        "default": bodies.DEFAULT_TIME_LIMIT_S,
        "description": "Seconds. An API function may take 30.",
    },
    "memoryLimit": {
        **_WHOLE,
        "minimum": bodies.SMALLEST_MEMORY_MB,
        "maximum": bodies.LARGEST_MEMORY_MB,
        "default": bodies.DEFAULT_MEMORY_MB,
        "description": "Megabytes.",
    },
    "environmentVariables": {
        "type": "object",
        "additionalProperties": _object({"value": _TEXT}),
        "description": f"At most {bodies.ENVIRONMENT_BYTES} bytes in all.",
    },
    "executionOptions": _object(
        {
            "permissionMode": {**_TEXT, "enum": [mode.value for mode in PermissionMode]},
            "defaultPriority": _WHOLE,
        },
        (),
    ),
    "retryPolicy": _object({"enabled": {"type": "boolean"}, "errorsToRetry": {"type": "array", "items": _TEXT}}, ()),
}
_CODE: Object = {"type": "string", "contentEncoding": "base64", "description": "The zip of the function's files."}

SCHEMAS: Object = {
    "ExtraHorizonError": _object(
        {
            "code": {**_WHOLE, "description": "What clients tell errors apart by."},
            "name": _TEXT,
            "message": _TEXT,
            "runtimeError": _object({"name": _TEXT, "message": _TEXT}),
        },
        ("code", "name", "message"),
    ),
    "ExtraHorizonTokenError": _object(
        {
            "error": _TEXT,
            "description": _TEXT,
            "exh_error": _object({"code": _WHOLE, "name": _TEXT, "description": _TEXT}),
        }
    ),
    "ExtraHorizonTokens": _object(
        {
            "access_token": _TEXT,
            "token_type": {"const": "bearer"},
            "expires_in": {**_WHOLE, "description": "Seconds."},
            "refresh_token": _TEXT,
            "user_id": _ID,
            "application_id": _ID,
        }
    ),
    "ExtraHorizonNewFunction": _object(
        {"name": {**_TEXT, "pattern": f"^{bodies.NAME.pattern}$"}, "code": _CODE, **_SETTINGS},
        ("name", "code", "entryPoint", "runtime"),
    ),
    "ExtraHorizonFunctionChanges": _object({"code": _CODE, **_SETTINGS}, ()),
    "ExtraHorizonFunction": _object(
        {
            "name": _TEXT,
            "enabled": {"type": "boolean"},
            **_SETTINGS,
            "updateTimestamp": _MOMENT,
        }
    ),
    "ExtraHorizonFunctionSummary": _object({"name": _TEXT, "description": _TEXT, "updateTimestamp": _MOMENT}),
    "ExtraHorizonAffected": _object({"affectedRecords": _WHOLE}),
    "ExtraHorizonApiRequest": _object(
        {
            "id": _ID,
            "functionName": _TEXT,
            "method": _TEXT,
            "path": {**_TEXT, "description": "What follows the function's name, query included."},
            "userId": _ID,
            "applicationId": _ID,
            "timestamp": _MOMENT,
            "statusCode": _WHOLE,
            "duration": {"type": "number", "description": "Seconds."},
            "error": _object(
                {
                    "type": {**_TEXT, "enum": ["invocation", "runtime", "response"]},
                    "name": _TEXT,
                    "message": _TEXT,
                }
            ),
        },
        ("id", "functionName", "method", "path", "timestamp", "statusCode", "duration"),
    ),
    "ExtraHorizonLogLine": _object({"message": _TEXT, "timestamp": _MOMENT}),
}

SECURITY: Object = {
    "ExtraHorizonToken": {
        "type": "http",
        "scheme": "bearer",
        "description": f"An access token of `POST {TOKENS}`.",
    }
}


def _answer(schema: Object, error: str = "ExtraHorizonError") -> Object:
    return {
        "200": {"description": "Done.", "content": {_MEDIA: {"schema": schema}}},
        "4XX": {"description": "Refused.", "content": {_MEDIA: {"schema": _ref(error)}}},
    }


def _operation(
    operation_id: str, summary: str, answer: Object, *, body: Object | None = None, rql: str | None = None
) -> Object:
    operation: Object = {
        "operationId": f"extrahorizon-{operation_id}",
        "summary": summary,
        "security": _BEARER,
        "responses": _answer(answer),
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {_MEDIA: {"schema": body}}}
    if rql is not None:
        operation["description"] = rql
    return operation


_AFFECTED = _ref("ExtraHorizonAffected")
_DETAILS = _ref("ExtraHorizonFunction")
_TOKEN_REQUEST = _object(
    {
        "client_id": _TEXT,
        "client_secret": _TEXT,
        "grant_type": {**_TEXT, "enum": ["password", "refresh_token", "authorization_code"]},
        "username": _TEXT,
        "password": _TEXT,
        "refresh_token": _TEXT,
        "code": _TEXT,
        "code_verifier": {**_TEXT, "description": "For a code that was asked for with a PKCE challenge."},
        "redirect_uri": _TEXT,
    },
    ("client_id", "grant_type"),
)

OPERATIONS: dict[tuple[str, str], Object] = {
    ("POST", TOKENS): {
        **_operation("tokens", "Get tokens by password, refresh token or authorization code", {}, body=_TOKEN_REQUEST),
        "security": [],
        "responses": _answer(_ref("ExtraHorizonTokens"), "ExtraHorizonTokenError"),
    },
    ("GET", FUNCTIONS): _operation("functions", "List functions", _page("ExtraHorizonFunctionSummary")),
    ("POST", FUNCTIONS): _operation(
        "create-function", "Make a function", _DETAILS, body=_ref("ExtraHorizonNewFunction")
    ),
    ("GET", FUNCTION): _operation("function", "Show a function", _DETAILS),
    ("PUT", FUNCTION): _operation(
        "update-function", "Change a function", _AFFECTED, body=_ref("ExtraHorizonFunctionChanges")
    ),
    ("DELETE", FUNCTION): _operation("delete-function", "Remove a function", _AFFECTED),
    ("POST", FUNCTION + "/enable"): _operation("enable-function", "Let a function be called", _AFFECTED),
    ("POST", FUNCTION + "/disable"): _operation("disable-function", "Stop a function from being called", _AFFECTED),
    ("*", API): {
        "operationId": "extrahorizon-call",
        "summary": "Call an API function",
        "description": "The function gets the request as an AWS 2.0 event and answers with status, headers and body. "
        "A token is needed unless the function's permission mode is `public`.",
        "security": [*_BEARER, {}],
        "responses": {
            "default": {"description": "What the function answers."},
            "4XX": {
                "description": "Refused, failed, or answered so by the function.",
                "content": {_MEDIA: {"schema": _ref("ExtraHorizonError")}},
            },
        },
    },
    ("GET", API_REQUESTS): _operation(
        "api-requests",
        "List the calls of API functions",
        _page("ExtraHorizonApiRequest"),
        rql=f"The query is RQL, e.g. `?eq(functionName,greeter)&sort(-timestamp)&limit({rql_query.DEFAULT_LIMIT})`; "
        f"at most {rql_query.MAX_LIMIT} at once.",
    ),
    ("GET", API_REQUEST_LOGS): _operation(
        "api-request-logs",
        "List what a function wrote during a call",
        _page("ExtraHorizonLogLine", counted=False),
        rql="The query is empty or `?ge(timestamp,<ISO 8601>)`.",
    ),
}
