"""
How one service runs on its own.

``python -m services.<name>`` is ``run_alone(name, build)``: settings, ports, probes, the service, and the order
of leaving. A service with HTTP of its own (the api) serves the probes itself.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from services.ports import Ports, connect
from services.starting import with_settings
from shared.process.health import ProbeServer
from shared.process.logging import configure
from shared.process.settings import Settings
from shared.process.supervise import Service, Supervisor, serve

BuildService = Callable[[Settings, Ports, AsyncExitStack, Supervisor], Awaitable[Service]]


def run_alone(name: str, build: BuildService, *, probes: bool = True) -> int:
    """Run one service until told to stop; return the exit code."""

    def run(settings: Settings) -> int:
        configure(settings.log, service=name)

        async def start(stack: AsyncExitStack, supervisor: Supervisor) -> Service:
            ports = await connect(settings, name, stack)
            if probes:
                await stack.enter_async_context(ProbeServer(ports.health, settings.http))
            service = await build(settings, ports, stack, supervisor)
            ports.health.started()
            return service

        return serve(start, drain_s=settings.stop.drain_s)

    return with_settings(os.environ, run)  # noqa: TID251 - called by main alone
