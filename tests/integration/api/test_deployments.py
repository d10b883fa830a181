"""Creating and changing functions when the deployer is slow, silent or away: nothing is half done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from services.api.access.addresses import Addresses
from services.api.access.authentication import identify_key
from services.api.access.credentials import Credentials
from services.api.access.key_usage import KeyUsage
from services.api.access.rate_limit import RateLimits
from services.api.attestor import Attestor
from services.api.cloud_doors import CloudDoors
from services.api.deployments import DeploymentWaiters
from services.api.direct_executions import DirectExecutions
from services.api.dispatch import Dispatcher
from services.api.operations.create_function import NewFunction, Upload, create_function
from services.api.operations.read_functions import get_function
from services.api.operations.update_function import FunctionPatch, update_function
from services.api.platform import Limits, Platform
from services.api.task_notices import TaskNotices
from services.ports import Ports
from services.signing import ServiceKey
from shared.bus.bus import Delivery
from shared.crypto.tokens import sha256_hex, shown_prefix
from shared.database import accounts, api_keys, deployments, executions, oauth1, tasks
from shared.database.accounts import AdminCredentials
from shared.database.executions import AcceptedExecution, NewExecution
from shared.database.function_cache import FunctionCache
from shared.database.group_commit import GroupCommit
from shared.database.oauth1 import UsedNonce
from shared.database.tasks import NewTask
from shared.domain.errors import FunctionNotFoundError, InvalidCodeError, UnavailableError
from shared.domain.function import Convention, FunctionStatus, VersionSpec
from shared.domain.identity import Identity
from shared.domain.task import Task
from shared.messages.messages import DeployFunction, DeploymentFinished, Work
from shared.messages.topology import DEPLOY_QUEUE
from shared.process.aws_settings import AwsSettings
from shared.process.settings import load_settings
from tests.integration.api.harness import API_KEY, open_ports

SPEC = VersionSpec(runtime="node18", convention=Convention.NEO, handler="", timeout_s=3, memory_mb=128)
WANTED = NewFunction(name="greet", spec=SPEC, upload=Upload(kind="source", content=b"module.exports = 1"))


@pytest.fixture
async def ports(database_url: str) -> AsyncIterator[Ports]:
    async with AsyncExitStack() as stack:
        opened = await open_ports(database_url, load_settings({}), stack)
        await accounts.ensure_first_account(
            opened.db,
            AdminCredentials(
                email="a@example.com",
                password_hash="none",
                api_key_sha256=sha256_hex(API_KEY),
                api_key_prefix=shown_prefix(API_KEY),
                oauth_client_id="tests",
            ),
        )
        yield opened


@pytest.fixture
async def platform(ports: Ports) -> AsyncIterator[Platform]:
    """A platform whose callers wait half a second for a deployment."""
    accept: GroupCommit[NewExecution, AcceptedExecution] = GroupCommit(lambda rows: executions.accept(ports.db, rows))
    nonces: GroupCommit[UsedNonce, bool] = GroupCommit(lambda rows: oauth1.use_nonces(ports.db, rows))
    new_tasks: GroupCommit[NewTask, Task] = GroupCommit(lambda rows: tasks.accept(ports.db, rows))
    direct = DirectExecutions(ports.db, ports.replica_id, 1)
    task_notices = TaskNotices(ports.bus)
    yield Platform(
        db=ports.db,
        bus=ports.bus,
        functions=FunctionCache(ports.db),
        deployments=DeploymentWaiters(),
        packages=ports.packages,
        envelope=ports.envelope,
        attestor=Attestor(ports.db, ServiceKey(ports.db, ports.envelope), ""),
        credentials=Credentials(),
        key_usage=KeyUsage(ports.db, api_keys.note_use),
        token_usage=KeyUsage(ports.db, oauth1.note_use),
        rate_limits=RateLimits(load_settings({}).rate_limit),
        addresses=Addresses(),
        accept=accept,
        nonces=nonces,
        dispatcher=Dispatcher(ports.db, ports.bus),
        tasks=new_tasks,
        direct=direct,
        task_notices=task_notices,
        limits=Limits(deployment_s=0.5),
        aws=AwsSettings(),
        enter_cloud=CloudDoors(AwsSettings()).enter,
        default_environment_id="",
    )
    await accept.close()
    await nonces.close()
    await new_tasks.close()
    await direct.close()
    task_notices.close()


@pytest.fixture
async def identity(platform: Platform) -> Identity:
    return await identify_key(platform, API_KEY)


class Deployer:
    """A deployer in the test's hands."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.error: InvalidCodeError | None = None

    async def start(self) -> None:
        await self._ports.bus.consume_work(DEPLOY_QUEUE, self._deploy, max_in_flight=1)

    async def _deploy(self, work: Work, _delivery: Delivery) -> None:
        assert isinstance(work, DeployFunction)
        deployment = await deployments.claim_deployment(self._ports.db, work.deployment_id)
        if deployment is None:
            return
        self.begun.set()
        await self.go.wait()
        if self.error is not None:
            await deployments.refuse(self._ports.db, deployment, self.error.record())
        else:
            await deployments.succeed(self._ports.db, deployment, "0" * 64, deployment.source)


