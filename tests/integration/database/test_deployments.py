import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from shared.database import deployments, functions, stale_deployments
from shared.database.deployments import Deployment, NewDeployment
from shared.database.function_locks import function_lock
from shared.database.functions import FunctionSettings
from shared.database.pool import Database
from shared.domain.errors import (
    ErrorRecord,
    FunctionNotFoundError,
    IllegalStateError,
    InvalidCodeError,
    NameTakenError,
    UnavailableError,
)
from shared.domain.function import Function, FunctionStatus, PermissionMode, RetryPolicy
from shared.domain.ids import new_function_id, new_record_id
from tests.integration.database.world import World, spec
from tests.support.eventually import eventually

REFUSAL = InvalidCodeError("Unexpected token", line=3, name="SyntaxError").record()


async def claimed(db: Database, new: NewDeployment) -> Deployment:
    await deployments.open_deployment(db, new)
    deployment = await deployments.claim_deployment(db, new.id)
    assert deployment is not None
    return deployment


def update(function: Function, **changes: Any) -> NewDeployment:
    given: dict[str, Any] = {"function_id": function.id, "spec": spec(timeout_s=60)}
    return NewDeployment(**{**given, **changes})


async def status_of(db: Database, function: Function) -> FunctionStatus:
    found = await functions.find_function(db, function.id)
    assert found is not None
    return found.status


async def test_a_deployment_carries_what_was_asked_for(db: Database, world: World) -> None:
    frozen: Mapping[str, str] = MappingProxyType({"A": "b"})
    new = world.new_deployment(
        "greeter",
        spec=spec(environment=frozen, secrets=("s",)),
        upload_kind="zip",
        upload_sha256="f" * 64,
        source=None,
        settings=FunctionSettings(
            tags=("t",),
            permission_mode=PermissionMode.ALL_USERS,
            retry_policy=RetryPolicy(enabled=True, errors_to_retry=("E",)),
        ),
    )

    deployment = await claimed(db, new)

    assert (deployment.spec, deployment.settings) == (spec(environment={"A": "b"}, secrets=("s",)), new.settings)
    assert (deployment.upload_kind, deployment.upload_sha256, deployment.source) == ("zip", "f" * 64, None)
    assert (deployment.creates, deployment.attempts, deployment.function_id) == (True, 1, new.function_id)


async def test_a_function_being_created_cannot_be_found_and_holds_its_name(db: Database, world: World) -> None:
    new = world.new_deployment("greeter")
    await deployments.open_deployment(db, new)

    assert await functions.find_function(db, new.function_id) is None
    with pytest.raises(NameTakenError):
        await deployments.open_deployment(db, world.new_deployment("greeter"))
    await deployments.open_deployment(db, world.new_deployment("other"))


async def test_of_many_that_create_one_name_at_once_one_gets_it(db: Database, world: World) -> None:
    outcomes = await asyncio.gather(
        *(deployments.open_deployment(db, world.new_deployment("greeter")) for _ in range(8)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, str)] == [NameTakenError] * 7
    assert await db.fetchval("SELECT count(*) FROM deployments") == 1


async def test_an_update_makes_a_new_version_with_its_settings_at_once(db: Database, world: World) -> None:
    function = await world.function("greeter", description="old", tags=("kept",))
    deployment = await claimed(db, update(function, settings=FunctionSettings(description="new", enabled=False)))
    assert await status_of(db, function) is FunctionStatus.UPDATING
    assert (await functions.find_function(db, function.id)).version == function.version  # type: ignore[union-attr]

    updated = await deployments.succeed(db, deployment, "1" * 64, "new source")

    assert (updated.version.number, updated.version.spec.timeout_s, updated.version.package_sha256) == (2, 60, "1" * 64)
    assert (updated.status, updated.revision) == (FunctionStatus.ACTIVE, function.revision + 1)
    assert (updated.description, updated.enabled, updated.tags) == ("new", False, ("kept",))
    assert updated.created_at == function.created_at < updated.updated_at
    assert await functions.get_source(db, updated.version.id) == "new source"
    assert await functions.get_source(db, function.version.id) == "module.exports = 1"
    ended = await deployments.ended(db, deployment.id)
    assert ended is not None
    assert (ended.state, ended.error) == ("succeeded", None)


