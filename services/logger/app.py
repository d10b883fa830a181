"""
The logger's composition root: the one file of this service that names adapters.

It has nothing to drain of its own: the bus hands over what it holds when it is closed, before the database is.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from services.logger import retention, task_counts
from services.logger.batches import RecordWriter
from services.logger.ledger import Ledger
from services.logger.settings import CHORES_EVERY_S, LEDGER_EVERY_S, MAX_BATCH, MAX_WAIT_S, NONCES_EVERY_S
from services.ports import Ports
from shared.database import oauth1
from shared.process.chores import every
from shared.process.settings import Settings
from shared.process.supervise import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerService:
    """A running logger."""

    ports: Ports

    async def drain(self) -> None:
        """Turn readiness off; batches end by themselves."""
        self.ports.health.drain()


async def build(settings: Settings, ports: Ports, stack: AsyncExitStack, supervisor: Supervisor) -> LoggerService:
    """Start a logger on its ports; it is consuming, and there are partitions, when this returns."""
    keep_days = settings.retention.days
    ledger = Ledger(ports.db)
    await retention.ensure_partitions(ports.db)
    await ports.bus.consume_records(
        RecordWriter(ports.db, keep_days=keep_days).write, max_batch=MAX_BATCH, max_wait_s=MAX_WAIT_S
    )

    async def make_partitions() -> None:
        await retention.ensure_partitions(ports.db)

    async def drop_expired() -> None:
        await retention.drop_expired(ports.db, keep_days)

    async def count_tasks() -> None:
        await task_counts.export(ports.db)

    tasks = await stack.enter_async_context(supervisor.child())
    tasks.spawn("logger-partitions", every(CHORES_EVERY_S, make_partitions))
    tasks.spawn("logger-expired", every(CHORES_EVERY_S, drop_expired))
    tasks.spawn("logger-nonces", every(NONCES_EVERY_S, lambda: oauth1.forget_nonces(ports.db)))
    tasks.spawn("logger-ledger", every(LEDGER_EVERY_S, ledger.export))
    tasks.spawn("logger-tasks", every(LEDGER_EVERY_S, count_tasks))
    ports.health.add("ledger", ledger.check, readiness=False)
    return LoggerService(ports=ports)
