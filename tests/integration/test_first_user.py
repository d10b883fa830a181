"""The first user: what they came in by outlives every start, but not another password."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.prepare import prepare_database
from shared.crypto.passwords import verify_password
from shared.database import access, applications, sessions
from shared.database.access import NewTokens
from shared.database.pool import Database
from shared.database.sessions import NewSession
from tests.integration.test_first_consumer import CREDENTIALS, WITH_KEY


@pytest.fixture
async def db(empty_database_url: str) -> AsyncIterator[Database]:
    await prepare_database(WITH_KEY, empty_database_url, CREDENTIALS)
    db = await Database.connect(empty_database_url, max_size=2)
    yield db
    await db.close()


async def let_in(db: Database) -> int:
    """Give the first user tokens and a session; return the id of the session."""
    user = await access.find_user_by_email(db, CREDENTIALS.email)
    client = await applications.find_client(db, CREDENTIALS.oauth_client_id)
    assert user is not None
    assert client is not None
    later = datetime.now(UTC) + timedelta(hours=1)
    given = NewTokens(
        access_sha256="1" * 64,
        access_expires_at=later,
        refresh_sha256="2" * 64,
        refresh_expires_at=later,
        user_id=user.id,
        application_id=client.id,
    )
    await access.insert_tokens(db, given)
    new = NewSession(user_id=user.id, refresh_sha256="3" * 64, expires_at=later, address="::1", user_agent=None)
    return (await sessions.open_session(db, new)).id


async def is_in(db: Database, session_id: int) -> list[bool]:
    session = await sessions.find_session(db, session_id)
    assert session is not None
    return [
        await access.find_access_token(db, "1" * 64) is not None,
        bool(await db.fetchval("SELECT count(*) FROM refresh_tokens")),
        session.ended_at is None,
    ]


async def test_another_start_with_the_same_password_leaves_the_first_user_in(
    db: Database, empty_database_url: str
) -> None:
    session = await let_in(db)

    await prepare_database(WITH_KEY, empty_database_url, CREDENTIALS)

    assert await is_in(db, session) == [True, True, True]


async def test_another_password_puts_out_whoever_came_in_with_the_earlier_one(
    db: Database, empty_database_url: str
) -> None:
    session = await let_in(db)

    await prepare_database(WITH_KEY, empty_database_url, replace(CREDENTIALS, password="quite another one"))

    assert await is_in(db, session) == [False, False, False]
    user = await access.find_user_by_email(db, CREDENTIALS.email)
    assert user is not None
    assert verify_password("quite another one", user.password_hash)
