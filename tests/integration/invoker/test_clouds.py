"""Functions at a cloud, called through the invoker as all others are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

import pytest

from services.invoker.invoke import Invoker
from services.invoker.pool.pool import WorkerPool
from services.invoker.providers.clouds import Clouds
from services.invoker.vault import Vault
from shared.database import cloud_connections, deployments
from shared.database.function_cache import FunctionCache
from shared.domain.cloud_errors import CloudDeniedError
from shared.domain.function import Convention, Function
from shared.domain.outcome import Report, Returned, Timings
from shared.domain.placement import AWS, Placement
from shared.messages.messages import ApiRequestFinished, ExecutionFinished
from tests.integration.database.world import World, line, spec
from tests.integration.invoker.conftest import Mill
from tests.integration.invoker.test_invoke import command
from tests.support.envelopes import an_envelope

LAMBDA = spec(convention=Convention.LAMBDA, runtime="nodejs20.x", timeout_s=3)


@dataclass
class Cloud:
    """A cloud that answers what the test says and remembers what it was asked."""

    result: bytes = b'{"statusCode":201,"body":"done"}'
    error: Exception | None = None
    made: int = 0
    asked: list[tuple[Placement, bytes, float]] = field(default_factory=list)

    async def make(self, _stack: AsyncExitStack) -> "Cloud":
        self.made += 1
        return self

    async def run(self, function: Function, placement: Placement, event: bytes, *, limit_s: float) -> Report:
        assert function.id == placement.function_id
        self.asked.append((placement, event, limit_s))
        if self.error is not None:
            raise self.error
        return Report(outcome=Returned(result=self.result), timings=Timings(handler_ms=5.0), logs=(line("hello"),))


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
async def invoker(mill: Mill, cloud: Cloud) -> AsyncIterator[Invoker]:
    db = mill.world.db
    async with Clouds(db, {AWS: cloud.make}) as clouds:
        yield Invoker(
            FunctionCache(db),
            Vault(db, an_envelope()),
            cast("WorkerPool", mill.pool),
            mill.records.append,
            mill.receipts,
            None,
            clouds,
        )


async def at_aws(world: World) -> Function:
    connection = await cloud_connections.ensure_local(world.db, world.first.account_id)
    new = world.new_deployment("thumbs", provider=AWS, spec=LAMBDA, function_id="func_a")
    placement = Placement(
        function_id="func_a",
        provider=AWS,
        connection_id=connection.id,
        account_id="111122223333",
        region="eu-west-1",
        name="thumbs",
    )
    new = deployments.NewDeployment(**{**{name: getattr(new, name) for name in new.__slots__}, "placement": placement})
    await deployments.open_deployment(world.db, new)
    claimed = await deployments.claim_deployment(world.db, new.id)
    assert claimed is not None
    return await deployments.succeed(world.db, claimed, "0" * 64, None)


async def test_an_api_call_of_a_function_at_a_cloud_is_answered_and_recorded_as_any(
    mill: Mill, invoker: Invoker, cloud: Cloud
) -> None:
    function = await at_aws(mill.world)

    reply = await invoker.answer(command(function.id, api=True, payload=b'{"a":1}'))

    assert reply.answer is not None
    assert (reply.answer.status, reply.payload) == (201, b"done")
    [(placement, event, limit_s)] = cloud.asked
    assert (placement.region, placement.name, event) == ("eu-west-1", "thumbs", b'{"a":1}')
    assert 0 < limit_s <= 5
    assert mill.pool.invocations == []
    [record] = mill.records
    assert isinstance(record, ApiRequestFinished)
    assert [each.message for each in record.lines] == ["hello"]


async def test_where_a_function_is_is_looked_up_once_and_its_cloud_loaded_once(
    mill: Mill, invoker: Invoker, cloud: Cloud
) -> None:
    function = await at_aws(mill.world)
    assert cloud.made == 0
    await invoker.answer(command(function.id))
    await mill.world.db.execute("DELETE FROM placements")

    reply = await invoker.answer(command(function.id))

    assert reply.error is None
    assert cloud.made == 1
    assert [type(each) for each in mill.records] == [ExecutionFinished, ExecutionFinished]


async def test_a_task_or_execution_waits_as_long_as_the_function_may_run_and_a_little_for_its_start(
    mill: Mill, invoker: Invoker, cloud: Cloud
) -> None:
    function = await at_aws(mill.world)

    await invoker.run(function, "neo", "0" * 24, b"{}", deadline_s=3, wait_s=60)

    assert cloud.asked[0][2] == 18


async def test_what_a_cloud_refuses_is_an_error_and_no_record(mill: Mill, invoker: Invoker, cloud: Cloud) -> None:
    cloud.error = CloudDeniedError("AWS does not let us call the function", details="lambda:InvokeFunction")
    function = await at_aws(mill.world)

    reply = await invoker.answer(command(function.id))

    assert reply.error is not None
    assert (reply.error.code, reply.error.fields["details"]) == ("cloud.denied", "lambda:InvokeFunction")
    assert mill.records == []


async def test_functions_of_our_own_machines_never_reach_a_cloud(mill: Mill, invoker: Invoker, cloud: Cloud) -> None:
    function = await mill.world.function()

    assert (await invoker.answer(command(function.id))).error is None
    assert (len(mill.pool.invocations), cloud.asked) == (1, [])
