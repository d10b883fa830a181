"""
The deployer's composition root: the one file of this service that names adapters.

Stop order: take no more deployments, let those in flight end, then end the compiler.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from services.deployer.deploy import Deployer
from services.deployer.leftovers import take_away
from services.deployer.providers.local import LocalProvider
from services.deployer.providers.provider import Provider
from services.deployer.providers.providers import Providers
from services.deployer.resend import resend_unfinished
from services.deployer.settings import MAX_IN_FLIGHT, RESEND_AFTER_S, find_node
from services.deployer.sweep import SWEEP_EVERY_S, sweep
from services.deployer.syntax import SyntaxCheckers
from services.deployer.watch import WATCH_EVERY_S, watch
from services.ports import Ports, open_variables
from shared.domain.placement import AWS, LOCAL
from shared.domain.runtime import NODE_FAMILIES
from shared.messages.topology import DEPLOY_QUEUE
from shared.process.chores import every
from shared.process.settings import Settings
from shared.process.supervise import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployerService:
    """A running deployer."""

    ports: Ports

    async def drain(self) -> None:
        """Take nothing new; finish what is held."""
        self.ports.health.drain()
        await self.ports.bus.stop_consuming()


async def build(settings: Settings, ports: Ports, stack: AsyncExitStack, supervisor: Supervisor) -> DeployerService:
    """Start a deployer on its ports; it is consuming when this returns."""
    if ports.envelope.key_ids:
        # What stays on our own machines is deployed without looking at its variables, so without a key too.
        open_variables(ports)
    syntax = SyntaxCheckers({family: find_node(settings.engine, family) for family in NODE_FAMILIES})
    stack.push_async_callback(syntax.close)
    providers = await stack.enter_async_context(_providers(settings, ports))
    deployer = Deployer(
        db=ports.db,
        bus=ports.bus,
        packages=ports.packages,
        syntax=syntax,
        providers=providers,
        patience_s=settings.aws.patience_s,
    )
    await ports.bus.consume_work(DEPLOY_QUEUE, deployer.deploy, max_in_flight=MAX_IN_FLIGHT)

    async def resend() -> None:
        await resend_unfinished(ports.db, ports.bus, older_than_s=RESEND_AFTER_S)

    if not ports.bus.durable:
        # What it held went with the last process, and nobody else can be at it now.
        await resend_unfinished(ports.db, ports.bus, older_than_s=0)
    tasks = await stack.enter_async_context(supervisor.child())
    tasks.spawn("deployer-resend", every(RESEND_AFTER_S, resend))

    async def watch_clouds() -> None:
        await watch(ports.db, providers)

    tasks.spawn("deployer-watch", every(WATCH_EVERY_S, watch_clouds))

    async def take_leftovers_away() -> None:
        await take_away(ports.db, providers)

    tasks.spawn("deployer-leftovers", every(WATCH_EVERY_S, take_leftovers_away))

    async def sweep_packages() -> None:
        await sweep(ports.db, ports.packages, older_than_s=settings.retention.package_grace_hours * 3600)

    tasks.spawn("deployer-sweep", every(SWEEP_EVERY_S, sweep_packages))
    return DeployerService(ports=ports)


def _providers(settings: Settings, ports: Ports) -> Providers:
    async def local(_stack: AsyncExitStack) -> Provider:
        return LocalProvider(ports.packages)

    async def aws(stack: AsyncExitStack) -> Provider:
        return await asyncio.to_thread(_aws, settings, ports, stack)

    return Providers({LOCAL: local, AWS: aws})


def _aws(settings: Settings, ports: Ports, stack: AsyncExitStack) -> Provider:
    """Make the provider of AWS; boto3 takes a while to load."""
    from services.deployer.providers.aws import AwsProvider  # noqa: PLC0415 - see providers.py
    from shared.cloud.aws.functions import Patience  # noqa: PLC0415
    from shared.cloud.aws.sessions import AwsSessions  # noqa: PLC0415
    from shared.cloud.connections import Connections  # noqa: PLC0415

    sessions = AwsSessions(settings.aws)
    stack.push_async_callback(sessions.close)
    connections = Connections(ports.db, ports.envelope)
    return AwsProvider(
        sessions,
        ports.packages,
        connections.aws,
        execution_role=settings.aws.execution_role,
        patience=Patience(role_wait_s=settings.aws.role_wait_s),
    )
