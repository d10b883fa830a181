"""
The Neo dialect's part of the OpenAPI document: its operations, by method and path, and its schemas.

Limits are taken from the modules that enforce them, so that the description cannot drift from what is checked.
"""

from services.api.dialects.idempotency import parameter
from services.api.dialects.neo import bodies
from services.api.dialects.neo.schema import (
    MOMENT,
    STRINGS,
    TEXT,
    Object,
    an_object,
    body,
    envelope,
    operation,
    or_null,
    paging,
    query,
    ref,
)
from shared.domain.function import Convention
from shared.domain.runtime import offered

_RUNTIMES = list(offered(Convention.NEO))

_VARIABLES: Object = {
    "type": "object",
    "additionalProperties": TEXT,
    "maxProperties": bodies.MAX_VARIABLES,
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
}
_SECRETS: Object = {**STRINGS, "maxItems": bodies.MAX_SECRETS, "description": "Names of secrets to grant."}

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
    "id": TEXT,
    "name": TEXT,
    "description": TEXT,
    "runtime": TEXT,
    "status": {"type": "string", "enum": ["active", "inactive"]},
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
    "tags": STRINGS,
}
_FUNCTION: Object = {
    **_LISTED,
    "timeout": {"type": "integer"},
    "environment": _VARIABLES,
    "secrets": _SECRETS,
    "code": or_null("string", description="Null for a function that was uploaded as a package."),
}
_EXECUTION: Object = {
    "id": TEXT,
    "status": {"type": "string", "enum": ["running", "completed", "failed"]},
    "startedAt": MOMENT,
    "completedAt": or_null("string", format="date-time"),
    "duration": or_null("integer", description="Milliseconds."),
    "params": {"type": "object"},
    "hasResult": {"type": "boolean"},
    "hasError": {"type": "boolean"},
}
_STATS: Object = an_object(
    {
        "invocations": an_object({name: {"type": "integer"} for name in ("total", "success", "failed", "last24Hours")}),
        "averageExecutionTime": {"type": "integer", "description": "Milliseconds."},
        "lastInvocation": or_null("string", format="date-time"),
    }
)
_RUN_ERROR: Object = {"name": TEXT, "message": TEXT, "stack": TEXT}
_WITHOUT_CODE = tuple(name for name in _FUNCTION if name != "code")

SCHEMAS: Object = {
    "NeoError": an_object(
        {
            "success": {"const": False},
            "error": an_object(
                {"code": TEXT, "message": TEXT, "details": {"type": "object"}}, required=("code", "message")
            ),
        }
    ),
    "NeoPagination": an_object(
        {
            "total": {"type": "integer"},
            "limit": {"type": "integer"},
            "offset": {"type": "integer"},
            "hasMore": {"type": "boolean"},
        }
    ),
    "NeoNewFunction": an_object(_WRITABLE, required=("name", "code", "runtime")),
    "NeoFunctionPatch": {
        **an_object({**_WRITABLE, "status": _LISTED["status"]}, required=()),
        "minProperties": 1,
    },
    "NeoListedFunction": an_object({**_LISTED, "lastInvocation": or_null("string", format="date-time")}),
    "NeoFunction": an_object(_FUNCTION),
    "NeoFunctionDetails": an_object({**_FUNCTION, "stats": _STATS}, required=(*_WITHOUT_CODE, "stats")),
    "NeoExecution": an_object(_EXECUTION),
    "NeoExecutionDetails": an_object(
        {
            **_EXECUTION,
            "functionId": TEXT,
            "result": {"description": "Any JSON; only of a completed execution."},
            "error": an_object(_RUN_ERROR),
            "logs": {
                "type": "array",
                "items": an_object({"timestamp": MOMENT, "level": TEXT, "message": TEXT}),
            },
            "receipt": {
                "oneOf": [ref("NeoReceipt"), {"type": "null"}],
                "description": "Null while the run goes on, and for a moment after that.",
            },
        },
        required=(*_EXECUTION, "functionId", "logs", "receipt"),
    ),
    "NeoInvocation": an_object(
        {"params": {"type": "object"}, "async": {"type": "boolean", "default": False}}, required=()
    ),
}
SECURITY: Object = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "ApiKeyAsBearer": {"type": "http", "scheme": "bearer", "description": "The API key as a bearer token."},
}

