"""What a function is given: opened once, renewed by its revision, bounded, and never what was tampered with."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.invoker.pool.pool import FunctionCode, Invocation
from services.invoker.vault import NOTHING, Vault
from shared.bus.bus import Delivery
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing, LocalMasterKey
from shared.database import executions, functions, secret_accesses, secrets
from shared.database.partitions import ensure_partitions
from shared.database.pool import Database
from shared.database.secrets import NewSecret, SecretChange
from shared.domain.errors import BrokenSealError, ThrottledError, UnavailableError
from shared.domain.execution import ExecutionStatus
from shared.domain.function import Convention, Function
from shared.domain.ids import new_record_id, new_secret_id
from shared.domain.outcome import Raised, Report, Timings
from shared.messages.messages import InvokeFunction, RunExecution, SecretsAsked
from tests.integration.database.world import World, line, spec
from tests.integration.invoker.conftest import Mill, returned
from tests.support.clock import FakeClock
from tests.support.envelopes import MASTER_KEY, an_envelope

VALUE = "correct horse"


class CountingKey(LocalMasterKey):
    """A master key that counts how often it is asked."""

    trips = 0

    async def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        self.trips += 1
        await asyncio.sleep(0.01)
        return await super().unwrap(wrapped, bound_to)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


async def keep(world: World, name: str, value: str = VALUE, *, allowed: tuple[str, ...] | None = None) -> str:
    """Keep a secret; return its id."""
    secret_id = new_secret_id()
    new = NewSecret(
        id=secret_id,
        account_id=world.first.account_id,
        name=name,
        description="",
        allowed_functions=allowed,
        sealed=await an_envelope().seal(value.encode(), secret_id),
    )
    assert await secrets.insert_secret(world.db, new, limit=50) is not None
    return secret_id


async def now_is(world: World, function: Function) -> Function:
    found = await functions.find_function(world.db, function.id)
    assert found is not None
    return found


async def test_a_function_is_given_what_it_lists_and_may_have(db: Database, world: World) -> None:
    function = await world.function(spec=spec(secrets=("c", "a", "missing", "narrow")))
    for name in ("a", "b", "c"):
        await keep(world, name, f"value of {name}")
    await keep(world, "narrow", allowed=("func_0000000000",))

    opened = await Vault(db, an_envelope()).open(function)

    assert opened.values == {"c": "value of c", "a": "value of a"}
    assert (opened.granted, opened.denied) == (("c", "a"), ("missing", "narrow"))
    assert "value of" not in repr(opened)


async def test_a_function_that_lists_nothing_or_is_no_neo_function_is_given_nothing(world: World) -> None:
    await keep(world, "a")
    plain = await world.function("plain")
    other = await world.function("other", spec=spec(convention=Convention.LAMBDA, runtime="nodejs20.x", secrets=("a",)))
    vault = Vault(world.db, an_envelope())

    assert [await vault.open(each) for each in (plain, other)] == [NOTHING, NOTHING]


async def test_a_warm_call_needs_neither_database_nor_master_key(database_url: str) -> None:
    db = await Database.connect(database_url)
    world, key = await World.make(db), CountingKey(MASTER_KEY)
    await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))
    vault = Vault(db, Envelope(KeyRing([key])))
    first = await vault.open(function)
    await db.close()

    began = time.perf_counter()
    for _ in range(1000):
        assert await vault.open(function) is first
    assert key.trips == 1
    assert time.perf_counter() - began < 0.5


async def test_calls_at_the_same_time_open_a_value_once(world: World) -> None:
    await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))
    key = CountingKey(MASTER_KEY)
    vault = Vault(world.db, Envelope(KeyRing([key])))

    opened = await asyncio.gather(*(vault.open(function) for _ in range(20)))

    assert {id(each) for each in opened} == {id(opened[0])}
    assert key.trips == 1
    assert vault._locks == {}


async def test_a_caller_that_leaves_does_not_take_the_others_with_it(world: World) -> None:
    await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))
    vault = Vault(world.db, Envelope(KeyRing([CountingKey(MASTER_KEY)])))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(vault.open(function))
        second = tasks.create_task(vault.open(function))
        await asyncio.sleep(0)
        first.cancel()

    assert second.result().values == {"a": VALUE}


async def test_a_change_of_a_secret_is_seen_with_the_revision_it_makes(world: World) -> None:
    secret_id = await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))
    vault = Vault(world.db, an_envelope())
    assert (await vault.open(function)).values == {"a": VALUE}

    change = SecretChange(sealed=await an_envelope().seal(b"new", secret_id))
    changed = await secrets.update_secret(world.db, world.first.account_id, secret_id, change)

    assert changed is not None
    assert [(each.function_id, each.revision) for each in changed[1]] == [(function.id, function.revision + 1)]
    assert (await vault.open(await now_is(world, function))).values == {"a": "new"}


async def test_nothing_is_believed_for_long_and_what_is_forgotten_is_read_again(world: World) -> None:
    await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))
    clock, key = FakeClock(), CountingKey(MASTER_KEY)
    # An envelope that remembers nothing: each reading is a trip.
    vault = Vault(world.db, Envelope(KeyRing([key]), clock=iter(range(0, 10**9, 10**6)).__next__), now=clock.monotonic)
    await vault.open(function)
    clock.advance(29)
    await vault.open(function)
    assert key.trips == 1

    clock.advance(2)
    await vault.open(function)
    assert key.trips == 2
    vault.forget(function.id)
    await vault.open(function)
    vault.clear()
    await vault.open(function)
    assert key.trips == 4


async def test_what_is_held_has_a_bound(world: World) -> None:
    made = []
    for number in range(4):
        await keep(world, f"s{number}", "x" * 4000)
        made.append(await world.function(f"f{number}", spec=spec(secrets=(f"s{number}",))))
    key = CountingKey(MASTER_KEY)
    vault = Vault(world.db, Envelope(KeyRing([key]), clock=iter(range(0, 10**9, 10**6)).__next__), max_bytes=10_000)
    for function in made:
        await vault.open(function)

    assert (len(vault._entries), vault._held_bytes <= 10_000) == (2, True)
    await vault.open(made[3])
    assert key.trips == 4
    await vault.open(made[0])
    assert key.trips == 5


async def test_a_value_that_was_put_in_another_row_is_not_given(world: World) -> None:
    await keep(world, "a", "not yours")
    target = await keep(world, "b")
    function = await world.function(spec=spec(secrets=("b",)))
    await world.db.execute(
        """
        UPDATE secrets t SET sealed = s.sealed, wrapped_key = s.wrapped_key FROM secrets s
        WHERE t.id = $1 AND s.name = 'a'
        """,
        target,
    )

    with pytest.raises(BrokenSealError):
        await Vault(world.db, an_envelope()).open(function)


async def test_without_the_master_key_that_sealed_it_a_function_is_not_run(world: World) -> None:
    await keep(world, "a")
    function = await world.function(spec=spec(secrets=("a",)))

    with pytest.raises(UnavailableError, match="master key"):
        await Vault(world.db, an_envelope(bytes([7, 8] * 16))).open(function)


async def leaky(_code: FunctionCode, invocation: Invocation) -> Report:
    """Log and raise what it was given."""
    text = f"got {invocation.secrets['a']}"
    return Report(
        outcome=Raised(name="Error", message=text, stack=f"Error: {text}\n    at f"),
        timings=Timings(),
        logs=(line(text),),
    )


async def test_a_synchronous_run_is_given_its_secrets_audited_and_recorded_without_them(mill: Mill) -> None:
    await keep(mill.world, "a")
    function = await mill.world.function(spec=spec(secrets=("a", "nothing")))
    mill.pool.run = leaky
    command = InvokeFunction(
        record_id=new_record_id(),
        kind="neo",
        function_id=function.id,
        revision=0,
        expires_at_ms=int(time.time() * 1000) + 5000,
    )

    reply = await mill.invoker.answer(command)

    assert mill.pool.invocations[0].secrets == {"a": VALUE}
    assert VALUE not in repr(mill.pool.invocations[0])
    assert reply.failure is not None
    assert (reply.failure.message, VALUE in str(reply)) == ("got ***", False)
    asked, record = mill.records
    assert isinstance(asked, SecretsAsked)
    assert (asked.record_id, asked.account_id, asked.function_id, asked.granted, asked.denied) == (
        command.record_id,
        mill.world.first.account_id,
        function.id,
        ("a",),
        ("nothing",),
    )
    assert VALUE not in str(record)


async def test_an_asynchronous_run_is_given_its_secrets_too(mill: Mill) -> None:
    await keep(mill.world, "a")
    function = await mill.world.function(spec=spec(secrets=("a",)))
    mill.pool.run = leaky
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), Delivery())

    assert mill.pool.invocations[0].secrets == {"a": VALUE}
    record = await executions.find_execution(mill.db, execution_id)
    assert record is not None
    assert (record.status, record.failure is not None and record.failure.message) == ("failed", "got ***")
    assert [each.granted for each in mill.records if isinstance(each, SecretsAsked)] == [("a",)]
    assert VALUE not in str(mill.records)


async def test_a_run_that_never_reached_its_function_asked_for_nothing(mill: Mill) -> None:
    await keep(mill.world, "a")
    function = await mill.world.function(spec=spec(secrets=("a",)))

    async def busy(_code: FunctionCode, _invocation: Invocation) -> Report:
        raise ThrottledError("too many")

    mill.pool.run = busy
    with pytest.raises(ThrottledError):
        await mill.invoker.run(function, "neo", new_record_id(), b"{}", deadline_s=5)

    assert mill.records == []


async def test_an_execution_whose_secrets_are_out_of_reach_stays_queued(mill: Mill) -> None:
    secret_id = await keep(mill.world, "a")
    await mill.db.execute("UPDATE secrets SET master_key_id = 'local:gone' WHERE id = $1", secret_id)
    function = await mill.world.function(spec=spec(secrets=("a",)))
    [execution_id] = await mill.world.accepted(function)

    await mill.runner.run(RunExecution(execution_id=execution_id, function_id=function.id), Delivery())

    record = await executions.find_execution(mill.db, execution_id)
    assert record is not None
    assert record.status is ExecutionStatus.QUEUED
    assert mill.pool.invocations == []


async def test_an_access_is_written_once_however_often_it_is_told(db: Database, world: World) -> None:
    await ensure_partitions(db, datetime.now(UTC).date())
    asked = SecretsAsked(
        record_id=new_record_id(),
        account_id=world.first.account_id,
        function_id="func_0123456789",
        at_ms=1_710_000_000_123,
        granted=("a", "b"),
        denied=("c",),
    )

    assert await secret_accesses.insert_asked(db, [asked]) == 3
    assert await secret_accesses.insert_asked(db, [asked, asked]) == 0
    rows = await db.fetch("SELECT secret_name, granted FROM secret_accesses ORDER BY secret_name")
    assert [tuple(row) for row in rows] == [("a", True), ("b", True), ("c", False)]


async def test_runs_that_need_no_secrets_pay_nothing(mill: Mill) -> None:
    function = await mill.world.function()
    await mill.db.close()

    report = await mill.invoker.run(function, "neo", new_record_id(), b"1", deadline_s=5)

    assert (report, mill.records) == (returned(b"1"), [])
