from datetime import timedelta
from typing import Any

import pytest

from shared.database import deployments, executions, functions
from shared.database.functions import FunctionFilter, FunctionSettings, FunctionSort, Order
from shared.database.pool import Database
from shared.domain.errors import NameTakenError
from shared.domain.function import Convention, Function, FunctionStatus, PermissionMode, RetryPolicy
from shared.domain.ids import new_function_id
from tests.integration.database.world import World, spec, success


async def names(db: Database, world: World, **wanted: Any) -> list[str]:
    listed, total = await functions.list_functions(
        db,
        world.environment_id,
        FunctionFilter(**{"sort": FunctionSort.NAME, "order": Order.ASCENDING, **wanted}),
    )
    assert total >= len(listed)
    return [function.name for function, _ in listed]


async def test_a_function_is_found_whole_by_id_and_by_name(db: Database, world: World) -> None:
    made = await world.function(
        "greeter",
        spec=spec(environment={"LANG": "ü"}, secrets=("api-key",), tmp_mb=1024),
        description="says hi",
        tags=("a", "b"),
        permission_mode=PermissionMode.PUBLIC,
        default_priority=-(2**53) + 1,
        retry_policy=RetryPolicy(enabled=True, errors_to_retry=("NetworkError",)),
    )

    assert await functions.find_function(db, made.id) == made
    assert await functions.find_by_name(db, world.environment_id, "greeter") == made
    assert (made.description, made.tags, made.default_priority) == ("says hi", ("a", "b"), -(2**53) + 1)
    assert (made.retry_policy.errors_to_retry, made.permission_mode) == (("NetworkError",), PermissionMode.PUBLIC)
    assert (made.version.spec.environment, made.version.spec.secrets) == ({"LANG": "ü"}, ("api-key",))
    assert (made.status, made.enabled, made.revision, made.version.number) == (FunctionStatus.ACTIVE, True, 1, 1)
    assert await functions.get_source(db, made.version.id) == "module.exports = 1"


async def test_what_is_not_there_is_not_found(db: Database, world: World) -> None:
    await world.function("greeter")

    assert await functions.find_function(db, new_function_id()) is None
    assert await functions.find_by_name(db, world.environment_id, "Greeter") is None
    assert await functions.find_by_name(db, "another", "greeter") is None
    assert await functions.find_by_name(db, world.environment_id, "nul\0") is None
    assert await functions.get_source(db, "none") is None


async def test_settings_change_without_a_new_version_and_raise_the_revision(db: Database, world: World) -> None:
    made = await world.function("greeter", tags=("a",), description="old")

    changed = await functions.update_settings(
        db, made.id, FunctionSettings(tags=(), description="new\0", name="renamed", default_priority=7)
    )

    assert changed is not None
    assert (changed.tags, changed.description, changed.name) == ((), "new\ufffd", "renamed")
    assert (changed.default_priority, changed.revision, changed.version) == (7, made.revision + 1, made.version)
    assert changed.created_at == made.created_at < changed.updated_at
    assert await functions.find_by_name(db, world.environment_id, "greeter") is None


async def test_a_taken_name_cannot_be_taken_again_by_renaming(db: Database, world: World) -> None:
    await world.function("one")
    two = await world.function("two")

    with pytest.raises(NameTakenError):
        await functions.update_settings(db, two.id, FunctionSettings(name="one"))

    assert await functions.find_function(db, two.id) == two
    assert await functions.update_settings(db, two.id, FunctionSettings(name="two")) is not None


async def test_a_function_is_disabled_and_enabled_again(db: Database, world: World) -> None:
    made = await world.function()

    disabled = await functions.set_enabled(db, made.id, enabled=False)
    again = await functions.set_enabled(db, made.id, enabled=True)

    assert disabled is not None
    assert again is not None
    assert (disabled.enabled, disabled.revision, again.enabled, again.revision) == (False, 2, True, 3)
    assert await functions.set_enabled(db, new_function_id(), enabled=False) is None


