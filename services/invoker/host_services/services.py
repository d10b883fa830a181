"""
The services a run may call, by name, and how one call is performed.

A method takes the list of arguments as the function gave them (anything JSON can say; it trusts none of it) and
returns what JSON can say, or raises a ``HostServiceError``. Every call is a task of its own; whoever began it ends
it. Who may call how often is held in ``services.invoker.sandbox.calls``; which services exist is decided in
``build.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog

from services.invoker.host_services.errors import HostServiceError, ServiceFailedError
from shared.process.metrics import counter
from shared.process.supervise import Supervisor

Method = Callable[[list[Any]], Awaitable[Any]]
Services = Mapping[str, Mapping[str, Method]]
Answer = Callable[[bytes, bool], None]
"""Gets the answer as JSON, or what the function is told of the failure, and whether it is one."""

logger = structlog.get_logger(__name__)
_calls = counter("host_calls", "Calls of functions to their host, by service and outcome.", ["service", "outcome"])


class HostServices:
    """All services of one invoker. Calls run as tasks of ``supervisor``."""

    def __init__(self, services: Services, supervisor: Supervisor) -> None:
        self._services = services
        self._supervisor = supervisor

    def begin(self, service: str, method: str, arguments: list[Any], answer: Answer) -> "asyncio.Task[None]":
        """
        Begin a call; ``answer`` is called once, unless the task is cancelled first.

        Raises:
            KeyError: there is no such service or method.
        """
        perform = self._services[service][method]
        work = self._perform(service, perform, arguments, answer)
        return self._supervisor.spawn(f"call-{service}.{method}", work, critical=False)

    async def _perform(self, service: str, method: Method, arguments: list[Any], answer: Answer) -> None:
        failure: HostServiceError | None = None
        try:
            body = orjson.dumps(await method(arguments))
        except HostServiceError as error:
            failure = error
        except Exception:
            logger.exception("host_call_failed", service=service)
            failure = ServiceFailedError("the host failed to perform this call")
        if failure is not None:
            body = orjson.dumps(failure.told())
        _calls.labels(service, "answered" if failure is None else failure.code).inc()
        answer(body, failure is not None)
