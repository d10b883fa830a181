"""
The api's composition root: everything is made here, once, and passed down.

Stop order: readiness off, no new connections, requests in flight answered, commands of accepted executions sent;
then the exit stack closes the server and what stands behind it.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from services import measurements
from services.api.access.addresses import Addresses
from services.api.access.credentials import Credentials
from services.api.access.key_usage import WRITE_EVERY_S, KeyUsage
from services.api.access.rate_limit import RateLimits
from services.api.attestor import Attestor
from services.api.cloud_doors import CloudDoors
from services.api.deployments import DeploymentWaiters
from services.api.dialects.dialect import Dialect
from services.api.dialects.extrahorizon.routes import ExtraHorizonDialect
from services.api.dialects.gateways.routes import GatewaysDialect
from services.api.dialects.neo.browsers import Browsers
from services.api.dialects.neo.routes import NeoDialect
from services.api.direct_executions import DirectExecutions
from services.api.dispatch import Dispatcher
from services.api.http import Front
from services.api.listen import listen
from services.api.openapi import document
from services.api.pages import Pages
from services.api.platform import Platform
from services.api.routing import Router
from services.api.server import Server
from services.api.settings import limits
from services.api.task_notices import TaskNotices
from services.ports import Ports, open_variables
from services.signing import REFRESH_S, ServiceKey
from shared.database import accounts, api_keys, executions, oauth1, variables
from shared.database import tasks as task_rows
from shared.database.executions import AcceptedExecution, NewExecution
from shared.database.function_cache import FunctionCache
from shared.database.group_commit import GroupCommit
from shared.database.oauth1 import UsedNonce
from shared.database.tasks import NewTask
from shared.domain.task import Task
from shared.messages.messages import (
    CredentialRevoked,
    DeploymentFinished,
    FunctionChanged,
    Notice,
    PermissionsChanged,
)
from shared.process.chores import every
from shared.process.settings import Settings
from shared.process.supervise import Supervisor

_CLOSE_S = 5.0
_SEAL_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiService:
    """A running api; ``port`` is the one it really listens on."""

    port: int
    ports: Ports
    platform: Platform
    front: Front
    server: Server
    sites: tuple[web.SockSite, ...]

    async def drain(self) -> None:
        """Take nothing new; answer what has come in; send what was accepted."""
        self.ports.health.drain()
        for site in self.sites:
            await site.stop()
        self.server.pre_shutdown()
        await self.front.drain()
        await self.platform.dispatcher.drain()


async def build(settings: Settings, ports: Ports, stack: AsyncExitStack, supervisor: Supervisor) -> ApiService:
    """Start an api on its ports; it answers requests when this returns."""
    open_variables(ports)
    signing = ServiceKey(ports.db, ports.envelope)
    await signing.refresh()
    ports.health.add("signing", signing.check, readiness=False)
    platform = await _platform(settings, ports, signing, stack)
    await _listen_to_notices(platform)
    tasks = await stack.enter_async_context(supervisor.child())
    tasks.spawn("dispatch", platform.dispatcher.run())
    for name, usage in (("key-usage", platform.key_usage), ("token-usage", platform.token_usage)):
        tasks.spawn(name, every(WRITE_EVERY_S, usage.write))
        stack.push_async_callback(usage.close)
    tasks.spawn("signing-key", every(REFRESH_S, signing.refresh))
    tasks.spawn("seal-variables", every(_SEAL_EVERY_S, lambda: _seal_variables(ports)))
    browsers = Browsers(settings.browsers.cors_origins)
    dialects: tuple[Dialect, ...] = (
        NeoDialect(platform, ports.health, browsers),
        ExtraHorizonDialect(platform),
        GatewaysDialect(platform),
    )
    front = Front(dialects, _router(dialects, ports))
    server = Server(front)
    runner = web.ServerRunner(server, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    sites = []
    for socket in listen(settings.http.host, settings.http.port):
        site = web.SockSite(runner, socket)
        await site.start()
        sites.append(site)
    return ApiService(
        port=int(runner.addresses[0][1]),
        ports=ports,
        platform=platform,
        front=front,
        server=server,
        sites=tuple(sites),
    )


async def _seal_variables(ports: Ports) -> None:
    """Seal what was kept while there was no master key, or by a version that did not seal."""
    await variables.seal_plain(ports.db)


async def _platform(settings: Settings, ports: Ports, signing: ServiceKey, stack: AsyncExitStack) -> Platform:
    accept: GroupCommit[NewExecution, AcceptedExecution] = GroupCommit(lambda rows: executions.accept(ports.db, rows))
    stack.push_async_callback(accept.close)
    nonces: GroupCommit[UsedNonce, bool] = GroupCommit(lambda rows: oauth1.use_nonces(ports.db, rows))
    stack.push_async_callback(nonces.close)
    tasks: GroupCommit[NewTask, Task] = GroupCommit(lambda rows: task_rows.accept(ports.db, rows))
    stack.push_async_callback(tasks.close)
    direct = DirectExecutions(ports.db, ports.replica_id, settings.api.max_direct_executions)
    stack.push_async_callback(direct.close)
    task_notices = TaskNotices(ports.bus)
    stack.callback(task_notices.close)
    doors = CloudDoors(settings.aws)
    stack.push_async_callback(doors.close)
    return Platform(
        db=ports.db,
        bus=ports.bus,
        functions=FunctionCache(ports.db),
        deployments=DeploymentWaiters(),
        packages=ports.packages,
        envelope=ports.envelope,
        attestor=Attestor(ports.db, signing, await asyncio.to_thread(measurements.server)),
        credentials=Credentials(),
        key_usage=KeyUsage(ports.db, api_keys.note_use),
        token_usage=KeyUsage(ports.db, oauth1.note_use),
        rate_limits=RateLimits(settings.rate_limit),
        addresses=Addresses(settings.rate_limit.trusted_proxies),
        accept=accept,
        nonces=nonces,
        dispatcher=Dispatcher(ports.db, ports.bus),
        tasks=tasks,
        direct=direct,
        task_notices=task_notices,
        limits=limits(settings),
        aws=settings.aws,
        enter_cloud=doors.enter,
        default_environment_id=(await accounts.default_environment(ports.db)).id,
        public_url=settings.api.public_url,
    )


async def _listen_to_notices(platform: Platform) -> None:
    def on_notice(notice: Notice) -> None:
        match notice:
            case FunctionChanged():
                platform.functions.on_change(notice)
            case DeploymentFinished():
                platform.deployments.on_finished(notice)
            case CredentialRevoked():
                platform.credentials.drop(notice.credential_sha256)
            case PermissionsChanged():
                platform.credentials.drop_users(notice.account_id, frozenset(notice.user_ids))

    def on_gap() -> None:
        platform.functions.clear()
        platform.credentials.clear()

    await platform.bus.subscribe(on_notice, on_gap=on_gap)


def _router(dialects: tuple[Dialect, ...], ports: Ports) -> Router:
    pages = Pages(ports.health)
    router = Router()
    for dialect in dialects:
        router.add(dialect.routes(), dialect)
    router.add(pages.routes(), None)
    pages.describe(document(dialects, pages.routes()))
    return router
