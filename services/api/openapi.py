"""
The OpenAPI 3.1 document, made from the routes themselves.

Each dialect describes its routes where it declares them and brings its schemas; this module puts them together,
adds the path parameters of the templates, and knows nothing about any of them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.api.dialects.dialect import Dialect, Route

OPENAPI_VERSION = "3.1.0"
PLATFORM_VERSION = "0.1.0"
"""That of ``pyproject.toml``; the distribution is never installed, so it cannot be asked."""
_PARAMETER = re.compile(r"\{([^}.]+)(\.\.\.)?\}")
_ANY_METHOD = ("get", "post", "put", "patch", "delete", "head", "options")


def document(dialects: Iterable[Dialect], pages: Iterable[Route]) -> dict[str, Any]:
    """Return the document of everything that is served."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    security: dict[str, Any] = {}
    tags = []
    for dialect in dialects:
        tags.append({"name": dialect.name, "description": dialect.title})
        _merge(schemas, dialect.schemas)
        _merge(security, dialect.security_schemes)
        _describe(paths, dialect.routes(), dialect.name)
    tags.append({"name": "platform", "description": "Probes, metrics and this description"})
    _describe(paths, pages, "platform")
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Tidemill",
            "version": PLATFORM_VERSION,
            "summary": "Self-hosted serverless functions: one platform, several HTTP dialects.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security},
    }


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    if taken := into.keys() & more.keys():
        raise ValueError(f"two dialects describe {sorted(taken)}")
    into.update(more)


def _describe(paths: dict[str, dict[str, Any]], routes: Iterable[Route], tag: str) -> None:
    for route in routes:
        if route.operation is None:
            continue
        path = _PARAMETER.sub(r"{\1}", route.path)
        item = paths.setdefault(path, {})
        parameters = [
            {"name": found[1], "in": "path", "required": True, "schema": {"type": "string"}}
            for found in _PARAMETER.finditer(route.path)
        ]
        methods = _ANY_METHOD if route.methods == ("*",) else tuple(method.lower() for method in route.methods)
        for method in methods:
            item[method] = _operation(route.operation, parameters, tag, method if len(methods) > 1 else "")


def _operation(described: Mapping[str, Any], parameters: list[dict[str, Any]], tag: str, suffix: str) -> dict[str, Any]:
    operation = {"tags": [tag], **described}
    told = {(each["in"], each["name"]) for each in described.get("parameters", ())}
    all_parameters = [each for each in parameters if ("path", each["name"]) not in told]
    all_parameters += described.get("parameters", ())
    if all_parameters:
        operation["parameters"] = all_parameters
    if suffix and "operationId" in described:
        operation["operationId"] = f"{described['operationId']}-{suffix}"
    return operation
