"""``python -m services.api``: one api on its own, behind a RabbitMQ and a PostgreSQL. Scale it by running more."""

import os
import sys
from contextlib import AsyncExitStack

from services.api.app import ApiService, build
from services.ports import connect
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
    configure(settings.log, service="api")

    async def start(stack: AsyncExitStack, supervisor: Supervisor) -> ApiService:
        ports = await connect(settings, "api", stack)
        return await build(settings, ports, stack, supervisor)

    return serve(start, drain_s=settings.stop.drain_s)


if __name__ == "__main__":
    sys.exit(main())
