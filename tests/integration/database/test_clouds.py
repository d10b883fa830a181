"""Connections into cloud accounts, the projects linked to them, and where functions are."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from shared.cloud.connections import Connections
from shared.database import cloud_connections, deployments, functions, leftovers, placements
from shared.database.cloud_connections import CloudConnection
from shared.database.deployments import NewDeployment
from shared.domain.cloud_errors import NotConnectedError
from shared.domain.errors import IllegalStateError, NameTakenError, NotFoundError
from shared.domain.function import FunctionStatus
from shared.domain.ids import new_record_id
from shared.domain.placement import AWS, CloudFunction, CloudState, Placement
from tests.integration.database.world import World, spec
from tests.support.envelopes import an_envelope

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/GatewaysAppDeployRole"


async def pending(world: World) -> CloudConnection:
    connection_id = new_record_id()
    return await cloud_connections.insert_pending(
        world.db,
        connection_id=connection_id,
        account_id=world.first.account_id,
        provider=AWS,
        region="eu-west-1",
        sealed=await an_envelope().seal(b"e" * 32, connection_id),
    )


async def connected(world: World, name: str = "Prod") -> CloudConnection:
    made = await cloud_connections.complete(
        world.db, (await pending(world)).id, name=name, cloud_account_id=ACCOUNT, role_arn=ROLE
    )
    assert made is not None
    await cloud_connections.link(world.db, await project_id(world), made.id)
    return made


async def project_id(world: World) -> str:
    found: str = await world.db.fetchval("SELECT project_id FROM environments WHERE id = $1", world.environment_id)
    return found


def placed(world: World, connection: CloudConnection, name: str = "thumbs", **changes: Any) -> NewDeployment:
    new = world.new_deployment(name, provider=AWS, **changes)
    placement = Placement(
        function_id=new.function_id,
        provider=AWS,
        connection_id=connection.id,
        account_id=ACCOUNT,
        region="eu-west-1",
        name=name,
    )
    return NewDeployment(**{**{name: getattr(new, name) for name in new.__slots__}, "placement": placement})


async def deploy(world: World, new: NewDeployment) -> None:
    await deployments.open_deployment(world.db, new)
    claimed = await deployments.claim_deployment(world.db, new.id)
    assert claimed is not None
    await deployments.succeed(world.db, claimed, "0" * 64, None)


def seen(**changes: Any) -> CloudFunction:
    given: dict[str, Any] = {
        "arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:thumbs",
        "state": CloudState.CREATING,
        "cloud_state": "Pending",
        "runtime": "python3.12",
        "architecture": "arm64",
        "handler": "a.b",
        "memory_mb": 128,
        "timeout_s": 30,
        "tmp_mb": 512,
        "environment": {"TOKEN": "hunter2"},
        "url": "https://x.lambda-url.eu-west-1.on.aws/",
    }
    return CloudFunction(**{**given, **changes})


async def test_a_connection_is_pending_until_somebody_was_let_in(world: World) -> None:
    made = await pending(world)
    assert (made.status, made.is_usable) == ("pending", False)

    failed = await cloud_connections.fail(world.db, made.id, "denied")
    assert failed is not None
    assert (failed.status, failed.reason) == ("failed", "denied")

    done = await cloud_connections.complete(world.db, made.id, name="Prod", cloud_account_id=ACCOUNT, role_arn=ROLE)
    assert done is not None
    assert (done.status, done.reason, done.is_usable, done.name) == ("connected", None, True, "Prod")
    assert await cloud_connections.list_connections(
        world.db, world.first.account_id, provider=AWS, status="connected"
    ) == [done]
    assert await cloud_connections.find_numbered(world.db, world.first.account_id, done.number) == done


async def test_two_connections_of_a_workspace_have_two_names(world: World) -> None:
    await connected(world, "Prod")
    with pytest.raises(NameTakenError):
        await connected(world, "Prod")
    other = await connected(world, "Test")
    with pytest.raises(NameTakenError):
        await cloud_connections.rename(world.db, other.id, "Prod")


async def test_a_workspace_has_one_local_connection(world: World) -> None:
    first = await cloud_connections.ensure_local(world.db, world.first.account_id)

    assert await cloud_connections.ensure_local(world.db, world.first.account_id) == first
    assert first.is_usable


async def test_the_way_in_is_opened_only_through_a_connection_that_may_be_used(world: World) -> None:
    connections = Connections(world.db, an_envelope())
    made = await connected(world)

    opened = await connections.aws(made.id)
    assert (opened.role_arn, opened.external_id, opened.account_id) == (ROLE, "e" * 32, ACCOUNT)
    for unusable in ((await pending(world)).id, "nothing"):
        with pytest.raises(NotConnectedError):
            await connections.aws(unusable)
    await cloud_connections.delete_connection(world.db, made.id)
    with pytest.raises(NotConnectedError):
        await connections.aws(made.id)
    assert await cloud_connections.credential_of(world.db, made.id) is None


async def test_a_connection_that_is_kept_is_not_read_again_for_a_while(world: World) -> None:
    connections = Connections(world.db, an_envelope(), keep_s=60)
    made = await connected(world)
    opened = await connections.aws(made.id)
    await cloud_connections.delete_connection(world.db, made.id)

    assert await connections.aws(made.id) == opened


async def test_while_a_function_is_there_neither_the_connection_goes_nor_the_link(world: World) -> None:
    made, project = await connected(world), await project_id(world)
    await cloud_connections.link(world.db, project, made.id)
    assert await cloud_connections.find_linked(world.db, project) == made
    new = placed(world, made)
    await deploy(world, new)

    with pytest.raises(IllegalStateError):
        await cloud_connections.delete_connection(world.db, made.id)
    with pytest.raises(IllegalStateError):
        await cloud_connections.link(world.db, project, None)

    await placements.record_removed(world.db, new.function_id)
    await functions.delete_function(world.db, new.function_id)
    await cloud_connections.delete_connection(world.db, made.id)
    assert await cloud_connections.find_linked(world.db, project) is None
    with pytest.raises(NotFoundError):
        await cloud_connections.delete_connection(world.db, made.id)


async def test_only_a_connection_that_may_be_used_is_linked_or_given_functions(world: World) -> None:
    waiting = await pending(world)

    with pytest.raises(IllegalStateError):
        await cloud_connections.link(world.db, await project_id(world), waiting.id)
    with pytest.raises(NotConnectedError):
        await deployments.open_deployment(world.db, placed(world, waiting))
    assert await functions.count_functions(world.db, world.first.account_id) == 0


async def test_a_function_is_only_made_where_its_project_is_linked_to_at_that_moment(world: World) -> None:
    made, project = await connected(world), await project_id(world)
    await cloud_connections.link(world.db, project, None)
    with pytest.raises(NotConnectedError):
        await deployments.open_deployment(world.db, placed(world, made))

    # Whoever unlinks while a create is being written waits for it, and then finds the function.
    await cloud_connections.link(world.db, project, made.id)
    new = placed(world, made)
    async with asyncio.TaskGroup() as tasks, world.db.transaction() as connection:
        await connection.execute("SELECT 1 FROM projects WHERE id = $1 FOR SHARE", project)
        unlinking = tasks.create_task(refused(cloud_connections.link(world.db, project, None)))
        await asyncio.sleep(0)
        await deployments.open_deployment(world.db, new)
    assert await unlinking
    assert await placements.find_placed(world.db, new.function_id) is not None


async def refused(work: Awaitable[None]) -> bool:
    try:
        await work
    except IllegalStateError:
        return True
    return False


async def test_what_a_create_that_was_given_up_may_have_left_keeps_its_connection_until_it_is_gone(
    world: World,
) -> None:
    made = await connected(world)
    new = placed(world, made)
    await deployments.open_deployment(world.db, new)

    assert await deployments.give_up(world.db, new.id, IllegalStateError("no").record())

    [left] = await leftovers.due(world.db, 10)
    assert (left.placement.function_id, left.placement.name) == (new.function_id, "thumbs")
    assert (left.placement.connection_id, left.placement.region) == (made.id, "eu-west-1")
    with pytest.raises(IllegalStateError, match="taken away"):
        await cloud_connections.delete_connection(world.db, made.id)
    await leftovers.put_off(world.db, new.function_id, 60)
    assert await leftovers.due(world.db, 10) == []
    await leftovers.forget(world.db, new.function_id)
    await cloud_connections.delete_connection(world.db, made.id)


async def test_a_change_that_was_given_up_is_looked_at(world: World) -> None:
    new = placed(world, await connected(world))
    await deploy(world, new)
    await placements.record_seen(world.db, new.function_id, seen(state=CloudState.ACTIVE))
    change = NewDeployment(function_id=new.function_id, spec=new.spec)
    await deployments.open_deployment(world.db, change)

    await deployments.give_up(world.db, change.id, IllegalStateError("no").record())

    assert await placements.unsettled(world.db, 60, 10) == [new.function_id]
    assert await leftovers.due(world.db, 10) == []


async def test_a_function_that_its_cloud_does_not_tell_of_goes_to_the_end_and_fails_in_the_end(world: World) -> None:
    made = await connected(world)
    functions_there = [placed(world, made, name) for name in ("a", "b")]
    for new in functions_there:
        await deploy(world, new)
        await placements.record_seen(world.db, new.function_id, seen())
    first, second = (new.function_id for new in functions_there)
    assert await placements.unsettled(world.db, 0, 1) == [first]

    await placements.record_unseen(world.db, first, "denied", 60)
    assert await placements.unsettled(world.db, 0, 2) == [second, first]
    await placements.record_unseen(world.db, first, None, 0)
    assert await placements.unsettled(world.db, 0, 2) == [second, first]
    await placements.record_unseen(world.db, first, "denied", 0)

    assert await placements.unsettled(world.db, 0, 2) == [second]
    found = await placements.find_placed(world.db, first)
    assert found is not None
    assert (found.state, found.reason) == (CloudState.FAILED, "denied")


async def test_a_place_has_one_function_of_a_name_whatever_the_project(world: World) -> None:
    made = await connected(world)
    first = placed(world, made)
    await deploy(world, first)
    second = placed(world, made, function_id="func_2")
    second = NewDeployment(**{**{name: getattr(second, name) for name in second.__slots__}, "name": "another"})

    with pytest.raises(NameTakenError, match="thumbs already exists"):
        await deployments.open_deployment(world.db, second)
    await placements.record_removed(world.db, first.function_id)
    await deploy(world, second)


async def test_a_create_that_is_refused_leaves_no_place(world: World) -> None:
    made = await connected(world)
    new = placed(world, made)
    await deployments.open_deployment(world.db, new)
    claimed = await deployments.claim_deployment(world.db, new.id)
    assert claimed is not None

    await deployments.refuse(world.db, claimed, IllegalStateError("no").record())

    assert await placements.find_placed(world.db, new.function_id) is None
    await deploy(world, placed(world, made))


async def test_what_a_cloud_says_is_kept_without_the_values_of_variables(world: World) -> None:
    new = placed(world, await connected(world))
    await deploy(world, new)
    await placements.record_seen(world.db, new.function_id, seen())

    found = await placements.find_placed(world.db, new.function_id)

    assert found is not None
    assert (found.state, found.url, found.arn) == (CloudState.CREATING, seen().url, seen().arn)
    assert found.facts["architecture"] == "arm64"
    assert "hunter2" not in str(found)
    assert set(found.placement.labels) == {"gateways:project", "gateways:environment", "gateways:resource-id"}
    assert await placements.unsettled(world.db, 0, 10) == [new.function_id]
    await placements.record_gone(world.db, new.function_id, "deleted")
    gone = await placements.find_placed(world.db, new.function_id)
    assert gone is not None
    assert (gone.state, gone.url, gone.reason) == (CloudState.FAILED, None, "deleted")
    assert await placements.unsettled(world.db, 0, 10) == []


async def test_a_version_knows_its_architecture(world: World) -> None:
    function = await world.function(spec=spec(architecture="arm64"))

    assert function.version.spec.architecture == "arm64"


@pytest.mark.parametrize("action", ["sync", "remove"])
async def test_other_actions_take_the_function_and_give_it_back(world: World, action: Any) -> None:
    function = await world.function()
    new = NewDeployment(function_id=function.id, spec=function.version.spec, action=action)
    await deployments.open_deployment(world.db, new)
    claimed = await deployments.claim_deployment(world.db, new.id)
    assert claimed is not None
    assert claimed.action == action

    if action == "sync":
        await deployments.release(world.db, claimed)
        found = await functions.find_function(world.db, function.id)
        assert found is not None
        assert (found.status, found.version) == (FunctionStatus.ACTIVE, function.version)
    else:
        assert await deployments.remove(world.db, claimed) is not None
        assert await functions.find_function(world.db, function.id) is None
    with pytest.raises(IllegalStateError):
        await deployments.release(world.db, claimed)


async def test_a_function_that_is_deleted_leaves_its_place(world: World) -> None:
    made = await connected(world)
    first = placed(world, made)
    await deploy(world, first)

    await functions.delete_function(world.db, first.function_id)

    await deploy(world, placed(world, made))