async def test_a_lost_announcement_is_made_good_by_the_row(
    platform: Platform, ports: Ports, identity: Identity
) -> None:
    await Deployer(ports).start()  # it never announces anything

    made = await create_function(platform, identity, WANTED)

    assert (made.name, made.status) == ("greet", FunctionStatus.ACTIVE)


async def test_a_refusal_is_raised_as_what_it_was(platform: Platform, ports: Ports, identity: Identity) -> None:
    deployer = Deployer(ports)
    deployer.error = InvalidCodeError("Unexpected token", name="SyntaxError", line=2)
    await deployer.start()

    with pytest.raises(InvalidCodeError, match="Unexpected token") as raised:
        await create_function(platform, identity, WANTED)

    assert raised.value.fields == {"name": "SyntaxError", "line": 2}
    with pytest.raises(FunctionNotFoundError):
        await get_function(platform, identity, "greet")


async def test_without_a_deployer_creating_is_unavailable_and_the_name_stays_free(
    platform: Platform, ports: Ports, identity: Identity
) -> None:
    with pytest.raises(UnavailableError, match="nothing was changed"):
        await create_function(platform, identity, WANTED)

    await Deployer(ports).start()  # the old command finds a deployment that was called off
    assert (await create_function(platform, identity, WANTED)).name == "greet"


async def test_without_a_bus_creating_is_unavailable_and_the_name_stays_free(
    platform: Platform, ports: Ports, identity: Identity
) -> None:
    await ports.bus.close()

    with pytest.raises(UnavailableError):
        await create_function(platform, identity, WANTED)

    assert await ports.db.fetchval("SELECT count(*) FROM functions") == 0


async def test_a_deployment_that_takes_long_goes_on_and_the_caller_is_told(
    platform: Platform, ports: Ports, identity: Identity
) -> None:
    deployer = Deployer(ports)
    deployer.go.clear()
    await deployer.start()

    with pytest.raises(UnavailableError, match="goes on"):
        await create_function(platform, identity, WANTED)
    deployer.go.set()
    await ports.bus.stop_consuming()

    assert (await get_function(platform, identity, "greet")).status is FunctionStatus.ACTIVE


async def test_an_update_nobody_took_leaves_the_function_as_it_was(
    platform: Platform, ports: Ports, identity: Identity
) -> None:
    deployer = Deployer(ports)
    await deployer.start()
    made = await create_function(platform, identity, WANTED)
    await ports.bus.stop_consuming()

    with pytest.raises(UnavailableError):
        await update_function(platform, identity, made, FunctionPatch(timeout_s=9, description="new"))

    assert await get_function(platform, identity, made.id) == made


async def test_an_announcement_reaches_its_waiter_and_nobody_else() -> None:
    waiters = DeploymentWaiters()
    waiters.on_finished(DeploymentFinished(deployment_id="nobody", function_id="f"))
    notice = DeploymentFinished(deployment_id="one", function_id="f")

    with waiters.expect("one") as one, waiters.expect("two") as two:
        waiters.on_finished(notice)
        waiters.on_finished(replace(notice, function_id="again"))
        assert one.result() == notice
        assert not two.done()

    assert two.cancelled()
