"""
The Neo dialect's part of the OpenAPI document: its operations, by method and path, and its schemas.

Limits are taken from the modules that enforce them, so that the description cannot drift from what is checked.
"""

from typing import Any

from services.api.dialects.neo import bodies, queries
from shared.domain.function import Convention
from shared.domain.runtime import offered

Object = dict[str, Any]

_RUNTIMES = list(offered(Convention.NEO))
_MEDIA = "application/json"
_SECURITY: list[dict[str, list[str]]] = [{"ApiKey": []}, {"ApiKeyAsBearer": []}]


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Object, required: tuple[str, ...] | None = None) -> Object:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }


def _or_null(kind: str, **more: Any) -> Object:
    return {"type": [kind, "null"], **more}


def _envelope(data: Object, *, paged: bool = False) -> Object:
    properties = {"success": {"const": True}, "data": data}
    if paged:
        properties["pagination"] = _ref("NeoPagination")
    return _object(properties)


_TEXT: Object = {"type": "string"}
_MOMENT: Object = {"type": "string", "format": "date-time"}
_STRINGS: Object = {"type": "array", "items": _TEXT}
_VARIABLES: Object = {
    "type": "object",
    "additionalProperties": _TEXT,
    "maxProperties": bodies.MAX_VARIABLES,
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
}
_SECRETS: Object = {**_STRINGS, "maxItems": bodies.MAX_SECRETS, "description": "Names of secrets to grant."}

_WRITABLE: Object = {
    "name": {"type": "string", "pattern": f"^{bodies.NAME.pattern}$"},
    "code": {
        "type": "string",
        "minLength": 1,
        "maxLength": bodies.MAX_CODE_BYTES,
        "description": "A CommonJS module: `module.exports = async (context) => ...`",
    },
    "runtime": {"type": "string", "enum": _RUNTIMES},
    "description": {"type": "string", "maxLength": bodies.MAX_DESCRIPTION, "default": ""},
    "timeout": {
        "type": "integer",
        "minimum": 1,
        "maximum": bodies.MAX_TIMEOUT_S,
        "default": bodies.DEFAULT_TIMEOUT_S,
        "description": "Seconds.",
    },
    "environment": _VARIABLES,
    "secrets": _SECRETS,
    "tags": {
        "type": "array",
        "maxItems": bodies.MAX_TAGS,
        "items": {"type": "string", "minLength": 1, "maxLength": bodies.MAX_TAG},
    },
}
_LISTED: Object = {
    "id": _TEXT,
    "name": _TEXT,
    "description": _TEXT,
    "runtime": _TEXT,
    "status": {"type": "string", "enum": ["active", "inactive"]},
    "createdAt": _MOMENT,
    "updatedAt": _MOMENT,
    "tags": _STRINGS,
}
_FUNCTION: Object = {
    **_LISTED,
    "timeout": {"type": "integer"},
    "environment": _VARIABLES,
    "secrets": _SECRETS,
    "code": _or_null("string", description="Null for a function that was uploaded as a package."),
}
_EXECUTION: Object = {
    "id": _TEXT,
    "status": {"type": "string", "enum": ["running", "completed", "failed"]},
    "startedAt": _MOMENT,
    "completedAt": _or_null("string", format="date-time"),
    "duration": _or_null("integer", description="Milliseconds."),
    "params": {"type": "object"},
    "hasResult": {"type": "boolean"},
    "hasError": {"type": "boolean"},
}
_STATS: Object = _object(
    {
        "invocations": _object({name: {"type": "integer"} for name in ("total", "success", "failed", "last24Hours")}),
        "averageExecutionTime": {"type": "integer", "description": "Milliseconds."},
        "lastInvocation": _or_null("string", format="date-time"),
    }
)
_RUN_ERROR: Object = {"name": _TEXT, "message": _TEXT, "stack": _TEXT}
_WITHOUT_CODE = tuple(name for name in _FUNCTION if name != "code")

SCHEMAS: Object = {
    "NeoError": _object(
        {
            "success": {"const": False},
            "error": _object(
                {"code": _TEXT, "message": _TEXT, "details": {"type": "object"}}, required=("code", "message")
            ),
        }
    ),
    "NeoPagination": _object(
        {
            "total": {"type": "integer"},
            "limit": {"type": "integer"},
            "offset": {"type": "integer"},
            "hasMore": {"type": "boolean"},
        }
    ),
    "NeoNewFunction": _object(_WRITABLE, required=("name", "code", "runtime")),
    "NeoFunctionPatch": {
        **_object({**_WRITABLE, "status": _LISTED["status"]}, required=()),
        "minProperties": 1,
    },
    "NeoListedFunction": _object({**_LISTED, "lastInvocation": _or_null("string", format="date-time")}),
    "NeoFunction": _object(_FUNCTION),
    "NeoFunctionDetails": _object({**_FUNCTION, "stats": _STATS}, required=(*_WITHOUT_CODE, "stats")),
    "NeoExecution": _object(_EXECUTION),
    "NeoExecutionDetails": _object(
        {
            **_EXECUTION,
            "functionId": _TEXT,
            "result": {"description": "Any JSON; only of a completed execution."},
            "error": _object(_RUN_ERROR),
            "logs": {
                "type": "array",
                "items": _object({"timestamp": _MOMENT, "level": _TEXT, "message": _TEXT}),
            },
        },
        required=(*_EXECUTION, "functionId", "logs"),
    ),
    "NeoInvocation": _object(
        {"params": {"type": "object"}, "async": {"type": "boolean", "default": False}}, required=()
    ),
}
SECURITY: Object = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "ApiKeyAsBearer": {"type": "http", "scheme": "bearer", "description": "The API key as a bearer token."},
}

