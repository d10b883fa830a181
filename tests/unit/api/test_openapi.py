"""The description of the API is valid, complete and made from the routes."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.api.dialects.dialect import Dialect, Route
from services.api.dialects.extrahorizon.routes import ExtraHorizonDialect
from services.api.dialects.gateways.routes import GatewaysDialect
from services.api.dialects.neo.browsers import Browsers
from services.api.dialects.neo.routes import NeoDialect
from services.api.openapi import PLATFORM_VERSION, document
from services.api.pages import Pages
from services.api.platform import Platform
from shared.domain.errors import PlatformError
from shared.process.health import Health

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dialects() -> tuple[Dialect, ...]:
    """All dialects; describing them touches no platform."""
    nothing = Platform.__new__(Platform)
    neo = NeoDialect(nothing, Health("api"), Browsers(None))
    return neo, ExtraHorizonDialect(nothing), GatewaysDialect(nothing)


@pytest.fixture
def described(dialects: tuple[Dialect, ...]) -> dict[str, Any]:
    return document(dialects, Pages(Health("api")).routes())


def test_the_document_is_valid(described: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []


def test_every_route_of_the_neo_dialect_is_described(dialects: tuple[Dialect, ...], described: dict[str, Any]) -> None:
    for route in dialects[0].routes():
        for method in route.methods:
            operation = described["paths"][route.path][method.lower()]
            assert operation["summary"]
            assert operation["tags"] == ["neo"]


def test_operation_ids_are_unique(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]

    assert len(set(ids)) == len(ids)


def test_every_parameter_of_a_path_is_declared(described: dict[str, Any]) -> None:
    operation = described["paths"]["/v1/functions/{functionId}/executions/{executionId}"]["get"]

    assert [(each["name"], each["in"]) for each in operation["parameters"]] == [
        ("functionId", "path"),
        ("executionId", "path"),
    ]


def test_it_names_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["version"] == PLATFORM_VERSION


class Twin:
    """A dialect that claims what the Neo dialect claims."""

    name = "twin"
    title = "Twin"
    prefixes: tuple[str, ...] = ("/twin",)
    schemas: Mapping[str, Any] = {"NeoError": {}}
    security_schemes: Mapping[str, Any] = {}

    def routes(self) -> tuple[Route, ...]:
        return ()

    def render_error(self, _error: PlatformError, _request: web.BaseRequest, /) -> web.Response:
        return web.Response()


def test_two_dialects_may_not_describe_the_same_name(dialects: tuple[Dialect, ...]) -> None:
    with pytest.raises(ValueError, match="NeoError"):
        document([dialects[0], Twin()], [])
