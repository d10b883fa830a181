"""
Is this service alive, and may work be sent to it?

Parts register named checks: async callables that return facts to show (or nothing) and raise when something is
wrong. Checks run together, each under its own deadline, and never make a probe hang. ``/health`` answers 200 as
long as the process can answer, with the state of everything in it; ``/ready`` answers 503 when a check of
readiness fails, and while the service is starting or draining. The API mounts ``probe_routes`` itself; services
with no HTTP of their own start a ``ProbeServer``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from shared.process import metrics
from shared.process.settings import HttpSettings

Check = Callable[[], Awaitable[object]]

_SHUTDOWN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a probe: ``body`` is JSON-able."""

    ok: bool
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registered:
    check: Check
    readiness: bool
    deadline_s: float


class Health:
    """
    The checks of one service. ``drain`` turns readiness off for good.

    One that is ``starting`` can be asked, and is not ready whatever its checks say until it has ``started``.
    """

    def __init__(self, service: str, *, starting: bool = False) -> None:
        self._service = service
        self._checks: dict[str, _Registered] = {}
        self._starting = starting
        self._draining = False

    def add(self, name: str, check: Check, *, readiness: bool = True, deadline_s: float = 2.0) -> None:
        """
        Register a check.

        What it returns (JSON-able) is shown; what it raises is shown as the error. A check that is not one of
        ``readiness`` is only shown, and makes the service ``degraded``.
        """
        if name in self._checks:
            raise ValueError(f"there is a health check {name!r} already")
        self._checks[name] = _Registered(check=check, readiness=readiness, deadline_s=deadline_s)

    def remove(self, name: str) -> None:
        """Forget a check; its part has been closed."""
        self._checks.pop(name, None)

    def started(self) -> None:
        """Leave readiness to the checks: the service does its work now."""
        self._starting = False

    def drain(self) -> None:
        """Turn readiness off: the service finishes what it has and takes nothing new."""
        self._draining = True

    @property
    def draining(self) -> bool:
        return self._draining

    async def health(self) -> Report:
        """Report on everything; ``ok`` is true, because somebody answered."""
        results = await self._run(self._checks)
        degraded = any(result["status"] != "ok" for result in results.values())
        status = self._phase() or ("degraded" if degraded else "ok")
        return Report(ok=True, body={"status": status, "service": self._service, "checks": results})

    async def ready(self) -> Report:
        """Report whether work may be sent here."""
        results = await self._run({name: each for name, each in self._checks.items() if each.readiness})
        phase = self._phase()
        ok = phase is None and all(result["status"] == "ok" for result in results.values())
        status = phase or ("ready" if ok else "not_ready")
        return Report(ok=ok, body={"status": status, "service": self._service, "checks": results})

    def _phase(self) -> str | None:
        return "draining" if self._draining else "starting" if self._starting else None

    async def _run(self, checks: Mapping[str, _Registered]) -> dict[str, dict[str, object]]:
        outcomes = await asyncio.gather(*(_outcome(each) for each in checks.values()))
        return dict(zip(checks, outcomes, strict=True))


async def _outcome(registered: _Registered) -> dict[str, object]:
    try:
        async with asyncio.timeout(registered.deadline_s):
            details = await registered.check()
    except TimeoutError:
        return {"status": "failed", "error": f"no answer within {registered.deadline_s:g} s"}
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what we report
        return {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    return {"status": "ok"} if details is None else {"status": "ok", "details": details}


def probe_routes(health: Health) -> list[web.RouteDef]:
    """Return the routes ``/health``, ``/ready`` and ``/metrics``."""

    async def show_health(_request: web.Request) -> web.Response:
        return _render(await health.health())

    async def show_ready(_request: web.Request) -> web.Response:
        return _render(await health.ready())

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return [web.get("/health", show_health), web.get("/ready", show_ready), web.get("/metrics", show_metrics)]


def _render(report: Report) -> web.Response:
    return web.Response(
        body=orjson.dumps(report.body, default=str), status=200 if report.ok else 503, content_type="application/json"
    )


class ProbeServer:
    """Serves the probes of a service that has no HTTP of its own; an async context manager."""

    def __init__(self, health: Health, settings: HttpSettings) -> None:
        app = web.Application()
        app.add_routes(probe_routes(health))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._settings = settings

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        return self

    @property
    def port(self) -> int:
        """The port it listens on, also when the settings asked for any free one."""
        return int(self._runner.addresses[0][1])

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
