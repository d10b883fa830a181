"""
The api with everything behind it but the engine.

PostgreSQL is real, the bus is the in-memory one, the logger and the deployer's part of the database are real. Two
stand-ins remain, both reached over the bus as the real ones are: a deployer that keeps what it is given and
refuses source with ``!!!`` in it, and an invoker whose behaviour the test scripts through ``Script``.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import httpx
import orjson

import services.api.app
import services.deployer.app
from services.api.app import ApiService
from services.ports import Ports, new_replica_id
from shared.bus.bus import Delivery
from shared.bus.memory import MemoryBus
from shared.crypto.envelope import Envelope
from shared.crypto.tokens import sha256_hex, shown_prefix
from shared.database import access, accounts, api_requests, deployments, executions, functions, logs, partitions
from shared.database.access import NewKey
from shared.database.accounts import AdminCredentials, Environment
from shared.database.executions import Claim, Settlement
from shared.database.pool import Database
from shared.domain.errors import InvalidCodeError, PlatformError
from shared.domain.ids import new_key_id, new_record_id
from shared.domain.outcome import LogLine, Outcome, Returned, Timings, failure_of
from shared.messages.messages import (
    ApiRequestFinished,
    DeployFunction,
    DeploymentFinished,
    ExecutionFinished,
    FunctionChanged,
    InvocationReply,
    InvokeFunction,
    LogLinesWritten,
    Record,
    RunExecution,
    Work,
)
from shared.messages.topology import ASYNC_QUEUE, DEPLOY_QUEUE
from shared.packages.postgres import PostgresPackageStore
from shared.process.health import Health
from shared.process.settings import Settings, load_settings
from shared.process.supervise import Supervisor
from tests.support.envelopes import an_envelope

API_KEY = "sl_" + "0a" * 32
CLIENT_ID = "tests"
EMAIL = "admin@example.com"


@dataclass
class Script:
    """What the stand-in of the invoker does: ``run`` gives the outcome of an event; ``calls`` are what it saw."""

    run: Callable[[bytes], Awaitable[Outcome]] = field(default_factory=lambda: echo)
    error: PlatformError | None = None
    lines: Sequence[LogLine] = ()
    calls: list[InvokeFunction] = field(default_factory=list)
    works: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Do nothing special again, and forget what was seen."""
        self.run, self.error, self.lines = echo, None, ()
        self.calls.clear()
        self.works.clear()


async def echo(event: bytes) -> Outcome:
    """Return the event."""
    return Returned(result=event)


@dataclass(kw_only=True)
class Running:
    """An api that answers, and what a test may look into."""

    api: ApiService
    db: Database
    bus: MemoryBus
    script: Script
    environment: Environment
    http: httpx.AsyncClient

    @property
    def address(self) -> str:
        return f"http://localhost:{self.api.port}"

    async def new_key(self, *permissions: str, environment: Environment | None = None) -> str:
        """Keep an API key with these permissions; return it."""
        at = environment or self.environment
        key = f"sl_{new_record_id()}{'0' * 40}"
        kept = NewKey(
            id=new_key_id(),
            account_id=at.account_id,
            environment_id=at.id,
            name="test",
            sha256=sha256_hex(key),
            prefix=shown_prefix(key),
            permissions=permissions,
        )
        assert await access.insert_api_key(self.db, kept)
        return key

    async def other_account(self) -> Environment:
        """Make a second account; return its environment."""
        ids = [new_record_id() for _ in range(3)]
        await self.db.execute("INSERT INTO accounts (id, name, slug) VALUES ($1, 'other', $1)", ids[0])
        await self.db.execute(
            "INSERT INTO projects (id, account_id, slug, name, is_default) VALUES ($1, $2, $1, 'p', true)",
            ids[1],
            ids[0],
        )
        await self.db.execute(
            "INSERT INTO environments (id, account_id, project_id, slug, name) VALUES ($1, $2, $3, 'e', 'e')",
            ids[2],
            ids[0],
            ids[1],
        )
        return Environment(id=ids[2], account_id=ids[0], project_id=ids[1], project_slug=ids[1], slug="e", name="e")


