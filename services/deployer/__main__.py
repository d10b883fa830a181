"""``python -m services.deployer``: one deployer on its own. Scale it by running more."""

import os
import sys
from contextlib import AsyncExitStack

from services.deployer.app import DeployerService, build
from services.ports import connect
from shared.process.health import ProbeServer
from shared.process.logging import configure
from shared.process.settings import SettingsError, load_settings
from shared.process.supervise import Supervisor, serve


def main() -> int:
    """Run until told to stop; return the exit code."""
    try:
        settings = load_settings(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure(settings.log, service="deployer")

    async def start(stack: AsyncExitStack, supervisor: Supervisor) -> DeployerService:
        ports = await connect(settings, "deployer", stack)
        await stack.enter_async_context(ProbeServer(ports.health, settings.http))
        return await build(settings, ports, stack, supervisor)

    return serve(start, drain_s=settings.stop.drain_s)


if __name__ == "__main__":
    sys.exit(main())
