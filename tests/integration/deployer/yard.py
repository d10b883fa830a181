"""What tests of the deployer stand on: a bus in memory, a package store with a gate, and ears."""

import asyncio
from contextlib import AsyncExitStack

from services.deployer.app import DeployerService, build
from services.ports import Ports, new_replica_id
from shared.bus.bus import DeadLetter
from shared.bus.memory import MemoryBus
from shared.database import deployments, functions
from shared.database.deployments import Deployment, NewDeployment
from shared.database.pool import Database
from shared.domain.errors import InternalError, UnavailableError
from shared.domain.function import Function
from shared.messages.messages import DeployFunction, DeploymentFinished, Notice
from shared.packages.postgres import PostgresPackageStore
from shared.process.health import Health
from shared.process.settings import Settings
from shared.process.supervise import Supervisor
from tests.integration.database.world import World
from tests.support.envelopes import an_envelope
from tests.support.eventually import eventually


class GatedStore:
    """The PostgreSQL store behind a gate that can be shut, and that can fail a number of times."""

    def __init__(self, db: Database) -> None:
        self._store = PostgresPackageStore(db)
        self.gate = asyncio.Event()
        self.gate.set()
        self.may_delete = asyncio.Event()
        self.may_delete.set()
        self.deleting: list[str] = []
        self.waiting = 0
        self.failures = 0
        self.failure: Exception = UnavailableError("the store is away")

    async def put(self, content: bytes) -> str:
        return await self._store.put(content)

    async def get(self, sha256: str) -> bytes:
        return await self._store.get(sha256)

    async def delete(self, sha256: str) -> None:
        self.deleting.append(sha256)
        await self.may_delete.wait()
        await self._store.delete(sha256)

    async def renew(self, sha256: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise self.failure
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        return await self._store.renew(sha256)


class Yard:
    """Everything around deployers."""

    def __init__(self, db: Database, world: World, supervisor: Supervisor) -> None:
        self.db = db
        self.world = world
        self.supervisor = supervisor
        self.bus = MemoryBus(redelivery_pause_s=0.01)
        self.store = GatedStore(db)
        self.notices: list[Notice] = []
        self.dead: list[DeadLetter] = []
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        await self.bus.start()
        await self.bus.subscribe(self.notices.append, on_gap=self.notices.clear)
        await self.bus.consume_dead_letters(self._bury)

    async def close(self) -> None:
        self.store.gate.set()
        await self.bus.close()
        await self._stack.aclose()

    async def start_deployer(self, settings: Settings | None = None) -> DeployerService:
        ports = Ports(
            replica_id=new_replica_id("deployer"),
            db=self.db,
            bus=self.bus,
            packages=self.store,
            envelope=an_envelope(),
            health=Health("deployer"),
        )
        return await build(settings or Settings(), ports, self._stack, self.supervisor)

    async def ask(self, new: NewDeployment) -> NewDeployment:
        """Open a deployment and send its command."""
        await deployments.open_deployment(self.db, new)
        await self.send(new)
        return new

    async def send(self, new: NewDeployment) -> None:
        await self.bus.send(DeployFunction(deployment_id=new.id, function_id=new.function_id))

    async def end_of(self, new: NewDeployment) -> DeploymentFinished:
        """Wait for the first announcement of its end."""
        await eventually(lambda: self.ends(new), within_s=20)
        return self.ends(new)[0]

    def ends(self, new: NewDeployment) -> list[DeploymentFinished]:
        return [each for each in self.notices if isinstance(each, DeploymentFinished) and each.deployment_id == new.id]

    async def row(self, new: NewDeployment) -> Deployment:
        found = await deployments.find_deployment(self.db, new.id)
        assert found is not None
        return found

    async def function(self, new: NewDeployment) -> Function:
        found = await functions.find_function(self.db, new.function_id)
        assert found is not None
        return found

    async def versions(self, new: NewDeployment) -> int:
        count: int = await self.db.fetchval(
            "SELECT count(*) FROM function_versions WHERE function_id = $1", new.function_id
        )
        return count

    async def _bury(self, letter: DeadLetter) -> None:
        """Settle a dead letter as the platform does."""
        assert isinstance(letter.work, DeployFunction)
        await deployments.give_up(self.db, letter.work.deployment_id, InternalError(letter.reason).record())
        self.dead.append(letter)
