"""The words that the Neo dialect's part of the OpenAPI document is written in: schemas, envelopes, operations."""

from typing import Any

from services.api.dialects.neo import queries

Object = dict[str, Any]

_MEDIA = "application/json"
_SECURITY: list[dict[str, list[str]]] = [{"ApiKey": []}, {"ApiKeyAsBearer": []}]


def ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def an_object(properties: Object, required: tuple[str, ...] | None = None) -> Object:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }


def or_null(kind: str, **more: Any) -> Object:
    return {"type": [kind, "null"], **more}


def envelope(data: Object, *, paged: bool = False) -> Object:
    properties = {"success": {"const": True}, "data": data}
    if paged:
        properties["pagination"] = ref("NeoPagination")
    return an_object(properties)


TEXT: Object = {"type": "string"}
MOMENT: Object = {"type": "string", "format": "date-time"}
STRINGS: Object = {"type": "array", "items": TEXT}
_ERRORS: Object = {
    "400": "The request is malformed or a field is wrong.",
    "401": "No API key, or one that is not valid.",
    "403": "The key lacks a permission.",
    "404": "No such thing in this account.",
    "409": "The name is taken.",
    "429": "Too many requests, or too many runs of the function at once; `Retry-After` says when to come back.",
    "503": "The platform cannot take this now.",
}


def query(name: str, schema: Object, text: str = "") -> Object:
    parameter = {"name": name, "in": "query", "required": False, "schema": schema}
    return {**parameter, "description": text} if text else parameter


def operation(name: str, summary: str, answer: Object, *, status: str = "200", **more: Any) -> Object:
    failures = {
        code: {"description": text, "content": {_MEDIA: {"schema": ref("NeoError")}}} for code, text in _ERRORS.items()
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": _SECURITY,
        "responses": {status: {"description": "Done.", "content": {_MEDIA: {"schema": answer}}}, **failures},
        **more,
    }


def body(schema: Object, *, required: bool = True) -> Object:
    return {"required": required, "content": {_MEDIA: {"schema": schema}}}


def paging(default_limit: int = queries.DEFAULT_LIMIT) -> list[Object]:
    """Return the parameters of every list."""
    limit = {"type": "integer", "minimum": 1, "maximum": queries.MAX_LIMIT, "default": default_limit}
    return [query("limit", limit), query("offset", {"type": "integer", "minimum": 0, "default": 0})]
