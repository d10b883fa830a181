"""The parts that the OpenAPI text of this dialect is made of."""

from typing import Any

Object = dict[str, Any]

TEXT: Object = {"type": "string"}
WHOLE: Object = {"type": "integer"}
MOMENT: Object = {"type": "string", "format": "date-time"}
ID: Object = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
USERS_OWN: list[dict[str, list[str]]] = [{"ExtraHorizonToken": []}, {"ExtraHorizonSignature": []}]
"""How a user is known by a request: by a token, or by a signature."""


def ref(name: str) -> Object:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Object, required: tuple[str, ...] | None = None) -> Object:
    """Return an object; all of its properties are required if nothing is said."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }


def list_of(items: Object) -> Object:
    """Return a list."""
    return {"type": "array", "items": items}


def page_of(items: str) -> Object:
    """Return the envelope of every list; ``total`` is missing when the query asks not to count."""
    numbers = object_of({"total": WHOLE, "offset": WHOLE, "limit": WHOLE}, ("offset", "limit"))
    return object_of({"page": numbers, "data": list_of(ref(items))})


def answers(schema: Object, error: str = "ExtraHorizonError") -> Object:
    """Return what an operation answers: this, or the error of that schema."""
    return {
        "200": {"description": "Done.", "content": content(schema)},
        "4XX": {"description": "Refused.", "content": content(ref(error))},
    }


def content(schema: Object) -> Object:
    """Return a body of JSON."""
    return {"application/json": {"schema": schema}}


def operation(operation_id: str, summary: str, answer: Object, *, body: Object | None = None, more: str = "") -> Object:
    """Return an operation for users; ``more`` is told below the summary."""
    described: Object = {
        "operationId": f"extrahorizon-{operation_id}",
        "summary": summary,
        "security": USERS_OWN,
        "responses": answers(answer),
    }
    if body is not None:
        described["requestBody"] = {"required": True, "content": content(body)}
    if more:
        described["description"] = more
    return described
