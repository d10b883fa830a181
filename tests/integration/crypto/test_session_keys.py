"""The key that sessions are signed with: one for all replicas, never in clear, and no master key's for ever."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.api.access.session_tokens import SessionClaims, SessionTokens
from services.rotation import Rotation
from shared.database import sealed_rows
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from tests.support.envelopes import an_envelope

OLD, NEW = bytes([1, 2] * 16), bytes([3, 4] * 16)
CLAIMS = SessionClaims(session_id=3, user_number=7)
LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url)
    yield opened
    await opened.close()


async def test_replicas_that_start_together_sign_with_one_key_that_is_kept_sealed(db: Database) -> None:
    replicas = [SessionTokens() for _ in range(8)]

    tokens = await asyncio.gather(*(each.issue(db, an_envelope(OLD), CLAIMS, LATER) for each in replicas))

    for replica in replicas:
        for token in tokens:
            assert await replica.read(db, an_envelope(OLD), token) == CLAIMS
    assert await db.fetchval("SELECT count(*) FROM session_keys") == 1


async def test_sessions_go_on_under_another_master_key(db: Database) -> None:
    token = await SessionTokens().issue(db, an_envelope(OLD), CLAIMS, LATER)

    outcome = await Rotation(db, an_envelope(NEW, OLD), lambda _: None).run()

    assert (outcome.rewrapped, outcome.failures) == (1, {})
    assert await SessionTokens().read(db, an_envelope(NEW), token) == CLAIMS
    with pytest.raises(UnavailableError):
        await SessionTokens().read(db, an_envelope(OLD), token)
    [use] = [each for each in await sealed_rows.uses(db) if each.table == "session_keys"]
    assert use.rows == 1
