"""
The Extra Horizon dialect's part of the OpenAPI document: its operations, by method and path, and its schemas.

Limits are taken from the modules that enforce them, so that the description cannot drift from what is checked.
"""

from services.api.dialects.extrahorizon import bodies, rql_query
from services.api.dialects.extrahorizon.schema import (
    ID,
    MOMENT,
    TEXT,
    USERS_OWN,
    WHOLE,
    Object,
    answers,
    content,
    object_of,
    operation,
    page_of,
    ref,
)
from shared.domain.function import Convention, PermissionMode
from shared.domain.runtime import offered

FUNCTIONS = "/tasks/v1/functions"
FUNCTION = FUNCTIONS + "/{name}"
API = "/tasks/v1/api/{name}/{path...}"
API_REQUESTS = "/tasks/v1/apiRequests"
API_REQUEST_LOGS = API_REQUESTS + "/{id}/logs"
TOKENS = "/auth/v2/oauth2/tokens"

_SETTINGS: Object = {
    "description": TEXT,
    "entryPoint": {**TEXT, "description": "`file.export`, e.g. `index.handler` or `build/index.handler`."},
    "runtime": {**TEXT, "enum": list(offered(Convention.LAMBDA))},
    "timeLimit": {
        **WHOLE,
        "minimum": bodies.SHORTEST_TIME_LIMIT_S,
        "maximum": bodies.LONGEST_TIME_LIMIT_S,
        "default": bodies.DEFAULT_TIME_LIMIT_S,
        "description": "Seconds. An API function may take 30.",
    },
    "memoryLimit": {
        **WHOLE,
        "minimum": bodies.SMALLEST_MEMORY_MB,
        "maximum": bodies.LARGEST_MEMORY_MB,
        "default": bodies.DEFAULT_MEMORY_MB,
        "description": "Megabytes.",
    },
    "environmentVariables": {
        "type": "object",
        "additionalProperties": object_of({"value": TEXT}),
        "description": f"At most {bodies.ENVIRONMENT_BYTES} bytes in all.",
    },
    "executionOptions": object_of(
        {
            "permissionMode": {**TEXT, "enum": [mode.value for mode in PermissionMode]},
            "defaultPriority": WHOLE,
        },
        (),
    ),
    "retryPolicy": object_of({"enabled": {"type": "boolean"}, "errorsToRetry": {"type": "array", "items": TEXT}}, ()),
}
_CODE: Object = {"type": "string", "contentEncoding": "base64", "description": "The zip of the function's files."}

SCHEMAS: Object = {
    "ExtraHorizonError": object_of(
        {
            "code": {**WHOLE, "description": "What clients tell errors apart by."},
            "name": TEXT,
            "message": TEXT,
            "runtimeError": object_of({"name": TEXT, "message": TEXT}),
        },
        ("code", "name", "message"),
    ),
    "ExtraHorizonTokenError": object_of(
        {
            "error": TEXT,
            "description": TEXT,
            "exh_error": object_of({"code": WHOLE, "name": TEXT, "description": TEXT}),
        }
    ),
    "ExtraHorizonTokens": object_of(
        {
            "access_token": TEXT,
            "token_type": {"const": "bearer"},
            "expires_in": {**WHOLE, "description": "Seconds."},
            "refresh_token": TEXT,
            "user_id": ID,
            "application_id": ID,
        }
    ),
    "ExtraHorizonNewFunction": object_of(
        {"name": {**TEXT, "pattern": f"^{bodies.NAME.pattern}$"}, "code": _CODE, **_SETTINGS},
        ("name", "code", "entryPoint", "runtime"),
    ),
    "ExtraHorizonFunctionChanges": object_of({"code": _CODE, **_SETTINGS}, ()),
    "ExtraHorizonFunction": object_of(
        {
            "name": TEXT,
            "enabled": {"type": "boolean"},
            **_SETTINGS,
            "updateTimestamp": MOMENT,
        }
    ),
    "ExtraHorizonFunctionSummary": object_of({"name": TEXT, "description": TEXT, "updateTimestamp": MOMENT}),
    "ExtraHorizonAffected": object_of({"affectedRecords": WHOLE}),
    "ExtraHorizonApiRequest": object_of(
        {
            "id": ID,
            "functionName": TEXT,
            "method": TEXT,
            "path": {**TEXT, "description": "What follows the function's name, query included."},
            "userId": ID,
            "applicationId": ID,
            "timestamp": MOMENT,
            "statusCode": WHOLE,
            "duration": {"type": "number", "description": "Seconds."},
            "error": object_of(
                {
                    "type": {**TEXT, "enum": ["invocation", "runtime", "response"]},
                    "name": TEXT,
                    "message": TEXT,
                }
            ),
        },
        ("id", "functionName", "method", "path", "timestamp", "statusCode", "duration"),
    ),
    "ExtraHorizonLogLine": object_of({"message": TEXT, "timestamp": MOMENT}),
}

