"""
The routes of the Gateways dialect: which path is answered by which handler.

Handlers stand beside the noun they serve; this binds them to one platform. ``docs/api/gateways.md`` tells where our
reading of the contract is a choice.
"""

from aiohttp import web

from services.api.access.rate_limit import FailedLogins, Registrations
from services.api.access.session_tokens import SessionTokens
from services.api.dialects.dialect import Json, Route
from services.api.dialects.gateways import (
    activities,
    auth,
    catalogue,
    connections,
    environments,
    errors,
    files,
    function_urls,
    functions,
    members,
    projects,
    resource_connections,
    resources,
    table,
    users,
    workspaces,
)
from services.api.dialects.gateways.callers import Door
from services.api.operations.sign_in import SignInDesk
from services.api.package_files import PackageFiles
from services.api.platform import Platform
from shared.crypto.passwords import PasswordDesk
from shared.domain.errors import PlatformError

_NOUNS = (
    auth,
    users,
    workspaces,
    members,
    projects,
    environments,
    activities,
    catalogue,
    connections,
    resource_connections,
    functions,
    files,
    resources,
)


class GatewaysDialect:
    """The dialect on one platform."""

    name = "gateways"
    title = "Gateways serverless functions: workspaces, projects, environments, and who may do what in them"
    prefixes: tuple[str, ...] = ("/api", function_urls.PREFIX)
    schemas: Json = table.SCHEMAS
    security_schemes: Json = table.SECURITY

    def __init__(self, platform: Platform) -> None:
        desk = SignInDesk(
            passwords=PasswordDesk(),
            failures=FailedLogins(),
            registrations=Registrations(),
            tokens=SessionTokens(),
        )
        self._door = Door(platform, desk, PackageFiles(platform))

    def routes(self) -> tuple[Route, ...]:
        """Return every route of the dialect."""
        described = tuple(entry.route(self._door) for noun in _NOUNS for entry in noun.ENTRIES)
        return described + function_urls.routes(self._door)

    def render_error(self, error: PlatformError, request: web.BaseRequest, /) -> web.Response:
        """Return an error in the dialect's envelope."""
        answer = errors.render(error)
        return function_urls.open_to_origins(answer) if request.path.startswith(function_urls.PREFIX) else answer