_FUNCTIONS = "/v1/functions"
_ONE = _FUNCTIONS + "/{functionId}"
_INVOKED = an_object(
    {
        "execution": an_object(
            {name: _EXECUTION[name] for name in ("id", "status", "startedAt", "completedAt", "duration")},
            required=("id", "status", "startedAt"),
        ),
        "result": {"description": "Any JSON; absent when asynchronous."},
    },
    required=("execution",),
)
_HEALTH: Object = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["ok", "degraded", "draining"]},
        "service": TEXT,
        "checks": {"type": "object"},
        "runtimes": {
            "type": "array",
            "description": "Each runtime, once for each version that runs it on some invoker.",
            "items": an_object(
                {
                    "name": {"type": "string", "enum": _RUNTIMES},
                    "version": or_null("string", description="Null when no invoker is there to tell."),
                    "real": {"type": "boolean", "description": "False where another version stands in."},
                }
            ),
        },
    },
}

OPERATIONS: dict[tuple[str, str], Object] = {
    ("GET", "/v1/health"): {
        **operation("neoHealth", "Tell how the service is", envelope(_HEALTH)),
        "security": [],
    },
    ("GET", _FUNCTIONS): operation(
        "neoListFunctions",
        "List functions",
        envelope({"type": "array", "items": ref("NeoListedFunction")}, paged=True),
        parameters=[
            *paging(),
            query("tag", TEXT, "One tag, matched exactly."),
            query("runtime", {"type": "string", "enum": _RUNTIMES}),
            query("status", _LISTED["status"]),
            query("sort", {"type": "string", "enum": ["createdAt", "name", "updatedAt"], "default": "createdAt"}),
            query("order", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}),
        ],
    ),
    ("POST", _FUNCTIONS): operation(
        "neoCreateFunction",
        "Create a function",
        envelope(ref("NeoFunction")),
        status="201",
        requestBody=body(ref("NeoNewFunction")),
    ),
    ("GET", _ONE): operation(
        "neoGetFunction",
        "Read a function, by id or by name",
        envelope(ref("NeoFunctionDetails")),
        parameters=[query("include_code", {"type": "boolean", "default": False})],
    ),
    ("PUT", _ONE): operation(
        "neoUpdateFunction",
        "Change a function; fields left out stay",
        envelope(ref("NeoFunction")),
        requestBody=body(ref("NeoFunctionPatch")),
    ),
    ("DELETE", _ONE): operation(
        "neoDeleteFunction",
        "Delete a function",
        envelope(an_object({"id": TEXT, "deleted": {"const": True}})),
    ),
    ("POST", _ONE + "/invoke"): operation(
        "neoInvokeFunction",
        "Run a function; 202 when asynchronous, 500 `execution_error` when a synchronous run fails",
        envelope(_INVOKED),
        requestBody=body(ref("NeoInvocation"), required=False),
        parameters=[parameter("Asynchronous runs: the same key within 24 h gives the first execution again.")],
    ),
    ("GET", _ONE + "/executions"): operation(
        "neoListExecutions",
        "List executions, newest first",
        envelope({"type": "array", "items": ref("NeoExecution")}, paged=True),
        parameters=[
            *paging(),
            query("status", _EXECUTION["status"]),
            query("start_date", TEXT, "ISO 8601; included."),
            query("end_date", TEXT, "ISO 8601; included."),
        ],
    ),
    ("GET", _ONE + "/executions/{executionId}"): operation(
        "neoGetExecution", "Read an execution with its logs", envelope(ref("NeoExecutionDetails"))
    ),
    ("GET", _ONE + "/environment"): operation(
        "neoGetEnvironment", "Read the environment variables", envelope(an_object({"environment": _VARIABLES}))
    ),
    ("PUT", _ONE + "/environment"): operation(
        "neoPutEnvironment",
        "Replace the environment variables",
        envelope(an_object({"environment": _VARIABLES})),
        requestBody=body(an_object({"environment": _VARIABLES})),
    ),
    ("PUT", _ONE + "/secrets"): operation(
        "neoPutSecrets",
        "Replace the grants of secrets",
        envelope(an_object({"secrets": _SECRETS})),
        requestBody=body(an_object({"secrets": _SECRETS})),
    ),
}
_invoke_responses = OPERATIONS["POST", _ONE + "/invoke"]["responses"]
_invoke_responses["202"] = {**_invoke_responses["200"], "description": "Accepted; poll the execution."}
_invoke_responses["500"] = {**_invoke_responses["400"], "description": "The function failed, or we did."}
