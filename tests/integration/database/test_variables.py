"""Environment variables at rest: sealed when written, opened when read, in whichever dialect they were given."""

from dataclasses import replace

import pytest

from services.rotation import Rotation
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.crypto.variables import Variables
from shared.database import deployments, functions, variables
from shared.database.deployments import NewDeployment
from shared.database.pool import Database
from shared.domain.errors import BrokenSealError, UnavailableError
from shared.domain.function import Convention, Function, VersionSpec
from shared.domain.ids import new_function_id
from tests.integration.database.world import World
from tests.support.builders import unique
from tests.support.envelopes import MASTER_KEY, an_envelope

SECRET = "hunter2-and-more"
SPEC = VersionSpec(
    runtime="nodejs20.x",
    convention=Convention.LAMBDA,
    handler="index.handler",
    timeout_s=30,
    memory_mb=128,
    environment={"TOKEN": SECRET},
)


@pytest.fixture
async def sealing(db: Database) -> Database:
    """The database of a process with a master key, with an account."""
    await World.make(db)
    db.variables = Variables(an_envelope())
    return db


async def new_function(db: Database, spec: VersionSpec = SPEC) -> str:
    row = await db.fetchrow("SELECT id, account_id FROM environments LIMIT 1")
    assert row is not None
    new = NewDeployment(
        function_id=new_function_id(),
        account_id=row["account_id"],
        environment_id=row["id"],
        name=unique("f"),
        creates=True,
        spec=spec,
        upload_kind="zip",
        upload_sha256="0" * 64,
    )
    await deployments.open_deployment(db, new)
    return await carried_out(db, new)


async def carried_out(db: Database, new: NewDeployment) -> str:
    claimed = await deployments.claim_deployment(db, new.id)
    assert claimed is not None
    assert claimed.spec.environment == new.spec.environment
    return (await deployments.succeed(db, claimed, "0" * 64, None)).id


async def found(db: Database, function_id: str) -> Function:
    function = await functions.find_function(db, function_id)
    assert function is not None
    return function


async def everything_stored(db: Database) -> str:
    parts = [
        str(list(row.values()))
        for table in ("deployments", "function_versions", "functions")
        for row in await db.fetch(f"SELECT * FROM {table}")
    ]
    sets = await db.fetch("SELECT sealed FROM variable_sets")
    return "".join(parts) + "".join(row["sealed"].decode("latin-1") for row in sets)


async def test_values_are_nowhere_in_the_clear_and_are_read_as_they_were_given(sealing: Database) -> None:
    function = await found(sealing, await new_function(sealing))

    assert function.version.spec.environment == {"TOKEN": SECRET}
    assert SECRET not in await everything_stored(sealing)
    sealing.variables = Variables(an_envelope())
    listed, _ = await functions.list_functions(sealing, function.environment_id, functions.FunctionFilter())
    assert [each.version.spec.environment for each, _ in listed] == [{"TOKEN": SECRET}]


async def test_another_version_with_the_same_variables_has_the_same_set(sealing: Database) -> None:
    function = await found(sealing, await new_function(sealing))
    spec = function.version.spec

    for changed in (replace(spec, memory_mb=256), replace(spec, environment={"TOKEN": SECRET})):
        new = NewDeployment(function_id=function.id, spec=changed, upload_kind=None)
        await deployments.open_deployment(sealing, new)
        await carried_out(sealing, new)
        assert (await found(sealing, function.id)).version.spec.variables_id == spec.variables_id

    assert await sealing.fetchval("SELECT count(*) FROM variable_sets") == 1


@pytest.mark.parametrize("environment", [{"TOKEN": "another"}, {"OTHER": SECRET}, {}])
async def test_changed_variables_are_a_new_set_and_none_are_no_set(
    sealing: Database, environment: dict[str, str]
) -> None:
    function = await found(sealing, await new_function(sealing))
    old = function.version.spec

    new = NewDeployment(function_id=function.id, spec=replace(old, environment=environment), upload_kind=None)
    await deployments.open_deployment(sealing, new)
    await carried_out(sealing, new)

    spec = (await found(sealing, function.id)).version.spec
    assert spec.environment == environment
    assert spec.variables_id != old.variables_id
    assert (spec.variables_id is None) == (not environment)


async def test_without_a_master_key_variables_stay_as_they_are_until_there_is_one(db: Database) -> None:
    await World.make(db)
    db.variables = Variables(Envelope(KeyRing(())))
    function = await found(db, await new_function(db))
    bare = await found(db, await new_function(db, replace(SPEC, environment={})))
    assert function.version.spec.environment == {"TOKEN": SECRET}
    assert await variables.seal_plain(db) == 0

    db.variables = Variables(an_envelope())
    assert await variables.seal_plain(db) == 1

    sealed = (await found(db, function.id)).version
    assert (sealed.id, sealed.spec.environment) == (function.version.id, {"TOKEN": SECRET})
    assert sealed.spec.variables_id is not None
    assert (await found(db, bare.id)).version.spec.variables_id is None
    rows = await db.fetch("SELECT environment FROM function_versions")
    assert [row["environment"] for row in rows] == [{}, {}]
    assert await variables.seal_plain(db) == 0