@asynccontextmanager
async def running(
    database_url: str,
    envelope: Envelope | None = None,
    deployer: Literal["scripted", "real"] = "scripted",
    /,
    **variables: str,
) -> AsyncIterator[Running]:
    """
    Run an api with its stand-ins; ``variables`` are settings.

    ``envelope`` is one with a master key if not given. With a real ``deployer`` there is no stand-in of it.
    """
    settings = load_settings({"TIDEMILL_PORT": "0", "TIDEMILL_RATE_LIMIT": "off", **variables})
    script = Script()
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor())
        ports = await open_ports(database_url, settings, stack)
        ports = ports if envelope is None else replace(ports, envelope=envelope)
        assert isinstance(ports.bus, MemoryBus)
        first = await accounts.ensure_first_account(ports.db, _admin())
        await partitions.ensure_partitions(ports.db, datetime.now(UTC).date())
        await _serve(ports, script)
        if deployer == "real":
            await services.deployer.app.build(settings, ports, stack, supervisor)
        else:
            await ports.bus.consume_work(DEPLOY_QUEUE, _Deployer(ports).deploy, max_in_flight=4)
        api = await services.api.app.build(settings, ports, stack, supervisor)
        headers = {"X-API-Key": API_KEY}
        http = await stack.enter_async_context(
            # Loading certificates takes 30 ms of CPU a client.
            httpx.AsyncClient(base_url=f"http://localhost:{api.port}", headers=headers, timeout=20, verify=False)
        )
        yield Running(api=api, db=ports.db, bus=ports.bus, script=script, environment=first.environment, http=http)


async def open_ports(database_url: str, settings: Settings, stack: AsyncExitStack) -> Ports:
    """Open the ports of a process with the in-memory bus."""
    db = await Database.connect(database_url, max_size=settings.database.pool_size)
    stack.push_async_callback(db.close)
    bus = MemoryBus()
    await bus.start()
    stack.push_async_callback(bus.close)
    health = Health("api")
    health.add("database", db.ping)
    return Ports(
        replica_id=new_replica_id("tests"),
        db=db,
        bus=bus,
        packages=PostgresPackageStore(db),
        envelope=an_envelope(),
        health=health,
    )


async def _serve(ports: Ports, script: Script) -> None:
    invoker, logger = _Invoker(ports, script), _Logger(ports)
    await ports.bus.consume_work(ASYNC_QUEUE, invoker.run, max_in_flight=8)
    await ports.bus.serve_calls(invoker.answer, max_in_flight=64)
    await ports.bus.consume_records(logger.persist, max_batch=100, max_wait_s=0.01)


class _Deployer:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def deploy(self, work: Work, _delivery: Delivery) -> None:
        assert isinstance(work, DeployFunction)
        deployment = await deployments.claim_deployment(self._ports.db, work.deployment_id)
        if deployment is None:
            return
        error = None
        try:
            if deployment.source is not None and "!!!" in deployment.source:
                raise InvalidCodeError("Unexpected token '!'", name="SyntaxError", line=1, stack="/function/index.js:1")
            sha256, source = await self._package(deployment)
            function = await deployments.succeed(self._ports.db, deployment, sha256, source)
            changed = FunctionChanged(
                function_id=function.id,
                environment_id=function.environment_id,
                name=function.name,
                revision=function.revision,
            )
            self._ports.bus.notify(changed)
        except PlatformError as refused:
            error = refused.record()
            await deployments.refuse(self._ports.db, deployment, error)
        self._ports.bus.notify(
            DeploymentFinished(deployment_id=deployment.id, function_id=deployment.function_id, error=error)
        )

    async def _package(self, deployment: deployments.Deployment) -> tuple[str, str | None]:
        if deployment.upload_kind == "zip":
            assert deployment.upload_sha256 is not None
            return deployment.upload_sha256, None
        if deployment.source is not None:
            return await self._ports.packages.put(deployment.source.encode()), deployment.source
        function = await functions.find_function(self._ports.db, deployment.function_id)
        assert function is not None
        source = await functions.get_source(self._ports.db, function.version.id)
        return function.version.package_sha256, source


