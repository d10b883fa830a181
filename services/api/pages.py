"""
The platform's own pages: probes, metrics, the API description and a page to read it with.

``/docs`` is one HTML file with nothing loaded from elsewhere; it reads ``/openapi.json``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.http import json_response
from shared.process import metrics
from shared.process.health import Health, Report

_DOCS = Path(__file__).with_name("docs.html")
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_DOCS_HTML = {
    **_HTML,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}
_LANDING = {
    "name": "Tidemill",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    "ready": "/ready",
    "metrics": "/metrics",
    "dialects": {"neo": "/v1", "extrahorizon": "/tasks/v1", "gateways": "/api"},
}

Parameters = Mapping[str, str]


class Pages:
    """The pages of one api; ``describe`` is called once, when everything is mounted."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._document = b"{}"
        self._docs = _DOCS.read_bytes()

    def describe(self, document: Mapping[str, Any]) -> None:
        """Keep the OpenAPI document that is shown."""
        self._document = orjson.dumps(document)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the pages."""
        table = (
            ("/", self.landing, "What there is"),
            ("/health", self.health, "Everything the service knows of its state; 200 as long as it answers"),
            ("/ready", self.ready, "200 when work may be sent here, else 503"),
            ("/metrics", self.metrics, "Prometheus metrics"),
            ("/openapi.json", self.openapi, "This description"),
            ("/docs", self.docs, "This description, to read"),
        )
        return tuple(
            Route(methods=("GET",), path=path, handler=handler, operation=_operation(path, summary))
            for path, handler, summary in table
        )

    async def landing(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return json_response(_LANDING)

    async def health(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return _report(await self._health.health())

    async def ready(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return _report(await self._health.ready())

    async def metrics(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def openapi(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return web.Response(body=self._document, headers={"Content-Type": "application/json; charset=utf-8"})

    async def docs(self, _request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        return web.Response(body=self._docs, headers=_DOCS_HTML)


def _report(report: Report) -> web.Response:
    return web.Response(
        body=orjson.dumps(report.body, default=str),
        status=200 if report.ok else 503,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )


def _operation(path: str, summary: str) -> Mapping[str, Any]:
    name = path.strip("/").partition(".")[0] or "landing"
    return {
        "operationId": f"platform-{name}",
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "The page."}},
    }