async def test_a_process_without_the_key_says_so_and_one_that_may_not_open_passes_sets_on(sealing: Database) -> None:
    function_id = await new_function(sealing)
    sealing.variables = Variables(Envelope(KeyRing(())))
    with pytest.raises(UnavailableError):
        await functions.find_function(sealing, function_id)

    sealing.variables = None
    blind = (await found(sealing, function_id)).version.spec
    assert blind.environment == {}
    new = NewDeployment(function_id=function_id, spec=replace(blind, memory_mb=256), upload_kind=None)
    await deployments.open_deployment(sealing, new)
    await carried_out(sealing, new)

    sealing.variables = Variables(an_envelope())
    assert (await found(sealing, function_id)).version.spec.environment == {"TOKEN": SECRET}


async def test_a_set_that_was_changed_or_is_another_rows_does_not_open(sealing: Database) -> None:
    one, other = await new_function(sealing), await new_function(sealing)
    sealing.variables = Variables(an_envelope())
    await sealing.execute(
        """
        UPDATE variable_sets s SET sealed = o.sealed, wrapped_key = o.wrapped_key FROM variable_sets o
        WHERE s.id = (SELECT variables_id FROM function_versions WHERE function_id = $1) AND o.id <> s.id
        """,
        one,
    )

    with pytest.raises(BrokenSealError):
        await functions.find_function(sealing, one)
    assert (await found(sealing, other)).version.spec.environment == {"TOKEN": SECRET}


async def test_a_deployment_whose_variables_do_not_open_can_be_given_up(sealing: Database) -> None:
    function = await found(sealing, await new_function(sealing))
    new = NewDeployment(function_id=function.id, spec=replace(function.version.spec, memory_mb=256), upload_kind=None)
    await deployments.open_deployment(sealing, new)
    sealing.variables = Variables(an_envelope(bytes(32)))

    with pytest.raises(UnavailableError):
        await deployments.claim_deployment(sealing, new.id)

    assert await deployments.give_up(sealing, new.id, BrokenSealError("broken").record())
    state = await sealing.fetchval("SELECT status FROM functions WHERE id = $1", function.id)
    assert state == "active"


async def test_a_rotation_of_master_keys_takes_the_sets_along(sealing: Database) -> None:
    function_id = await new_function(sealing)
    both = an_envelope(bytes(32), MASTER_KEY)

    outcome = await Rotation(sealing, both, lambda _: None).run()

    assert (outcome.rewrapped, outcome.failures) == (1, {})
    sealing.variables = Variables(an_envelope(bytes(32)))
    assert (await found(sealing, function_id)).version.spec.environment == {"TOKEN": SECRET}


async def test_sets_of_refused_deployments_are_forgotten_when_their_time_is_over(sealing: Database) -> None:
    function = await found(sealing, await new_function(sealing))
    new = NewDeployment(
        function_id=function.id, spec=replace(function.version.spec, environment={"A": "b"}), upload_kind=None
    )
    await deployments.open_deployment(sealing, new)
    assert await deployments.give_up(sealing, new.id, BrokenSealError("broken").record())
    await sealing.execute("UPDATE variable_sets SET created_at = now() - interval '9 days'")

    await variables.forget_unused(sealing, 7)
    assert await sealing.fetchval("SELECT count(*) FROM variable_sets") == 2
    await sealing.execute("DELETE FROM deployments")
    await variables.forget_unused(sealing, 7)

    assert await sealing.fetchval("SELECT count(*) FROM variable_sets") == 1
    assert (await found(sealing, function.id)).version.spec.environment == {"TOKEN": SECRET}


async def test_the_sets_of_a_long_list_are_opened_whole(sealing: Database) -> None:
    given = {
        await new_function(sealing, replace(SPEC, environment={"N": str(number)})): str(number) for number in range(19)
    }
    sealing.variables = Variables(an_envelope())
    [environment_id] = {(await found(sealing, function_id)).environment_id for function_id in list(given)[:1]}

    listed, _ = await functions.list_functions(sealing, environment_id, functions.FunctionFilter(limit=50))

    assert {function.id: function.version.spec.environment["N"] for function, _ in listed} == given


async def test_only_so_many_sets_are_remembered() -> None:
    seals = Variables(an_envelope(), max_bytes=900)
    for number in range(4):
        environment = {"A": str(number)}
        set_id = f"{number:024x}"
        assert await seals.open(await seals.seal(environment, set_id), set_id) == environment

    assert [seals.known(f"{number:024x}") is not None for number in range(4)] == [False, False, True, True]
