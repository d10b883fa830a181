"""Commands that come twice, late, or to a deployer that dies; and failures that are ours."""

import asyncio

from services.deployer.resend import resend_unfinished
from shared.database import deployments, functions
from shared.database.deployments import NewDeployment
from shared.database.function_locks import function_lock
from shared.domain.errors import FunctionNotFoundError, InternalError, UnavailableError, revive
from shared.domain.function import FunctionStatus
from shared.messages.messages import DeployFunction, FunctionChanged
from tests.integration.deployer.yard import Yard
from tests.support.eventually import eventually


async def test_a_duplicate_delivery_deploys_once_and_announces_the_end_again(yard: Yard) -> None:
    await yard.start_deployer()
    new = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.send(new)
    await yard.send(new)

    await eventually(lambda: len(yard.ends(new)) == 3, within_s=20)

    assert {end.error for end in yard.ends(new)} == {None}
    assert await yard.versions(new) == 1
    assert len({each.revision for each in yard.notices if isinstance(each, FunctionChanged)}) == 1


async def test_a_refused_deployment_is_announced_again_with_its_reason(yard: Yard) -> None:
    await yard.start_deployer()
    new = await yard.ask(yard.world.new_deployment("greeter", source="}"))
    first = await yard.end_of(new)

    await yard.send(new)

    await eventually(lambda: len(yard.ends(new)) == 2)
    assert yard.ends(new)[1] == first


async def test_a_cancelled_deployment_is_not_carried_out(yard: Yard) -> None:
    new = await yard.ask(yard.world.new_deployment("greeter"))
    assert await deployments.cancel_pending(yard.db, new.id)

    await yard.start_deployer()

    error = (await yard.end_of(new)).error
    assert error is not None
    assert isinstance(revive(error), UnavailableError)
    assert await functions.find_function(yard.db, new.function_id) is None


async def test_a_command_for_no_deployment_is_dead_at_once_with_the_reason(yard: Yard) -> None:
    await yard.start_deployer()

    await yard.bus.send(DeployFunction(deployment_id="0" * 24, function_id="func_0123456789"))

    await eventually(lambda: yard.dead)
    assert yard.dead[0].reason == "rejected: there is no such deployment"


async def test_what_a_killed_deployer_began_is_carried_out_by_the_next(yard: Yard) -> None:
    new = yard.world.new_deployment("greeter")
    await deployments.open_deployment(yard.db, new)
    assert await deployments.claim_deployment(yard.db, new.id) is not None

    await yard.start_deployer()

    assert (await yard.end_of(new)).error is None
    assert (await yard.row(new)).attempts == 2


async def test_what_was_never_sent_is_sent_when_a_deployer_starts(yard: Yard) -> None:
    new = yard.world.new_deployment("greeter")
    await deployments.open_deployment(yard.db, new)

    await yard.start_deployer()

    assert (await yard.end_of(new)).error is None


async def test_only_what_nobody_has_touched_for_a_while_is_sent_again(yard: Yard) -> None:
    old, young = [yard.world.new_deployment(name) for name in ("old", "young")]
    for new in (old, young):
        await deployments.open_deployment(yard.db, new)
    await yard.db.execute("UPDATE deployments SET updated_at = now() - interval '1 minute' WHERE id = $1", old.id)

    assert await resend_unfinished(yard.db, yard.bus, older_than_s=20) == 1


async def test_what_somebody_is_at_for_long_is_not_sent_again(yard: Yard) -> None:
    new = yard.world.new_deployment("slow")
    await deployments.open_deployment(yard.db, new)

    async with function_lock(yard.db, new.function_id):
        assert await resend_unfinished(yard.db, yard.bus, older_than_s=0) == 0
    assert await resend_unfinished(yard.db, yard.bus, older_than_s=0) == 1


async def test_a_failure_of_ours_is_tried_again(yard: Yard) -> None:
    await yard.start_deployer()
    yard.store.failures = 2

    new = await yard.ask(yard.world.new_deployment("greeter"))

    assert (await yard.end_of(new)).error is None
    assert (await yard.row(new)).attempts == 3
    assert await yard.versions(new) == 1


async def test_a_failure_that_lasts_ends_as_a_dead_letter_and_gives_the_function_back(yard: Yard) -> None:
    await yard.start_deployer()
    first = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.end_of(first)
    before = await yard.function(first)
    yard.store.failures = 100
    yard.store.failure = RuntimeError("the store is broken")

    change = await yard.ask(NewDeployment(function_id=first.function_id, spec=first.spec))

    await eventually(lambda: yard.dead, within_s=20)
    assert yard.dead[0].reason == "delivery_limit: RuntimeError"
    assert (await yard.row(change)).state == "refused"
    assert await yard.function(first) == before


async def test_an_upload_that_the_store_lost_is_dead_at_once_with_the_reason(yard: Yard) -> None:
    await yard.start_deployer()

    await yard.ask(yard.world.new_deployment("greeter", upload_kind="zip", upload_sha256="0" * 64, source=None))

    await eventually(lambda: yard.dead)
    assert yard.dead[0].reason == "rejected: the uploaded package is not in the package store"


async def test_a_function_deleted_meanwhile_refuses_its_deployment(yard: Yard) -> None:
    await yard.start_deployer()
    first = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.end_of(first)
    yard.store.gate.clear()

    change = await yard.ask(NewDeployment(function_id=first.function_id, spec=first.spec))
    await eventually(lambda: yard.store.waiting)
    assert await functions.delete_function(yard.db, first.function_id) is not None
    yard.store.gate.set()

    error = (await yard.end_of(change)).error
    assert error is not None
    assert isinstance(revive(error), FunctionNotFoundError)
    assert await functions.find_function(yard.db, first.function_id) is None


async def test_a_deployment_given_up_meanwhile_stays_given_up(yard: Yard) -> None:
    await yard.start_deployer()
    yard.store.gate.clear()
    new = await yard.ask(yard.world.new_deployment("greeter"))
    await eventually(lambda: yard.store.waiting)

    assert await deployments.give_up(yard.db, new.id, InternalError("given up").record())
    yard.store.gate.set()

    error = (await yard.end_of(new)).error
    assert error == InternalError("given up").record()
    assert (await yard.row(new)).state == "refused"
    assert yard.dead == []


async def test_two_deployers_do_not_work_on_one_function_at_once(yard: Yard) -> None:
    await yard.start_deployer()
    yard.store.gate.clear()
    new = await yard.ask(yard.world.new_deployment("greeter"))
    await yard.send(new)
    await eventually(lambda: yard.store.waiting == 1)

    # The second command has all the time it needs to come as far as the first.
    with_time = asyncio.get_running_loop().time() + 0.3
    await eventually(lambda: asyncio.get_running_loop().time() > with_time)
    assert yard.store.waiting == 1
    yard.store.gate.set()

    await eventually(lambda: len(yard.ends(new)) == 2)
    assert await yard.versions(new) == 1


async def test_draining_finishes_what_is_held_and_takes_nothing_new(yard: Yard) -> None:
    deployer = await yard.start_deployer()
    yard.store.gate.clear()
    held = await yard.ask(yard.world.new_deployment("held"))
    await eventually(lambda: yard.store.waiting)

    async with asyncio.TaskGroup() as group:
        draining = group.create_task(deployer.drain())
        waiting = yard.world.new_deployment("waiting")
        await yard.ask(waiting)
        assert not draining.done()
        yard.store.gate.set()

    assert (await yard.function(held)).status is FunctionStatus.ACTIVE
    assert (await yard.row(waiting)).state == "pending"
