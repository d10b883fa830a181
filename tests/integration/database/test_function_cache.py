import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from shared.database import functions
from shared.database.function_cache import FunctionCache
from shared.database.functions import FunctionSettings
from shared.database.pool import Database
from shared.domain.errors import FunctionNotFoundError, UnavailableError
from shared.domain.function import Function
from shared.messages.messages import FunctionChanged
from tests.integration.database.world import World
from tests.support.eventually import eventually


class CountingDatabase(Database):
    """Counts what is asked of it; can be made to answer later."""

    asked = 0
    gate: asyncio.Event | None = None

    async def fetchrow(self, sql: str, *args: object) -> Any:
        self.asked += 1
        row = await super().fetchrow(sql, *args)
        if self.gate is not None:
            await self.gate.wait()
        return row


@pytest.fixture
async def counting(db: Database) -> CountingDatabase:
    return CountingDatabase("", db.pool)


def changed(function: Function, **changes: Any) -> FunctionChanged:
    given: dict[str, Any] = {
        "function_id": function.id,
        "environment_id": function.environment_id,
        "name": function.name,
        "revision": function.revision,
    }
    return FunctionChanged(**{**given, **changes})


async def renewed(db: Database, function: Function) -> Function:
    """Change a function; return it as it is then."""
    updated = await functions.update_settings(db, function.id, FunctionSettings(description="new"))
    assert updated is not None
    return updated


async def test_a_function_is_read_once_by_id_and_by_name(world: World, counting: CountingDatabase) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)

    for _ in range(3):
        assert await cache.get_by_name(world.environment_id, "greeter") == function
        assert await cache.get(function.id, revision=1) == function

    assert counting.asked == 1


async def test_all_who_ask_at_once_are_answered_by_one_read(world: World, counting: CountingDatabase) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)

    assert await asyncio.gather(*(cache.get(function.id) for _ in range(20))) == [function] * 20

    assert counting.asked == 1


async def test_what_is_not_there_is_not_remembered(world: World, counting: CountingDatabase) -> None:
    cache = FunctionCache(counting)
    for _ in range(2):
        with pytest.raises(FunctionNotFoundError):
            await cache.get_by_name(world.environment_id, "greeter")

    function = await world.function("greeter")

    assert await cache.get_by_name(world.environment_id, "greeter") == function


async def test_a_notice_of_a_higher_revision_drops_an_entry_and_an_old_one_does_not(
    world: World, counting: CountingDatabase
) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    await cache.get(function.id)
    cache.on_change(changed(function))
    assert (await cache.get(function.id), counting.asked) == (function, 1)
    new = await renewed(world.db, function)
    assert await cache.get(function.id) == function

    cache.on_change(changed(new))

    assert await cache.get(function.id) == new


@pytest.mark.parametrize("forget", [FunctionCache.clear, None])
async def test_a_deleted_function_is_forgotten_with_its_name(
    world: World, counting: CountingDatabase, forget: Callable[[FunctionCache], None] | None
) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    await cache.get(function.id)
    await functions.delete_function(world.db, function.id)

    if forget is not None:
        forget(cache)
    else:
        cache.on_change(changed(function, deleted=True))

    with pytest.raises(FunctionNotFoundError):
        await cache.get(function.id)
    with pytest.raises(FunctionNotFoundError):
        await cache.get_by_name(world.environment_id, "greeter")


async def test_a_command_that_demands_a_revision_gets_it(world: World, counting: CountingDatabase) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    await cache.get(function.id)
    new = await renewed(world.db, function)

    assert await cache.get(function.id, revision=new.revision) == new
    assert await cache.get(function.id) == new


async def test_nothing_is_believed_for_longer_than_its_time(world: World, counting: CountingDatabase) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting, max_age_s=-1.0)
    await cache.get(function.id)
    new = await renewed(world.db, function)

    assert await cache.get(function.id) == new


async def test_the_least_recently_used_entry_goes_first(world: World, counting: CountingDatabase) -> None:
    one, two, three = [await world.function(name) for name in ("one", "two", "three")]
    cache = FunctionCache(counting, max_entries=2)
    for function in (one, two, one, three):
        await cache.get(function.id)
    assert counting.asked == 3

    await cache.get(one.id)
    assert counting.asked == 3
    await cache.get(two.id)
    assert counting.asked == 4


async def test_what_was_read_before_a_change_is_neither_kept_nor_given_to_who_asks_after_it(
    world: World, counting: CountingDatabase
) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    counting.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        before = tasks.create_task(cache.get(function.id))
        await eventually(lambda: counting.asked == 1)
        new = await renewed(world.db, function)
        cache.on_change(changed(new))
        after = tasks.create_task(cache.get(function.id))
        await eventually(lambda: counting.asked == 2)
        counting.gate.set()

    assert (before.result().revision, after.result()) == (function.revision, new)
    assert await cache.get(function.id) == new


async def test_who_demands_a_revision_does_not_get_an_older_one_from_a_read_under_way(
    world: World, counting: CountingDatabase
) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    counting.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(cache.get(function.id))
        await eventually(lambda: counting.asked == 1)
        # The notice is late: only the command knows.
        new = await renewed(world.db, function)
        demanding = tasks.create_task(cache.get(function.id, revision=new.revision))
        await asyncio.sleep(0)
        counting.gate.set()

    assert demanding.result() == new


async def test_when_the_first_asker_is_called_off_the_others_still_get_their_function(
    world: World, counting: CountingDatabase
) -> None:
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    counting.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(cache.get(function.id))
        await eventually(lambda: counting.asked == 1)
        others = [tasks.create_task(cache.get(function.id)) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        counting.gate.set()

    assert [other.result() for other in others] == [function] * 3
    assert counting.asked == 2


async def test_a_database_that_does_not_answer_is_unavailable_to_all_who_wait(
    world: World, counting: CountingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.database.function_cache._LOAD_DEADLINE_S", 0.1)
    function = await world.function("greeter")
    cache = FunctionCache(counting)
    counting.gate = asyncio.Event()

    outcomes = await asyncio.gather(*(cache.get(function.id) for _ in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    counting.gate = None
    assert await cache.get(function.id) == function