async def test_a_function_is_changed_by_one_at_a_time(db: Database, world: World) -> None:
    function = await world.function()
    deployment = await claimed(db, update(function))

    with pytest.raises(IllegalStateError):
        await deployments.open_deployment(db, update(function))

    await deployments.succeed(db, deployment, "1" * 64, None)
    await deployments.open_deployment(db, update(function))


async def test_only_a_function_that_exists_is_updated(db: Database, world: World) -> None:
    deleted = await world.function()
    await functions.delete_function(db, deleted.id)

    for function_id in (deleted.id, new_function_id()):
        with pytest.raises(FunctionNotFoundError):
            await deployments.open_deployment(db, NewDeployment(function_id=function_id, spec=spec()))

    assert await db.fetchval("SELECT count(*) FROM deployments WHERE NOT creates") == 0


async def test_a_refused_update_leaves_the_function_as_it_was(db: Database, world: World) -> None:
    function = await world.function()
    deployment = await claimed(db, update(function, settings=FunctionSettings(description="never")))

    await deployments.refuse(db, deployment, REFUSAL)

    assert await functions.find_function(db, function.id) == function
    ended = await deployments.ended(db, deployment.id)
    assert ended is not None
    assert (ended.state, ended.error) == ("refused", REFUSAL)


async def test_a_refused_create_leaves_nothing_and_frees_the_name(db: Database, world: World) -> None:
    deployment = await claimed(db, world.new_deployment("greeter"))

    await deployments.refuse(db, deployment, REFUSAL)

    assert await db.fetchval("SELECT count(*) FROM functions") == 0
    await world.function("greeter")


async def test_a_deployment_that_was_left_by_a_dead_deployer_is_taken_up_again(db: Database, world: World) -> None:
    deployment = await claimed(db, world.new_deployment("greeter"))
    assert await stale_deployments.unfinished(db, 10.0) == []
    await db.execute("UPDATE deployments SET updated_at = now() - interval '11 s'")
    assert await stale_deployments.unfinished(db, 10.0) == [(deployment.id, deployment.function_id)]

    again = await deployments.claim_deployment(db, deployment.id)

    assert again is not None
    assert again.attempts == 2
    assert await stale_deployments.unfinished(db, 10.0) == []
    await deployments.succeed(db, again, "1" * 64, None)


async def test_a_deployment_ends_once(db: Database, world: World) -> None:
    deployment = await claimed(db, world.new_deployment("greeter"))
    assert await deployments.ended(db, deployment.id) is None
    made = await deployments.succeed(db, deployment, "1" * 64, None)

    # The function must be in a state that allows it, or this would be about the function.
    await db.execute("UPDATE functions SET status = 'updating'")
    with pytest.raises(IllegalStateError):
        await deployments.succeed(db, deployment, "2" * 64, None)
    await db.execute("UPDATE functions SET status = 'active'")
    await deployments.refuse(db, deployment, REFUSAL)

    assert await functions.find_function(db, made.id) == made
    assert await deployments.claim_deployment(db, deployment.id) is None
    assert not await deployments.cancel_pending(db, deployment.id)
    assert not await deployments.give_up(db, deployment.id, REFUSAL)


async def test_a_function_deleted_while_it_is_deployed_stays_deleted(db: Database, world: World) -> None:
    function = await world.function()
    deployment = await claimed(db, update(function))
    await functions.delete_function(db, function.id)

    with pytest.raises(FunctionNotFoundError):
        await deployments.succeed(db, deployment, "1" * 64, None)

    assert await functions.find_function(db, function.id) is None
    ended = await deployments.ended(db, deployment.id)
    assert ended is not None
    assert ended.error is not None
    assert (ended.state, ended.error.code) == ("refused", FunctionNotFoundError.code)


