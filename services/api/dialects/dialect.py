"""
What a public HTTP dialect is: its routes, its errors, its part of the API description.

A route names its methods and a path template of literal segments and ``{parameters}``; a last segment
``{name...}`` takes the rest of the path (empty too), undecoded. Every route answers with and without a trailing
slash: there are no redirects. Handlers get parameters percent-decoded, the rest excepted, and raise
``PlatformError``; the dialect that owns the route renders it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from shared.domain.errors import PlatformError

Handler = Callable[[web.BaseRequest, Mapping[str, str]], Awaitable[web.StreamResponse]]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One path with its methods (upper case; ``*`` stands for every method no other route of the path names).

    ``operation`` is the OpenAPI 3.1 operation object; its path parameters are added from the template. A route
    without one is served but not described. HEAD is answered by GET unless a route names it.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    operation: Json | None = None


class Dialect(Protocol):
    """
    One public dialect.

    ``prefixes`` are the path prefixes whose routing errors it renders (``/v1``); ``schemas`` and
    ``security_schemes`` are its OpenAPI components, by names no other dialect uses.
    """

    name: str
    title: str
    prefixes: tuple[str, ...]
    schemas: Json
    security_schemes: Json

    def routes(self) -> tuple[Route, ...]:
        """Return every route, each once."""

    def render_error(self, error: PlatformError, request: web.BaseRequest, /) -> web.Response:
        """Render any platform error; never raises, never shows internals."""
