"""
How one service runs on its own, and how any start that fails says why in a line instead of a traceback.

``python -m services.<name>`` is ``run_alone(name, build)``: settings, ports, probes, the service, and the order
of leaving. A service with HTTP of its own (the api) serves the probes itself.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from services.ports import Ports, connect
from shared.domain.errors import PlatformError
from shared.process.health import ProbeServer
from shared.process.logging import configure
from shared.process.settings import Settings, SettingsError, load_settings
from shared.process.supervise import CannotStartError, Service, Supervisor, serve

BuildService = Callable[[Settings, Ports, AsyncExitStack, Supervisor], Awaitable[Service]]

_CANNOT_START = 1
_BAD_SETTINGS = 2


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


def with_settings(environ: Mapping[str, str], run: Callable[[Settings], int]) -> int:
    """Load the settings and run; whatever keeps it from starting is said on standard error, in words."""
    try:
        return run(load_settings(environ))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _BAD_SETTINGS
    except PlatformError as error:
        print(f"tidemill: cannot start: {error.message}", file=sys.stderr)
    except (CannotStartError, OSError) as error:
        print(f"tidemill: cannot start: {error}", file=sys.stderr)
    return _CANNOT_START
