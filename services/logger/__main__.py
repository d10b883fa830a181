"""``python -m services.logger``: one logger on its own. Scale it by running more."""

import os
import sys
from contextlib import AsyncExitStack

from services.logger.app import LoggerService, build
from services.ports import connect
from shared.process.health import ProbeServer
from shared.process.logging import configure
from shared.process.settings import load_settings
from shared.process.supervise import Supervisor, serve


def main() -> int:
    """Run until told to stop; return the exit code."""
    settings = load_settings(os.environ)
    configure(settings.log, service="logger")

    async def start(stack: AsyncExitStack, supervisor: Supervisor) -> LoggerService:
        ports = await connect(settings, "logger", stack)
        await stack.enter_async_context(ProbeServer(ports.health, settings.http))
        return await build(settings, ports, stack, supervisor)

    return serve(start, drain_s=settings.stop.drain_s)


if __name__ == "__main__":
    sys.exit(main())