async def test_a_name_taken_while_a_rename_is_deployed_is_refused(db: Database, world: World) -> None:
    function = await world.function("one")
    deployment = await claimed(db, update(function, settings=FunctionSettings(name="two")))
    await world.function("two")

    with pytest.raises(NameTakenError) as caught:
        await deployments.succeed(db, deployment, "1" * 64, None)
    await deployments.refuse(db, deployment, caught.value.record())

    assert await functions.find_function(db, function.id) == function


async def test_what_nobody_has_begun_can_be_called_off(db: Database, world: World) -> None:
    function = await world.function("one")
    create, change = world.new_deployment("two"), update(function)
    for new in (create, change):
        await deployments.open_deployment(db, new)
        assert await deployments.cancel_pending(db, new.id)
        assert not await deployments.cancel_pending(db, new.id)
        assert await deployments.claim_deployment(db, new.id) is None

    assert await functions.find_function(db, function.id) == function
    assert await db.fetchval("SELECT count(*) FROM functions") == 1


async def test_what_has_begun_cannot_be_called_off(db: Database, world: World) -> None:
    deployment = await claimed(db, world.new_deployment("greeter"))

    assert not await deployments.cancel_pending(db, deployment.id)
    await deployments.succeed(db, deployment, "1" * 64, None)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_dead_letter_gives_a_deployment_up(db: Database, world: World, begun: bool) -> None:
    new = world.new_deployment("greeter")
    await deployments.open_deployment(db, new)
    if begun:
        await deployments.claim_deployment(db, new.id)

    assert await deployments.give_up(db, new.id, ErrorRecord(code="x", kind="internal", message="given up"))

    assert await db.fetchval("SELECT count(*) FROM functions") == 0
    assert not await deployments.give_up(db, new_record_id(), REFUSAL)


async def test_source_with_nul_is_stored_readably(db: Database, world: World) -> None:
    deployment = await claimed(db, world.new_deployment("greeter", source="a\0b", spec=spec(environment={"A": "\0"})))

    assert deployment.source == "a\ufffdb"
    assert deployment.spec.environment == {"A": "\ufffd"}


async def test_ended_deployments_are_forgotten_after_their_time_and_others_are_not(db: Database, world: World) -> None:
    function = await world.function("one")
    unfinished = await claimed(db, update(function))
    await db.execute("UPDATE deployments SET updated_at = now() - interval '8 days'")
    recent = await world.function("two")

    await stale_deployments.forget_ended(db, 7)

    rows = await db.fetch("SELECT function_id FROM deployments")
    assert {row["function_id"] for row in rows} == {unfinished.function_id, recent.id}
    assert await db.fetchval("SELECT count(*) FROM deployments") == 2


async def test_a_function_is_deployed_by_one_at_a_time(db: Database) -> None:
    async with function_lock(db, "func_a"):
        with pytest.raises(UnavailableError):
            async with function_lock(db, "func_a", wait_s=0.1):
                pytest.fail("two had the lock")
        async with function_lock(db, "func_b", wait_s=0.1):
            pass

    async with function_lock(db, "func_a", wait_s=2.0):
        pass


async def test_a_waiting_deployer_gets_the_function_when_the_other_is_done(db: Database) -> None:
    order = []
    async with asyncio.TaskGroup() as tasks, function_lock(db, "func_a"):

        async def wait() -> None:
            async with function_lock(db, "func_a", wait_s=10.0):
                order.append("second")

        tasks.create_task(wait())
        await eventually(lambda: _waiting(db))
        order.append("first")

    assert order == ["first", "second"]


async def _waiting(db: Database) -> bool:
    return bool(await db.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
