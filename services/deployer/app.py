"""
The deployer's composition root: the one file of this service that names adapters.

Stop order: take no more deployments, let those in flight end, then end the compiler.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from services.deployer.deploy import Deployer
from services.deployer.providers.local import LocalProvider
from services.deployer.resend import resend_unfinished
from services.deployer.settings import MAX_IN_FLIGHT, RESEND_AFTER_S, find_node
from services.deployer.syntax import SyntaxCheckers
from services.ports import Ports
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
    syntax = SyntaxCheckers({family: find_node(settings.engine, family) for family in NODE_FAMILIES})
    stack.push_async_callback(syntax.close)
    deployer = Deployer(
        db=ports.db, bus=ports.bus, packages=ports.packages, syntax=syntax, provider=LocalProvider(ports.packages)
    )
    await ports.bus.consume_work(DEPLOY_QUEUE, deployer.deploy, max_in_flight=MAX_IN_FLIGHT)

    async def resend() -> None:
        await resend_unfinished(ports.db, ports.bus, older_than_s=RESEND_AFTER_S)

    if not ports.bus.durable:
        # What it held went with the last process, and nobody else can be at it now.
        await resend_unfinished(ports.db, ports.bus, older_than_s=0)
    tasks = await stack.enter_async_context(supervisor.child())
    tasks.spawn("deployer-resend", every(RESEND_AFTER_S, resend))
    return DeployerService(ports=ports)
