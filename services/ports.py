"""
The outside, as every service gets it: a database, a bus, a package store, master keys, a place to report health.

``connect`` opens the real ones from settings and enters each into the stack, so that closing is the reverse
order by construction. The all-in-one makes one ``Ports`` for its four services; a service on its own makes
one for itself. Tests build services with ports of their own.
"""

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import token_hex

from services.keyring import open_envelope
from shared.bus.bus import Bus
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.crypto.variables import Variables
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.packages.postgres import PostgresPackageStore
from shared.packages.store import PackageStore
from shared.process.health import Health
from shared.process.settings import Settings

_SEAL = frozenset({"api", "deployer", "invoker"})
"""Those who seal and open values. The others get no master key, whatever their settings say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a service needs of the outside. ``replica_id`` tells this process from its siblings."""

    replica_id: str
    db: Database
    bus: Bus
    packages: PackageStore
    envelope: Envelope
    health: Health


def new_replica_id(service: str) -> str:
    """Return a name for this process, unique over restarts."""
    return f"{service}-{socket.gethostname()}-{token_hex(4)}"


async def open_database(settings: Settings, dsn: str, health: Health, stack: AsyncExitStack) -> Database:
    """Connect the pool and watch it."""
    db = await Database.connect(dsn, max_size=settings.database.pool_size)
    stack.push_async_callback(db.close)
    health.add("database", db.ping)
    return db


async def open_bus(bus: Bus, health: Health, stack: AsyncExitStack) -> Bus:
    """Start a bus and watch it."""

    async def consuming() -> None:
        if problems := bus.problems():
            raise UnavailableError("; ".join(problems))

    await bus.start()
    stack.push_async_callback(bus.close)
    health.add("bus", consuming)
    return bus


def open_packages(settings: Settings, db: Database, stack: AsyncExitStack) -> PackageStore:
    """Return the package store the settings ask for."""
    if settings.packages.s3_url is None:
        return PostgresPackageStore(db)
    from shared.packages.s3 import S3PackageStore  # noqa: PLC0415 - boto3 is 30 MB nobody else should pay for

    store = S3PackageStore(settings.packages, db)
    stack.push_async_callback(store.close)
    return store


def open_variables(ports: Ports) -> None:
    """
    Let the database seal and open environment variables of functions, for whoever calls and shows these.

    Without a master key what is sealed cannot be read, which is told; what is not is kept as it is.
    """
    if ports.db.variables is None:
        ports.db.variables = Variables(ports.envelope)


async def connect(settings: Settings, service: str, stack: AsyncExitStack) -> Ports:
    """
    Open the real ports of a service that runs on its own.

    Raises:
        UnavailableError: the database or the broker cannot be reached.
        SystemExit: a URL is missing; only the all-in-one brings its own parts.

    """
    if settings.database.url is None or settings.bus.amqp_url is None:
        raise SystemExit(
            f"services.{service} needs TIDEMILL_DATABASE_URL and TIDEMILL_AMQP_URL; "
            "`./tidemill up` runs everything in one process without them"
        )
    from shared.bus.rabbitmq import RabbitBus  # noqa: PLC0415 - the all-in-one should not load it for nothing

    replica_id = new_replica_id(service)
    health = Health(service, starting=True)
    db = await open_database(settings, settings.database.url.reveal(), health, stack)
    bus = await open_bus(RabbitBus(settings.bus.amqp_url.reveal(), replica_id=replica_id), health, stack)
    return Ports(
        replica_id=replica_id,
        db=db,
        bus=bus,
        packages=open_packages(settings, db, stack),
        envelope=open_envelope(settings.master_key, health, stack) if service in _SEAL else Envelope(KeyRing(())),
        health=health,
    )
