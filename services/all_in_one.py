"""
All four services in one process, on embedded parts: what ``./tidemill up`` runs.

Nothing is mocked. PostgreSQL comes from a wheel unless ``TIDEMILL_DATABASE_URL`` names one; the bus is in
memory unless ``TIDEMILL_AMQP_URL`` names a RabbitMQ; functions run in this machine's sandboxes. The order of
starting is the order of need, and closing is its reverse.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import services.api.app
import services.deployer.app
import services.invoker.app
import services.logger.app
from services.credentials import Credentials, first_credentials
from services.invoker.keeper import settle_cut_off
from services.invoker.pool.description import EngineDescription
from services.keyring import FILE_NAME, open_envelope
from services.ports import Ports, new_replica_id, open_bus, open_database, open_packages
from services.prepare import ensure_first_account
from shared.bus.bus import Bus
from shared.bus.memory import MemoryBus
from shared.database import executions, migrate
from shared.process.embedded_postgres import EmbeddedPostgres
from shared.process.health import Health
from shared.process.settings import Settings
from shared.process.supervise import Service, Supervisor

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllInOne:
    """The four services as one. ``sandbox`` is how functions are confined on this machine."""

    address: str
    credentials: Credentials
    sandbox: EngineDescription
    parts: tuple[Service, ...]

    async def drain(self) -> None:
        """Drain in the order calls take: the api first, the logger last."""
        for part in self.parts:
            await part.drain()


class Progress:
    """Tells a person what start-up is doing and how long each step took."""

    def __init__(self, say: Say) -> None:
        self._say = say

    @asynccontextmanager
    async def step(self, what: str) -> AsyncIterator[None]:
        """Time a step and say so when it is done."""
        began = time.monotonic()
        yield
        self._say(f"  {what:<42} {time.monotonic() - began:6.2f} s")


async def build(settings: Settings, say: Say, stack: AsyncExitStack, supervisor: Supervisor) -> AllInOne:
    """Start everything; requests are being answered when this returns."""
    progress = Progress(say)
    health = Health("tidemill")
    dsn = await _database_url(settings, progress, stack, supervisor)
    async with progress.step("database schema"):
        await migrate.migrate(dsn)
    db = await open_database(settings, dsn, health, stack)
    credentials = first_credentials(settings.data.data_dir, settings.admin)
    envelope = open_envelope(settings.master_key, health, stack, own_file=settings.data.data_dir / FILE_NAME)
    await ensure_first_account(db, envelope, credentials)
    ports = Ports(
        replica_id=new_replica_id("all-in-one"),
        db=db,
        bus=await open_bus(_bus(settings), health, stack),
        packages=open_packages(settings, db, stack),
        envelope=envelope,
        health=health,
    )
    if settings.database.url is None:
        # Nobody else can reach this PostgreSQL. On a shared one leases and the keeper decide.
        await settle_cut_off(db)
    if not ports.bus.durable:
        # What the last process had sent went with it: the relay sends every queued execution again.
        await executions.undispatch_all(db)
    async with progress.step("logger and deployer"):
        logger = await services.logger.app.build(settings, ports, stack, supervisor)
        deployer = await services.deployer.app.build(settings, ports, stack, supervisor)
    async with progress.step("invoker: sandboxes and stem cells"):
        invoker = await services.invoker.app.build(settings, ports, stack, supervisor)
    async with progress.step("api"):
        api = await services.api.app.build(settings, ports, stack, supervisor)
    return AllInOne(
        address=f"http://localhost:{api.port}",
        credentials=credentials,
        sandbox=invoker.pool.describe(),
        parts=(api, invoker, deployer, logger),
    )


async def _database_url(settings: Settings, progress: Progress, stack: AsyncExitStack, supervisor: Supervisor) -> str:
    if settings.database.url is not None:
        return settings.database.url.reveal()
    postgres = EmbeddedPostgres(settings.data.data_dir / "postgres")
    async with progress.step("PostgreSQL"):
        stack.push_async_callback(postgres.stop)
        dsn = await postgres.start()
    supervisor.spawn("postgres", postgres.keep())
    return dsn


def _bus(settings: Settings) -> Bus:
    if settings.bus.amqp_url is None:
        return MemoryBus()
    from shared.bus.rabbitmq import RabbitBus  # noqa: PLC0415 - not loaded when the bus is in memory

    return RabbitBus(settings.bus.amqp_url.reveal(), replica_id=new_replica_id("all-in-one"))
