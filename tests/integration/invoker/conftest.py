"""An invoker with everything real but the engine: its pool does what the test scripts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from services.invoker.executions import ExecutionRunner
from services.invoker.invoke import Invoker
from services.invoker.keeper import Keeper
from services.invoker.pool.pool import FunctionCode, Invocation, WorkerPool
from services.invoker.receipts import Receipts
from services.invoker.vault import Vault
from services.signing import ServiceKey
from shared.bus.memory import MemoryBus
from shared.database import replicas
from shared.database.function_cache import FunctionCache
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.domain.outcome import LogLine, Report, Returned, Timings
from shared.messages.messages import Record, SecretsAsked
from tests.integration.database.world import World
from tests.support.clock import FakeClock
from tests.support.envelopes import an_envelope

HOLDER = "invoker-under-test"

Run = Callable[[FunctionCode, Invocation], Awaitable[Report]]


def returned(result: bytes, *lines: LogLine) -> Report:
    """Return the report of a run that went well."""
    return Report(outcome=Returned(result=result), timings=Timings(handler_ms=2.0), logs=lines)


async def echo(_code: FunctionCode, invocation: Invocation) -> Report:
    """Return the event."""
    return returned(invocation.event)


@dataclass
class ScriptedPool:
    """A pool that runs what the test says, unless all workers are ``busy``, and remembers what it was asked."""

    run: Run = echo
    invocations: list[Invocation] = field(default_factory=list)
    busy: bool = False

    async def invoke(self, code: FunctionCode, invocation: Invocation) -> Report:
        self.invocations.append(invocation)
        if self.busy:
            await asyncio.Event().wait()
        if invocation.on_start is not None:
            invocation.on_start()
        return await self.run(code, invocation)


@dataclass(kw_only=True)
class Mill:
    """An invoker's parts, and what they were given and gave."""

    world: World
    bus: MemoryBus
    pool: ScriptedPool
    functions: FunctionCache
    invoker: Invoker
    runner: ExecutionRunner
    keeper: Keeper
    signing: ServiceKey
    receipts: Receipts
    records: list[Record]
    clock: FakeClock

    async def beat_for(self, seconds: int) -> None:
        """Let time pass in which this invoker is heard."""
        for _ in range(seconds // 5):
            self.clock.advance(5)
            await self.keeper.beat()

    @property
    def db(self) -> Database:
        return self.world.db


@pytest.fixture
async def mill(database_url: str) -> AsyncIterator[Mill]:
    """Return an invoker's parts on a database of their own."""
    db = await Database.connect(database_url)
    await ensure_partitions(db, datetime.now(UTC).date())
    await replicas.beat(db, HOLDER, "invoker")
    bus = MemoryBus(redelivery_pause_s=0.01)
    await bus.start()
    pool, functions = ScriptedPool(), FunctionCache(db)
    records: list[Record] = []
    clock = FakeClock()
    signing = ServiceKey(db, an_envelope())
    await signing.refresh()
    receipts = Receipts(db, signing)
    vault = Vault(db, an_envelope())
    invoker = Invoker(functions, vault, cast("WorkerPool", pool), records.append, receipts)
    runner = ExecutionRunner(db, functions, invoker, records.append, receipts, holder=HOLDER, lane_width=2)
    yield Mill(
        world=await World.make(db),
        bus=bus,
        pool=pool,
        functions=functions,
        invoker=invoker,
        runner=runner,
        signing=signing,
        receipts=receipts,
        keeper=Keeper(db, bus, replica_id=HOLDER, now=clock.monotonic),
        clock=clock,
        records=records,
    )
    await runner.close()
    await bus.close()
    await db.close()


def lines_of(records: Sequence[Record]) -> list[str]:
    """Return the messages of all log lines in these records."""
    return [line.message for record in records if not isinstance(record, SecretsAsked) for line in record.lines]
