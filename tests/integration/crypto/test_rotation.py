"""Every data key is wrapped anew, whatever happens on the way, and nothing else changes."""

from collections.abc import AsyncIterator

import pytest

from services.rotation import Rotation
from services.signing import new_sealed_key
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.database import applications, oauth1, sealed_rows, secrets, signing_keys
from shared.database.applications import NewConsumer
from shared.database.oauth1 import NewSignedToken
from shared.database.pool import Database
from shared.database.secrets import NewSecret, SecretChange
from shared.domain.errors import UnavailableError
from tests.integration.database.world import World, spec
from tests.support.envelopes import an_envelope

OLD, NEW = bytes([1, 2] * 16), bytes([3, 4] * 16)
BOTH = (NEW, OLD)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


async def keep(world: World, number: int, envelope: Envelope) -> str:
    secret_id = f"sec_{number:010}"
    new = NewSecret(
        id=secret_id,
        account_id=world.first.account_id,
        name=f"secret-{number}",
        description="",
        allowed_functions=None,
        sealed=await envelope.seal(f"value {number}".encode(), secret_id),
    )
    assert await secrets.insert_secret(world.db, new, limit=1000) is not None
    return secret_id


async def values(world: World, envelope: Envelope, count: int) -> list[str]:
    """Open all secrets, by number."""
    names = [f"secret-{number}" for number in range(count)]
    found = {each.name: each for each in await secrets.granted(world.db, world.first.account_id, names)}
    return [(await envelope.open(found[name].sealed, found[name].id)).decode() for name in names]


async def test_everything_sealed_is_under_the_new_key_afterwards_and_nothing_else_has_changed(world: World) -> None:
    old = an_envelope(OLD)
    for number in range(5):
        await keep(world, number, old)
    function = await world.function(spec=spec(secrets=("secret-1",)))
    await signing_keys.add_active(world.db, await new_sealed_key(old))
    before = await world.db.fetch("SELECT id, sealed, updated_at, version FROM secrets ORDER BY id")
    said: list[str] = []

    outcome = await Rotation(world.db, an_envelope(*BOTH), said.append).run()

    assert (outcome.rewrapped, outcome.failures) == (6, {})
    assert await world.db.fetch("SELECT id, sealed, updated_at, version FROM secrets ORDER BY id") == before
    alone = an_envelope(NEW)
    assert await values(world, alone, 5) == [f"value {number}" for number in range(5)]
    key = await signing_keys.find_active(world.db)
    assert key is not None
    assert len(await alone.open(key.sealed, key.id)) == 32
    assert {use.master_key_id for use in await sealed_rows.uses(world.db)} == {alone.current_id}
    assert await world.db.fetchval("SELECT revision FROM functions WHERE id = $1", function.id) == function.revision
    assert any("5 of 5" in line for line in said)
    assert (await Rotation(world.db, an_envelope(*BOTH), said.append).run()).rewrapped == 0


async def test_what_signs_requests_is_wrapped_anew_too(world: World) -> None:
    old = an_envelope(OLD)
    await keep_signers(world, old)

    outcome = await Rotation(world.db, an_envelope(*BOTH), lambda _: None).run()

    assert (outcome.rewrapped, outcome.failures) == (2, {})
    alone = an_envelope(NEW)
    consumer = await applications.find_consumer(world.db, "ck")
    token = await oauth1.find_token(world.db, "tk")
    assert consumer is not None
    assert token is not None
    assert await alone.open(consumer.sealed, consumer.version_id) == b"cs"
    assert await alone.open(token.sealed, token.id) == b"ts"


async def keep_signers(world: World, envelope: Envelope) -> None:
    consumer = NewConsumer(
        id="c" * 24,
        application_id=world.first.application_id,
        name="v1",
        consumer_key="ck",
        sealed=await envelope.seal(b"cs", "c" * 24),
    )
    await applications.insert_consumer(world.db, consumer)
    token = NewSignedToken(
        id="d" * 24,
        user_id=world.first.user_id,
        application_id=world.first.application_id,
        token="tk",
        sealed=await envelope.seal(b"ts", "d" * 24),
    )
    await oauth1.insert_token(world.db, token)


async def test_a_rotation_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    for number in range(450):
        await keep(world, number, an_envelope(OLD))

    def stop_after_a_batch(line: str) -> None:
        if ": 200 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Rotation(world.db, an_envelope(*BOTH), stop_after_a_batch).run()
    # Half-way, whoever knows both keys opens everything.
    assert len(await values(world, an_envelope(*BOTH), 450)) == 450
    outcome = await Rotation(world.db, an_envelope(*BOTH), lambda _: None).run()

    assert outcome.rewrapped == 250
    assert len(await values(world, an_envelope(NEW), 450)) == 450


async def test_a_row_that_cannot_be_opened_is_told_and_left_and_the_others_are_done(world: World) -> None:
    for number in range(3):
        await keep(world, number, an_envelope(OLD))
    broken, unknown = "sec_0000000000", "sec_0000000001"
    await world.db.execute("UPDATE secrets SET sealed = sealed || 'x'::bytea WHERE id = $1", broken)
    await world.db.execute("UPDATE secrets SET master_key_id = 'local:lost' WHERE id = $1", unknown)
    before = await world.db.fetch("SELECT * FROM secrets WHERE id <= $1", unknown)

    outcome = await Rotation(world.db, an_envelope(*BOTH), lambda _: None).run()

    assert (outcome.rewrapped, sorted(outcome.failures)) == (1, [f"secrets {broken}", f"secrets {unknown}"])
    assert "local:lost" in outcome.failures[f"secrets {unknown}"]
    assert await world.db.fetch("SELECT * FROM secrets WHERE id <= $1", unknown) == before


async def test_a_value_that_was_given_meanwhile_is_not_overwritten_and_is_done_too(world: World) -> None:
    secret_id = await keep(world, 0, an_envelope(OLD))
    [row] = await sealed_rows.wrapped_by_others(world.db, "secrets", an_envelope(NEW).current_id, after="", limit=9)
    stale = await an_envelope(*BOTH).rewrap(row.sealed, row.id)
    newer = await an_envelope(OLD).seal(b"newer", secret_id)
    await secrets.update_secret(world.db, world.first.account_id, secret_id, SecretChange(sealed=newer))

    assert not await sealed_rows.rewrap(world.db, row, stale)
    assert await values(world, an_envelope(OLD), 1) == ["newer"]
    assert (await Rotation(world.db, an_envelope(*BOTH), lambda _: None).run()).rewrapped == 1
    assert await values(world, an_envelope(NEW), 1) == ["newer"]


async def test_without_a_master_key_nothing_is_rotated(world: World) -> None:
    await keep(world, 0, an_envelope(OLD))

    with pytest.raises(UnavailableError, match="no master key"):
        await Rotation(world.db, Envelope(KeyRing(())), lambda _: None).run()
    with pytest.raises(ValueError, match="holds no sealed values"):
        await sealed_rows.wrapped_by_others(world.db, "users", "x", after="", limit=1)
