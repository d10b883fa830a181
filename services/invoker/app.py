"""
The invoker's composition root: the one file of this service that names adapters.

Stop order: take no more calls or work, let what is in flight end, flush the records, then close the pool with
every process in it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services import measurements
from services.invoker.dead_letters import DeadLetters
from services.invoker.due import DueLoop
from services.invoker.executions import ExecutionRunner
from services.invoker.host_services.build import open_host_services
from services.invoker.invoke import Invoker
from services.invoker.keeper import Keeper
from services.invoker.metrics import PoolCollector
from services.invoker.pool.pool import FunctionCode, WorkerPool
from services.invoker.providers.clouds import Clouds, Runner
from services.invoker.receipts import SIGN_S, Receipts
from services.invoker.settings import KEEP_CONNECTION_S, PACKAGE_CACHE_BYTES, engine_settings
from services.invoker.tasks import TaskLimits, TaskRunner
from services.invoker.vault import Vault
from services.ports import Ports, open_variables
from services.signing import REFRESH_S, ServiceKey
from shared.database.function_cache import FunctionCache
from shared.domain.placement import AWS
from shared.messages.messages import FunctionChanged, Notice, TasksWaiting
from shared.messages.topology import ASYNC_QUEUE
from shared.packages.cache import PackageCache
from shared.process.chores import every
from shared.process.metrics import registry
from shared.process.settings import Settings
from shared.process.supervise import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokerService:
    """A running invoker."""

    ports: Ports
    pool: WorkerPool
    due: DueLoop
    tasks: TaskRunner

    async def drain(self) -> None:
        """Take nothing new; finish what is held."""
        self.ports.health.drain()
        self.tasks.stop()
        async with asyncio.TaskGroup() as both:
            both.create_task(self.due.stop())
            both.create_task(self.ports.bus.stop_consuming())
        await self.tasks.drained()


async def build(settings: Settings, ports: Ports, stack: AsyncExitStack, supervisor: Supervisor) -> InvokerService:
    """Start an invoker on its ports; it is consuming when this returns."""
    open_variables(ports)
    functions = FunctionCache(ports.db)
    packages = PackageCache(ports.packages, settings.data.data_dir / "packages", max_bytes=PACKAGE_CACHE_BYTES)
    stack.push_async_callback(packages.close)

    async def fetch(code: FunctionCode) -> Path:
        return await packages.fetch(code.package_sha256)

    signing = ServiceKey(ports.db, ports.envelope)
    await signing.refresh()
    services = await stack.enter_async_context(open_host_services(settings.host_services, key=lambda: signing.current))
    pool = WorkerPool(engine_settings(settings), fetch)
    await pool.start()
    stack.push_async_callback(pool.close)
    receipts = Receipts(ports.db, signing)
    vault = Vault(ports.db, ports.envelope)
    clouds = await stack.enter_async_context(_clouds(settings, ports))
    invoker = Invoker(functions, vault, pool, ports.bus.record, receipts, services, clouds)
    runner = ExecutionRunner(
        ports.db,
        functions,
        invoker,
        ports.bus.record,
        receipts,
        holder=ports.replica_id,
        lane_width=settings.engine.max_workers_per_function,
    )
    stack.push_async_callback(runner.close)
    due = DueLoop(ports.db)
    task_runner = TaskRunner(
        ports.db,
        invoker,
        ports.bus.record,
        TaskLimits(at_once=settings.engine.max_tasks_at_once, held=settings.engine.max_async_in_flight),
        holder=ports.replica_id,
        on_end=due.wake,
    )
    stack.push_async_callback(task_runner.close)

    await _listen(ports, functions, vault, pool, due)
    tasks = await stack.enter_async_context(supervisor.child())
    await Keeper(ports.db, ports.bus, replica_id=ports.replica_id, details=await _details(pool)).start(tasks)
    tasks.spawn("invoker-signing-key", every(REFRESH_S, signing.refresh))
    tasks.spawn("invoker-receipts", every(SIGN_S, receipts.make_missing))
    tasks.spawn("invoker-due", due.run(task_runner))
    await ports.bus.consume_dead_letters(DeadLetters(ports.db, ports.bus).settle)
    await ports.bus.consume_work(ASYNC_QUEUE, runner.run, max_in_flight=settings.engine.max_async_in_flight)
    await ports.bus.serve_calls(invoker.answer, max_in_flight=settings.engine.max_sync_in_flight)
    ports.health.add("receipts", signing.check, readiness=False)
    _report(pool, ports, stack)
    return InvokerService(ports=ports, pool=pool, due=due, tasks=task_runner)


async def _listen(ports: Ports, functions: FunctionCache, vault: Vault, pool: WorkerPool, due: DueLoop) -> None:
    """Act on what every replica is told."""

    def on_notice(notice: Notice) -> None:
        if isinstance(notice, TasksWaiting):
            due.wake()
        elif isinstance(notice, FunctionChanged):
            functions.on_change(notice)
            vault.forget(notice.function_id)
            if notice.deleted:
                pool.stop(notice.function_id)
            elif notice.version_changed:
                pool.forget(notice.function_id)

    def on_gap() -> None:
        functions.clear()
        vault.clear()

    await ports.bus.subscribe(on_notice, on_gap=on_gap)


def _clouds(settings: Settings, ports: Ports) -> Clouds:
    async def aws(stack: AsyncExitStack) -> Runner:
        return await asyncio.to_thread(_aws, settings, ports, stack)

    return Clouds(ports.db, {AWS: aws})


def _aws(settings: Settings, ports: Ports, stack: AsyncExitStack) -> Runner:
    """Make what runs functions at AWS; boto3 takes a while to load."""
    from services.invoker.providers.aws import AwsRunner  # noqa: PLC0415 - see providers/clouds.py
    from shared.cloud.aws.sessions import INVOKE, AwsSessions  # noqa: PLC0415
    from shared.cloud.connections import Connections  # noqa: PLC0415

    sessions = AwsSessions(settings.aws, threads=settings.aws.max_invocations, config=INVOKE)
    stack.push_async_callback(sessions.close)
    return AwsRunner(sessions, Connections(ports.db, ports.envelope, keep_s=KEEP_CONNECTION_S))


async def _details(pool: WorkerPool) -> Mapping[str, Any]:
    """Return what this invoker says of itself (``shared.database.replicas``)."""
    return {
        "server": await asyncio.to_thread(measurements.server),
        "runner": await asyncio.to_thread(measurements.runner),
        "runtimes": {str(family): asdict(each) for family, each in pool.interpreters().items()},
    }


def _report(pool: WorkerPool, ports: Ports, stack: AsyncExitStack) -> None:
    """Show the pool in ``/health`` and ``/metrics``."""

    async def sandbox() -> dict[str, str]:
        return {finding.topic: finding.value for finding in pool.describe().findings}

    ports.health.add("sandbox", sandbox, readiness=False)
    collector = PoolCollector(pool.stats)
    registry.register(collector)
    stack.callback(registry.unregister, collector)
