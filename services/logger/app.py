"""
The logger's composition root: the one file of this service that names adapters.

It has nothing to drain of its own: the bus hands over what it holds when it is closed, before the database is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from services.logger import retention
from services.logger.batches import RecordWriter
from services.logger.ledger import Ledger
from services.logger.settings import CHORES_EVERY_S, LEDGER_EVERY_S, MAX_BATCH, MAX_WAIT_S, RETRY_CHORE_S
from services.ports import Ports
from shared.domain.errors import UnavailableError
from shared.process.settings import Settings
from shared.process.supervise import Supervisor

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerService:
    """A running logger."""

    ports: Ports

    async def drain(self) -> None:
        """Turn readiness off; batches end by themselves."""
        self.ports.health.drain()


async def build(settings: Settings, ports: Ports, _stack: AsyncExitStack, supervisor: Supervisor) -> LoggerService:
    """Start a logger on its ports; it is consuming, and there are partitions, when this returns."""
    keep_days = settings.retention.days
    ledger = Ledger(ports.db)
    await retention.ensure_partitions(ports.db)
    await ports.bus.consume_records(
        RecordWriter(ports.db, keep_days=keep_days).write, max_batch=MAX_BATCH, max_wait_s=MAX_WAIT_S
    )

    async def chores() -> None:
        await retention.ensure_partitions(ports.db)
        await retention.drop_expired(ports.db, keep_days)

    supervisor.spawn("logger-chores", _every(CHORES_EVERY_S, chores))
    supervisor.spawn("logger-ledger", _every(LEDGER_EVERY_S, ledger.export))
    ports.health.add("ledger", ledger.check, readiness=False)
    return LoggerService(ports=ports)


async def _every(period_s: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do a chore at once and then again and again; while the database is away, more often, so that it catches up."""
    while True:
        pause_s = period_s
        try:
            await chore()
        except UnavailableError as error:
            _log.warning("chore_waits", chore=chore.__qualname__, reason=error.message)
            pause_s = min(period_s, RETRY_CHORE_S)
        await asyncio.sleep(pause_s)
