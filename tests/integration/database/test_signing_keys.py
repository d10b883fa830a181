import asyncio

import pytest

from services.signing import ServiceKey, new_sealed_key
from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing
from shared.crypto.signing import SigningKey
from shared.database import signing_keys
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from tests.support.envelopes import an_envelope

OTHER_MASTER_KEY = bytes(reversed(range(32)))


async def refreshed(db: Database, envelope: Envelope | None = None) -> ServiceKey:
    key = ServiceKey(db, envelope or an_envelope())
    await key.refresh()
    return key


def in_use(key: ServiceKey) -> SigningKey:
    assert key.current is not None
    return key.current


async def test_processes_that_start_together_sign_with_one_key(db: Database) -> None:
    keys = [in_use(each) for each in await asyncio.gather(*(refreshed(db) for _ in range(8)))]

    assert len({(key.id, key.public_key, key.secret()) for key in keys}) == 1
    assert [each.id for each in await signing_keys.public_keys(db)] == [keys[0].id]


async def test_the_key_is_kept_over_a_restart_and_never_in_clear(db: Database) -> None:
    key = in_use(await refreshed(db))

    assert in_use(await refreshed(db)).secret() == key.secret()
    row = await db.fetchrow("SELECT * FROM signing_keys")
    assert row is not None
    assert not any(isinstance(value, bytes) and key.secret() in value for value in row.values())


async def test_after_a_rotation_processes_take_up_the_new_key_and_the_old_one_still_verifies(db: Database) -> None:
    running = await refreshed(db)
    old = in_use(running)

    new = await new_sealed_key(an_envelope())
    assert await signing_keys.replace_active(db, new)
    assert in_use(running).id == old.id
    await running.refresh()

    assert in_use(running).id == new.id
    shown = await signing_keys.public_keys(db)
    assert [(each.id, each.retired_at is None) for each in shown] == [(new.id, True), (old.id, False)]
    found = await signing_keys.find_public(db, old.id)
    assert found is not None
    assert found.public_key == old.public_key
    assert await signing_keys.find_public(db, "sgn_0") is None


async def test_of_rotations_at_the_same_time_each_ends_with_one_key_in_use(db: Database) -> None:
    await refreshed(db)

    new = [await new_sealed_key(an_envelope()) for _ in range(5)]
    done = await asyncio.gather(*(signing_keys.replace_active(db, each) for each in new))

    assert any(done)
    assert sum(each.retired_at is None for each in await signing_keys.public_keys(db)) == 1
    active = await signing_keys.find_active(db)
    assert active is not None
    assert active.id in [each.id for each, replaced in zip(new, done, strict=True) if replaced]


async def test_without_a_master_key_there_is_no_key_and_the_reason_is_told(db: Database) -> None:
    key = await refreshed(db, Envelope(KeyRing(())))

    assert key.current is None
    with pytest.raises(UnavailableError, match=r"nothing can be signed: .*master key"):
        await key.check()
    assert await signing_keys.public_keys(db) == []


async def test_beside_a_key_that_does_not_open_no_other_is_made(db: Database) -> None:
    first = in_use(await refreshed(db))

    for envelope in (an_envelope(OTHER_MASTER_KEY), Envelope(KeyRing(()))):
        stranger = await refreshed(db, envelope)
        assert stranger.current is None
        with pytest.raises(UnavailableError, match="nothing can be signed"):
            await stranger.check()
    assert [each.id for each in await signing_keys.public_keys(db)] == [first.id]


async def test_a_key_moved_to_another_row_does_not_open(db: Database) -> None:
    await refreshed(db)
    await db.execute("UPDATE signing_keys SET id = 'sgn_other'")

    stranger = await refreshed(db)

    assert stranger.current is None


async def test_a_process_that_has_the_key_goes_on_signing_when_it_cannot_look_again(db: Database) -> None:
    key = await refreshed(db)
    known = in_use(key)
    await signing_keys.replace_active(db, await new_sealed_key(an_envelope(OTHER_MASTER_KEY)))

    await key.refresh()

    assert key.current is known
    assert "problem" in await key.check()