SECURITY: Object = {
    "ExtraHorizonToken": {
        "type": "http",
        "scheme": "bearer",
        "description": f"An access token of `POST {TOKENS}`.",
    }
}


_AFFECTED = ref("ExtraHorizonAffected")
_DETAILS = ref("ExtraHorizonFunction")
_TOKEN_REQUEST = object_of(
    {
        "client_id": TEXT,
        "client_secret": TEXT,
        "grant_type": {**TEXT, "enum": ["password", "refresh_token", "authorization_code"]},
        "username": TEXT,
        "password": TEXT,
        "refresh_token": TEXT,
        "code": TEXT,
        "code_verifier": {**TEXT, "description": "For a code that was asked for with a PKCE challenge."},
        "redirect_uri": TEXT,
    },
    ("client_id", "grant_type"),
)

OPERATIONS: dict[tuple[str, str], Object] = {
    ("POST", TOKENS): {
        **operation("tokens", "Get tokens by password, refresh token or authorization code", {}, body=_TOKEN_REQUEST),
        "security": [],
        "responses": answers(ref("ExtraHorizonTokens"), "ExtraHorizonTokenError"),
    },
    ("GET", FUNCTIONS): operation("functions", "List functions", page_of("ExtraHorizonFunctionSummary")),
    ("POST", FUNCTIONS): operation("create-function", "Make a function", _DETAILS, body=ref("ExtraHorizonNewFunction")),
    ("GET", FUNCTION): operation("function", "Show a function", _DETAILS),
    ("PUT", FUNCTION): operation(
        "update-function", "Change a function", _AFFECTED, body=ref("ExtraHorizonFunctionChanges")
    ),
    ("DELETE", FUNCTION): operation("delete-function", "Remove a function", _AFFECTED),
    ("POST", FUNCTION + "/enable"): operation("enable-function", "Let a function be called", _AFFECTED),
    ("POST", FUNCTION + "/disable"): operation("disable-function", "Stop a function from being called", _AFFECTED),
    ("*", API): {
        "operationId": "extrahorizon-call",
        "summary": "Call an API function",
        "description": "The function gets the request as an AWS 2.0 event and answers with status, headers and body. "
        "A token is needed unless the function's permission mode is `public`.",
        "security": [*USERS_OWN, {}],
        "responses": {
            "default": {"description": "What the function answers."},
            "4XX": {
                "description": "Refused, failed, or answered so by the function.",
                "content": content(ref("ExtraHorizonError")),
            },
        },
    },
    ("GET", API_REQUESTS): operation(
        "api-requests",
        "List the calls of API functions",
        page_of("ExtraHorizonApiRequest"),
        more=f"The query is RQL, e.g. `?eq(functionName,greeter)&sort(-timestamp)&limit({rql_query.DEFAULT_LIMIT})`; "
        f"at most {rql_query.MAX_LIMIT} at once.",
    ),
    ("GET", API_REQUEST_LOGS): operation(
        "api-request-logs",
        "List what a function wrote during a call",
        page_of("ExtraHorizonLogLine"),
        more="The query is empty or `?ge(timestamp,<ISO 8601>)`.",
    ),
}
