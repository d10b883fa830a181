"""
The routes of the Extra Horizon dialect: which path is answered by which handler.

Handlers stand beside the noun they serve (``functions.py``, ``api_functions.py``, ``api_requests.py``,
``tasks.py``, ``schedules.py``, ``oauth.py``, ``oauth1.py``, ``applications.py``, ``authorizations.py``, ``users.py``,
``roles.py``); this is the table that binds them to one platform.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from services.api.access.rate_limit import FailedLogins
from services.api.dialects.dialect import Json, Route
from services.api.dialects.extrahorizon import (
    api_functions,
    api_requests,
    applications,
    authorizations,
    errors,
    functions,
    oauth,
    oauth1,
    roles,
    schedules,
    tasks,
    users,
)
from services.api.dialects.extrahorizon.description import (
    API,
    API_REQUEST_LOGS,
    API_REQUESTS,
    FUNCTION,
    FUNCTIONS,
    OPERATIONS,
    SCHEMAS,
    SECURITY,
    TOKENS,
)
from services.api.dialects.extrahorizon.description_applications import APPLICATION_SCHEMAS
from services.api.dialects.extrahorizon.description_logins import LOGIN_SCHEMAS, LOGIN_SECURITY
from services.api.dialects.extrahorizon.description_tasks import TASK_SCHEMAS
from services.api.dialects.extrahorizon.description_users import USER_SCHEMAS
from services.api.http import json_response
from services.api.operations.issue_tokens import TokenDesk, TokenLifetimes
from services.api.platform import Platform
from shared.crypto.passwords import PasswordDesk
from shared.domain.errors import PlatformError

_SCHEMAS: Json = {**SCHEMAS, **LOGIN_SCHEMAS, **APPLICATION_SCHEMAS, **USER_SCHEMAS, **TASK_SCHEMAS}
_SECURITY: Json = {**SECURITY, **LOGIN_SECURITY}
_HEALTH = ("/tasks/v1/health", "/auth/v2/health", "/users/v1/health")


class ExtraHorizonDialect:
    """The dialect on one platform."""

    name = "extrahorizon"
    title = "Extra Horizon task service: functions as HTTP APIs and as tasks, their records and logs"
    prefixes: tuple[str, ...] = ("/tasks/v1", "/auth/v2", "/users/v1", *errors.OTHER_SERVICES)
    schemas: Json = _SCHEMAS
    security_schemes: Json = _SECURITY

    def __init__(self, platform: Platform, lifetimes: TokenLifetimes | None = None) -> None:
        self._platform = platform
        self._desk = TokenDesk(
            passwords=PasswordDesk(), failures=FailedLogins(), lifetimes=lifetimes or TokenLifetimes()
        )

    def routes(self) -> tuple[Route, ...]:
        """Return every route of the dialect."""
        table: tuple[tuple[str, str, Callable[..., Awaitable[web.StreamResponse]]], ...] = (
            ("*", API, api_functions.call),
            ("GET", FUNCTIONS, functions.show_all),
            ("POST", FUNCTIONS, functions.create),
            ("GET", FUNCTION, functions.show),
            ("PUT", FUNCTION, functions.update),
            ("DELETE", FUNCTION, functions.delete),
            ("POST", FUNCTION + "/enable", functions.enable),
            ("POST", FUNCTION + "/disable", functions.disable),
            ("GET", API_REQUESTS, api_requests.show_all),
            ("GET", API_REQUEST_LOGS, api_requests.show_logs),
            ("POST", TOKENS, partial(oauth.tokens, self._desk)),
        )
        described = (
            Route(
                methods=(method,),
                path=path,
                handler=partial(handler, self._platform),
                operation=OPERATIONS[method, path],
            )
            for method, path, handler in table
        )
        health = (Route(methods=("GET",), path=path, handler=_show_health) for path in _HEALTH)
        nouns = (
            *oauth1.routes(self._platform, self._desk),
            *applications.routes(self._platform),
            *authorizations.routes(self._platform),
            *users.routes(self._platform),
            *roles.routes(self._platform),
            *tasks.routes(self._platform),
            *schedules.routes(self._platform),
        )
        return (*described, *nouns, *health)

    def render_error(self, error: PlatformError, request: web.BaseRequest, /) -> web.Response:
        """Return an error in the dialect's envelope."""
        return errors.error_response(error, request.raw_path.partition("?")[0])


async def _show_health(_request: web.BaseRequest, _parameters: Mapping[str, str]) -> web.Response:
    """Answer that this service takes requests; ``/ready`` says whether it can serve them."""
    return json_response({"status": "ok"})