async def test_a_deleted_function_is_gone_and_its_name_is_free(db: Database, world: World) -> None:
    made = await world.function("greeter")
    [execution_id] = await world.running(made)

    deleted = await functions.delete_function(db, made.id)

    assert deleted is not None
    assert (deleted.id, deleted.status, deleted.revision) == (made.id, FunctionStatus.DELETED, made.revision + 1)
    assert await functions.delete_function(db, made.id) is None
    assert await functions.find_function(db, made.id) is None
    assert await functions.find_by_name(db, world.environment_id, "greeter") is None
    assert await functions.update_settings(db, made.id, FunctionSettings(enabled=False)) is None
    assert await names(db, world) == []
    assert await functions.count_functions(db, world.first.account_id) == 0
    assert await world.function("greeter") != made
    assert await executions.find_execution(db, execution_id) is not None


async def test_functions_of_an_account_are_counted_those_being_created_too(db: Database, world: World) -> None:
    await world.function("one")
    await open_only(world, "two")

    assert await functions.count_functions(db, world.first.account_id) == 2
    assert await functions.count_functions(db, "another") == 0


async def test_a_function_being_created_is_not_listed(db: Database, world: World) -> None:
    await world.function("one")
    await open_only(world, "two")

    assert await names(db, world) == ["one"]


async def test_the_list_is_filtered(db: Database, world: World) -> None:
    await world.function("neo16", spec=spec(runtime="node16"), tags=("Demo", "x"))
    await world.function("neo18", tags=("demo",), enabled=False)
    await world.function("aws", spec=spec(runtime="nodejs20.x", convention=Convention.LAMBDA), tags=("demo-2",))

    assert await names(db, world) == ["aws", "neo16", "neo18"]
    assert await names(db, world, tag="demo") == ["neo18"]
    assert await names(db, world, tag="nul\0") == []
    assert await names(db, world, runtimes=["node16", "node18"]) == ["neo16", "neo18"]
    assert await names(db, world, runtimes=[]) == []
    assert await names(db, world, enabled=False) == ["neo18"]
    assert await names(db, world, convention=Convention.LAMBDA) == ["aws"]
    assert await names(db, world, convention=Convention.NEO, enabled=True, tag="x") == ["neo16"]


@pytest.mark.parametrize("sort", list(FunctionSort))
@pytest.mark.parametrize("order", list(Order))
async def test_the_list_is_sorted_in_pages_that_do_not_overlap(
    db: Database, world: World, sort: FunctionSort, order: Order
) -> None:
    made = [await world.function(f"f{number}") for number in (2, 0, 1, 4, 3)]
    # Equal times must not make pages overlap.
    await db.execute("UPDATE functions SET created_at = now(), updated_at = now()")

    paged = [
        name for offset in (0, 2, 4) for name in await names(db, world, sort=sort, order=order, limit=2, offset=offset)
    ]

    def key(function: Function) -> str:
        return function.name if sort is FunctionSort.NAME else function.id

    assert paged == [function.name for function in sorted(made, key=key, reverse=order is Order.DESCENDING)]


async def test_the_list_shows_the_start_of_each_functions_newest_run(db: Database, world: World) -> None:
    never, ended, going_on = [await world.function(name) for name in ("never", "ended", "going-on")]
    [execution_id] = await world.running(ended)
    await world.db.execute("UPDATE executions SET started_at = started_at - $1::interval", timedelta(minutes=5))
    await executions.settle(db, [success(execution_id)])
    await world.running(going_on)

    listed, total = await functions.list_functions(db, world.environment_id, FunctionFilter())

    started = {
        row["function_id"]: row["started_at"]
        for row in await db.fetch("SELECT function_id, started_at FROM executions")
    }
    assert total == 3
    assert {function.id: last for function, last in listed} == {never.id: None, **started}


async def open_only(world: World, name: str) -> None:
    await deployments.open_deployment(world.db, world.new_deployment(name))