_ERRORS: Object = {
    "400": "The request is malformed or a field is wrong.",
    "401": "No API key, or one that is not valid.",
    "403": "The key lacks a permission.",
    "404": "No such function or execution.",
    "503": "The platform cannot take this now.",
}


def _query(name: str, schema: Object, text: str = "") -> Object:
    parameter = {"name": name, "in": "query", "required": False, "schema": schema}
    return {**parameter, "description": text} if text else parameter


def _operation(name: str, summary: str, answer: Object, *, status: str = "200", **more: Any) -> Object:
    failures = {
        code: {"description": text, "content": {_MEDIA: {"schema": _ref("NeoError")}}} for code, text in _ERRORS.items()
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": _SECURITY,
        "responses": {status: {"description": "Done.", "content": {_MEDIA: {"schema": answer}}}, **failures},
        **more,
    }


def _body(schema: Object, *, required: bool = True) -> Object:
    return {"required": required, "content": {_MEDIA: {"schema": schema}}}


_PAGE = [
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": queries.MAX_LIMIT, "default": queries.DEFAULT_LIMIT},
    ),
    _query("offset", {"type": "integer", "minimum": 0, "default": 0}),
]
_FUNCTIONS = "/v1/functions"
_ONE = _FUNCTIONS + "/{functionId}"
_INVOKED = _object(
    {
        "execution": _object(
            {name: _EXECUTION[name] for name in ("id", "status", "startedAt", "completedAt", "duration")},
            required=("id", "status", "startedAt"),
        ),
        "result": {"description": "Any JSON; absent when asynchronous."},
    },
    required=("execution",),
)

OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", "/v1/health"): {
        **_operation("neoHealth", "Tell how the service is", _envelope({"type": "object"})),
        "security": [],
    },
    ("GET", _FUNCTIONS): _operation(
        "neoListFunctions",
        "List functions",
        _envelope({"type": "array", "items": _ref("NeoListedFunction")}, paged=True),
        parameters=[
            *_PAGE,
            _query("tag", _TEXT, "One tag, matched exactly."),
            _query("runtime", {"type": "string", "enum": _RUNTIMES}),
            _query("status", _LISTED["status"]),
            _query("sort", {"type": "string", "enum": ["createdAt", "name", "updatedAt"], "default": "createdAt"}),
            _query("order", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}),
        ],
    ),
    ("POST", _FUNCTIONS): _operation(
        "neoCreateFunction",
        "Create a function",
        _envelope(_ref("NeoFunction")),
        status="201",
        requestBody=_body(_ref("NeoNewFunction")),
    ),
    ("GET", _ONE): _operation(
        "neoGetFunction",
        "Read a function, by id or by name",
        _envelope(_ref("NeoFunctionDetails")),
        parameters=[_query("include_code", {"type": "boolean", "default": False})],
    ),
    ("PUT", _ONE): _operation(
        "neoUpdateFunction",
        "Change a function; fields left out stay",
        _envelope(_ref("NeoFunction")),
        requestBody=_body(_ref("NeoFunctionPatch")),
    ),
    ("DELETE", _ONE): _operation(
        "neoDeleteFunction",
        "Delete a function",
        _envelope(_object({"id": _TEXT, "deleted": {"const": True}})),
    ),
    ("POST", _ONE + "/invoke"): _operation(
        "neoInvokeFunction",
        "Run a function; 202 when asynchronous, 500 `execution_error` when a synchronous run fails",
        _envelope(_INVOKED),
        requestBody=_body(_ref("NeoInvocation"), required=False),
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                "description": "Asynchronous runs: the same key within 24 h gives the first execution again.",
            }
        ],
    ),
    ("GET", _ONE + "/executions"): _operation(
        "neoListExecutions",
        "List executions, newest first",
        _envelope({"type": "array", "items": _ref("NeoExecution")}, paged=True),
        parameters=[
            *_PAGE,
            _query("status", _EXECUTION["status"]),
            _query("start_date", _TEXT, "ISO 8601; included."),
            _query("end_date", _TEXT, "ISO 8601; included."),
        ],
    ),
    ("GET", _ONE + "/executions/{executionId}"): _operation(
        "neoGetExecution", "Read an execution with its logs", _envelope(_ref("NeoExecutionDetails"))
    ),
    ("GET", _ONE + "/environment"): _operation(
        "neoGetEnvironment", "Read the environment variables", _envelope(_object({"environment": _VARIABLES}))
    ),
    ("PUT", _ONE + "/environment"): _operation(
        "neoPutEnvironment",
        "Replace the environment variables",
        _envelope(_object({"environment": _VARIABLES})),
        requestBody=_body(_object({"environment": _VARIABLES})),
    ),
    ("PUT", _ONE + "/secrets"): _operation(
        "neoPutSecrets",
        "Replace the grants of secrets",
        _envelope(_object({"secrets": _SECRETS})),
        requestBody=_body(_object({"secrets": _SECRETS})),
    ),
}
_invoke_responses = OPERATIONS["POST", _ONE + "/invoke"]["responses"]
_invoke_responses["202"] = {**_invoke_responses["200"], "description": "Accepted; poll the execution."}
_invoke_responses["500"] = {**_invoke_responses["400"], "description": "The function failed, or we did."}
