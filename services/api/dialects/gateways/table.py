"""How the modules of this dialect declare their routes: a handler, its place, its part of the API description."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from services.api.dialects.dialect import Json, Route
from services.api.dialects.gateways.callers import Door

Parameters = Mapping[str, str]
Handler = Callable[[Door, web.BaseRequest, Parameters], Awaitable[web.StreamResponse]]

TEXT: Json = {"type": "string"}
OPTIONAL_TEXT: Json = {"type": ["string", "null"]}
_MEDIA = "application/json"
_ERRORS = {
    "400": "The request is malformed or a field is wrong.",
    "401": "No session or API key, or one that is not valid.",
    "403": "No member, a role that does not allow it, or a limit of the plan.",
    "404": "No such thing.",
    "409": "It exists already, or its state forbids this.",
}
_SECURITY: list[dict[str, list[str]]] = [{"GatewaysSession": []}, {"GatewaysKey": []}]

SCHEMAS: Json = {
    "GatewaysAnswer": {
        "type": "object",
        "required": ["message"],
        "properties": {"message": TEXT, "data": {"type": ["object", "array"]}, "count": {"type": "integer"}},
    },
    "GatewaysError": {
        "type": "object",
        "required": ["error", "message"],
        "properties": {"error": TEXT, "message": TEXT},
    },
}
SECURITY: Json = {
    "GatewaysSession": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of a session, or an API key (`sk_`).",
    },
    "GatewaysKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One route: ``name`` is its operation id, ``body`` the schemas of its body's fields, those in ``required`` needed.

    ``media`` is what the body is. ``query`` names its query parameters. ``is_public`` asks for no credential.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    status: str = "200"
    body: Json = field(default_factory=dict)
    media: str = _MEDIA
    required: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    is_public: bool = False

    def route(self, door: Door) -> Route:
        """Return the route on a platform."""
        return Route(
            methods=(self.method,),
            path=self.path,
            handler=partial(self.handler, door),
            operation=self._operation(),
        )

    def _operation(self) -> Json:
        answer = {"schema": {"$ref": "#/components/schemas/GatewaysAnswer"}}
        error = {"schema": {"$ref": "#/components/schemas/GatewaysError"}}
        operation: dict[str, Any] = {
            "operationId": f"gateways{self.name}",
            "summary": self.summary,
            "security": [] if self.is_public else _SECURITY,
            "responses": {
                self.status: {"description": "Done.", "content": {_MEDIA: answer}},
                **{code: {"description": text, "content": {_MEDIA: error}} for code, text in _ERRORS.items()},
            },
        }
        if self.query:
            operation["parameters"] = [
                {"name": name, "in": "query", "required": False, "schema": TEXT} for name in self.query
            ]
        if self.body:
            schema = {"type": "object", "properties": self.body, "required": list(self.required)}
            operation["requestBody"] = {"required": bool(self.required), "content": {self.media: {"schema": schema}}}
        return operation