class _Invoker:
    def __init__(self, ports: Ports, script: Script) -> None:
        self._ports = ports
        self._script = script

    async def answer(self, command: InvokeFunction) -> InvocationReply:
        self._script.calls.append(command)
        if self._script.error is not None:
            return InvocationReply(record_id=command.record_id, error=self._script.error.record())
        function = await functions.find_function(self._ports.db, command.function_id)
        assert function is not None
        began = time.time_ns() // 1_000_000
        outcome = await self._script.run(command.payload)
        ended = time.time_ns() // 1_000_000
        result = outcome.result if isinstance(outcome, Returned) else b""
        failure = failure_of(outcome)
        defined = isinstance(outcome, Returned) and outcome.defined
        is_shown = failure is None and command.recorded is None
        finished = ExecutionFinished(
            execution_id=command.record_id,
            function_id=function.id,
            environment_id=function.environment_id,
            version_id=function.version.id,
            kind=command.kind,
            status="completed" if failure is None else "failed",
            params=command.payload.decode() if command.recorded is None else command.recorded,
            result=result.decode() if is_shown else None,
            result_defined=defined and is_shown,
            failure=failure,
            started_at_ms=began,
            finished_at_ms=ended,
            duration_ms=float(ended - began),
            timings=Timings(),
            lines=tuple(self._script.lines),
        )
        self._ports.bus.record(finished)
        return InvocationReply(
            record_id=command.record_id,
            failure=failure,
            defined=defined,
            started_at_ms=began,
            finished_at_ms=ended,
            duration_ms=float(ended - began),
            payload=result,
            log_tail="".join(f"{line.message}\n" for line in self._script.lines) if command.log_tail_bytes else "",
        )

    async def run(self, work: Work, _delivery: Delivery) -> None:
        assert isinstance(work, RunExecution)
        self._script.works.append(work.execution_id)
        claim = Claim(id=work.execution_id, holder=self._ports.replica_id, lease_s=60, version_id="0" * 24)
        [claimed] = await executions.claim(self._ports.db, [claim])
        if claimed is None:
            return
        outcome = await self._script.run(claimed.params)
        returned = outcome if isinstance(outcome, Returned) else None
        settlement = Settlement(
            id=claimed.id,
            holder=self._ports.replica_id,
            failure=failure_of(outcome),
            result=returned.result if returned is not None else None,
            result_defined=returned is not None and returned.defined,
            duration_ms=1.0,
            timings=Timings(),
        )
        assert await executions.settle(self._ports.db, [settlement]) == [True]


class _Logger:
    def __init__(self, ports: Ports) -> None:
        self._db = ports.db

    async def persist(self, records: Sequence[Record]) -> None:
        finished = [record for record in records if isinstance(record, ExecutionFinished)]
        calls = [record for record in records if isinstance(record, ApiRequestFinished)]
        written = [record for record in records if isinstance(record, LogLinesWritten)]
        lines = [(record.execution_id, number, line) for record in finished for number, line in enumerate(record.lines)]
        lines += [(record.request_id, number, line) for record in calls for number, line in enumerate(record.lines)]
        lines += [
            (record.record_id, number, line)
            for record in written
            for number, line in enumerate(record.lines, record.first_number)
        ]
        if lines:
            await logs.insert_lines(self._db, lines)
        if finished:
            await executions.insert_finished(self._db, finished)
        if calls:
            await api_requests.insert_finished(self._db, calls)


def _admin() -> AdminCredentials:
    return AdminCredentials(
        email=EMAIL,
        password_hash="not a hash",
        api_key_sha256=sha256_hex(API_KEY),
        api_key_prefix=shown_prefix(API_KEY),
        oauth_client_id=CLIENT_ID,
    )


async def wait_forever(_event: bytes) -> Outcome:
    """Be a run that does not end by itself."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets that event")


def decoded(event: bytes) -> object:
    """Return an event as data."""
    return orjson.loads(event)
