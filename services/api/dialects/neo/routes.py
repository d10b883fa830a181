"""
The routes of the Neo dialect: from a request to an operation and back.

Checks run in the order of contracts/neo.md section 1: who is calling, may they, does the thing exist, is what they
sent well-formed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from aiohttp import web

from services.api.dialects.dialect import Json, Route
from services.api.dialects.idempotency import idempotency_key
from services.api.dialects.neo import api_keys, attestation, bodies, errors, queries, secrets, views
from services.api.dialects.neo.answers import json_body, page, success
from services.api.dialects.neo.browsers import Browsers
from services.api.dialects.neo.callers import allowed, anybody
from services.api.dialects.neo.description import OPERATIONS, SCHEMAS, SECURITY
from services.api.dialects.neo.throttling import judge_refusal, tell
from services.api.http import read_body
from services.api.operations import invoke, read_executions, read_functions, read_runtimes
from services.api.operations.create_function import create_function, require_quota
from services.api.operations.delete_function import delete_function
from services.api.operations.read_executions import ExecutionFilter
from services.api.operations.update_function import FunctionPatch, update_function
from services.api.platform import Platform
from shared.database.functions import FunctionFilter, FunctionSort, Order
from shared.domain.errors import PlatformError
from shared.domain.execution import ExecutionKind, ExecutionStatus
from shared.domain.function import Convention, Function
from shared.domain.identity import Action, Identity
from shared.domain.runtime import offered
from shared.process.health import Health

FUNCTIONS = "/v1/functions"
FUNCTION = FUNCTIONS + "/{functionId}"
_SCHEMAS: Json = {**SCHEMAS, **attestation.SCHEMAS, **secrets.SCHEMAS, **api_keys.SCHEMAS}
_SORTS = {
    "createdAt": FunctionSort.CREATED_AT,
    "name": FunctionSort.NAME,
    "updatedAt": FunctionSort.UPDATED_AT,
}
_STATUSES = {
    "completed": (ExecutionStatus.COMPLETED,),
    "failed": (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED),
    "running": (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING),
}

Parameters = Mapping[str, str]
Answer = TypeVar("Answer", bound=web.StreamResponse)


class NeoDialect:
    """
    The dialect on one platform.

    ``health`` is what ``GET /v1/health`` tells; ``browsers`` knows the pages that may call.
    """

    name = "neo"
    title = "Neo Service Layer Functions API: stored JavaScript, called sync or async"
    prefixes: tuple[str, ...] = ("/v1",)
    schemas: Json = _SCHEMAS
    security_schemes: Json = SECURITY

    def __init__(self, platform: Platform, health: Health, browsers: Browsers) -> None:
        self._platform = platform
        self._health = health
        self._browsers = browsers
        self._attestation = attestation.AttestationRoutes(platform)
        self._secrets = secrets.SecretRoutes(platform)
        self._keys = api_keys.ApiKeyRoutes(platform)

    def routes(self) -> tuple[Route, ...]:
        """Return every route of the dialect."""
        table = (
            ("GET", "/v1/health", self.show_health),
            ("GET", FUNCTIONS, self.list_functions),
            ("POST", FUNCTIONS, self.create),
            ("GET", FUNCTION, self.show_function),
            ("PUT", FUNCTION, self.update),
            ("DELETE", FUNCTION, self.delete),
            ("POST", FUNCTION + "/invoke", self.invoke),
            ("GET", FUNCTION + "/executions", self.list_executions),
            ("GET", FUNCTION + "/executions/{executionId}", self.show_execution),
            ("GET", FUNCTION + "/environment", self.show_environment),
            ("PUT", FUNCTION + "/environment", self.replace_environment),
            ("PUT", FUNCTION + "/secrets", self.replace_secrets),
        )
        own = (
            Route(methods=(method,), path=path, handler=handler, operation=OPERATIONS[method, path])
            for method, path, handler in table
        )
        routes = (*own, *self._attestation.routes(), *self._secrets.routes(), *self._keys.routes())
        return (*(self._finishing(route) for route in routes), *self._browsers.preflights(routes))

    def render_error(self, error: PlatformError, request: web.BaseRequest, /) -> web.Response:
        """Return an error in the dialect's envelope."""
        if request.raw_path.startswith(self.prefixes):
            error = judge_refusal(self._platform, request, error)
        return self._finish(request, errors.render(error))

    def _finishing(self, route: Route) -> Route:
        """Return a route whose answers have what every answer has."""

        async def answer(request: web.BaseRequest, parameters: Parameters) -> web.StreamResponse:
            return self._finish(request, await route.handler(request, parameters))

        return replace(route, handler=answer)

    def _finish(self, request: web.BaseRequest, response: Answer) -> Answer:
        tell(request, response)
        self._browsers.admit(request, response)
        return response

    async def show_health(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        anybody(self._platform, request)
        report = await self._health.health()
        running = await read_runtimes.running_runtimes(self._platform, Convention.NEO)
        return success({**report.body, "runtimes": [views.running_runtime(each) for each in running]})

    async def list_functions(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.LIST_FUNCTIONS)
        query = request.query
        limit, offset = queries.page(query)
        runtime = queries.choice(query, "runtime", offered(Convention.NEO))
        status = queries.choice(query, "status", ("active", "inactive"))
        sort = queries.choice(query, "sort", tuple(_SORTS), "createdAt")
        order = queries.choice(query, "order", ("asc", "desc"), "desc")
        wanted = FunctionFilter(
            tag=query.get("tag"),
            runtimes=None if runtime is None else (runtime,),
            enabled=None if status is None else status == "active",
            sort=_SORTS[sort or "createdAt"],
            order=Order(order or "desc"),
            limit=limit,
            offset=offset,
        )
        found, total = await read_functions.list_functions(self._platform, identity, wanted)
        items = [views.listed(function, last) for function, last in found]
        return page(items, total, limit, offset)

    async def create(self, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.CREATE_FUNCTION)
        wanted = bodies.new_function(await json_body(request))
        await require_quota(self._platform, identity)
        function = await create_function(self._platform, identity, wanted)
        return success(views.with_code(function, await self._source(function)), 201)

    async def show_function(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        _, function = await self._function(request, parameters, Action.READ_FUNCTION)
        include_code = queries.switch(request.query, "include_code")
        view = views.with_code(function, await self._source(function)) if include_code else views.detailed(function)
        counts = await read_functions.function_stats(self._platform, function)
        return success({**view, "stats": views.stats(counts)})

    async def update(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.UPDATE_FUNCTION)
        changed = await update_function(self._platform, identity, function, bodies.patch(await json_body(request)))
        return success(views.with_code(changed, await self._source(changed)))

    async def delete(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.DELETE_FUNCTION)
        await delete_function(self._platform, identity, function)
        return success({"id": function.id, "deleted": True})

    async def invoke(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity = await allowed(self._platform, request, Action.INVOKE_FUNCTION)
        function = await read_functions.callable_function(self._platform, identity, parameters["functionId"])
        params, is_async = bodies.invocation(await read_body(request, bodies.BODY_BYTES))
        if is_async:
            return await self._invoke_later(request, identity, function, params)
        run = await invoke.invoke_now(self._platform, identity, function, ExecutionKind.NEO, params)
        execution_id = views.PREFIX + run.execution_id
        if run.reply.failure is not None:
            return errors.render_failure(run.reply.failure, execution_id)
        response = success(views.invoked(run))
        response.headers[errors.EXECUTION_ID] = execution_id
        return response

    async def list_executions(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.READ_EXECUTIONS)
        query = request.query
        limit, offset = queries.page(query)
        status = queries.choice(query, "status", tuple(_STATUSES))
        wanted = ExecutionFilter(
            kind=ExecutionKind.NEO,
            statuses=None if status is None else _STATUSES[status],
            start=queries.since(query, "start_date"),
            end=queries.until(query, "end_date"),
            limit=limit,
            offset=offset,
        )
        found, total = await read_executions.list_executions(self._platform, identity, function, wanted)
        return page([views.execution(each) for each in found], total, limit, offset)

    async def show_execution(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.READ_EXECUTIONS)
        execution_id = parameters["executionId"].removeprefix(views.PREFIX)
        logged = await read_executions.read_execution(self._platform, identity, function, execution_id)
        return success(views.execution_detail(logged))

    async def show_environment(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        _, function = await self._function(request, parameters, Action.READ_FUNCTION)
        return success({"environment": function.shown_variables})

    async def replace_environment(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.UPDATE_FUNCTION)
        patch = bodies.environment_body(await json_body(request))
        changed = await update_function(self._platform, identity, function, patch)
        return success({"environment": changed.shown_variables})

    async def replace_secrets(self, request: web.BaseRequest, parameters: Parameters) -> web.Response:
        identity, function = await self._function(request, parameters, Action.UPDATE_FUNCTION)
        patch: FunctionPatch = bodies.secrets_body(await json_body(request))
        changed = await update_function(self._platform, identity, function, patch)
        return success({"secrets": list(changed.version.spec.secrets)})

    async def _invoke_later(
        self, request: web.BaseRequest, identity: Identity, function: Function, params: bytes
    ) -> web.Response:
        run = await invoke.invoke_later(
            self._platform,
            identity,
            function,
            ExecutionKind.NEO,
            params,
            idempotency_key=idempotency_key(request),
        )
        response = success(views.accepted(run), 202)
        response.headers[errors.EXECUTION_ID] = views.PREFIX + run.execution_id
        return response

    async def _function(
        self, request: web.BaseRequest, parameters: Parameters, action: Action
    ) -> tuple[Identity, Function]:
        """Return who is calling and the function of the path, when they may."""
        identity = await allowed(self._platform, request, action)
        return identity, await read_functions.get_function(self._platform, identity, parameters["functionId"])

    async def _source(self, function: Function) -> str | None:
        return await read_functions.function_source(self._platform, function)
