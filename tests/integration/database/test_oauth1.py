"""Nonces are used up once, whoever asks and however many at once; what was kept before versions is found after."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

import asyncpg
import pytest

from shared.database import access, applications, migrate, oauth1
from shared.database.group_commit import GroupCommit
from shared.database.oauth1 import UsedNonce
from shared.database.pool import Database
from shared.domain.ids import is_record_id, record_time


def nonce(name: str, *, for_s: float = 300) -> UsedNonce:
    return UsedNonce(hashlib.sha256(name.encode()).digest(), time.time() + for_s)


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[Sequence[Database]]:
    """Two processes' ways into the same database."""
    opened = [await Database.connect(database_url) for _ in range(2)]
    yield opened
    for db in opened:
        await db.close()


async def test_a_nonce_is_used_up_once_also_within_one_batch(replicas: Sequence[Database]) -> None:
    one, two = replicas

    assert await oauth1.use_nonces(one, [nonce("a"), nonce("b"), nonce("a")]) == [True, True, False]
    assert await oauth1.use_nonces(two, [nonce("c"), nonce("b")]) == [True, False]


async def test_replicas_that_see_the_same_copies_at_once_take_each_once(replicas: Sequence[Database]) -> None:
    groups: list[GroupCommit[UsedNonce, bool]] = [
        GroupCommit(partial(oauth1.use_nonces, db), max_in_flight=3, max_batch=20) for db in replicas
    ]
    names = [f"{number}" for number in range(100)]

    async def all_of_them(group: GroupCommit[UsedNonce, bool], order: Sequence[str]) -> list[bool]:
        return await asyncio.gather(*(group.submit(nonce(name)) for name in order))

    taken = await asyncio.gather(
        *(all_of_them(group, order) for group in groups for order in (names, names[::-1], names[50:] + names[:50]))
    )

    assert sum(map(sum, taken)) == len(names)
    for group in groups:
        await group.close()


async def test_what_is_past_is_forgotten_and_the_rest_is_not(replicas: Sequence[Database]) -> None:
    one, two = replicas
    await oauth1.use_nonces(one, [nonce("old", for_s=-1), nonce("young")])

    await asyncio.gather(*(oauth1.forget_nonces(db) for db in replicas))

    assert await oauth1.use_nonces(two, [nonce("old"), nonce("young")]) == [True, False]


async def test_applications_and_tokens_from_before_are_found_as_versions_with_ids(empty_database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_database_url, "0004")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(
            """
            INSERT INTO accounts (id, name) VALUES ('a', 'a');
            INSERT INTO projects (id, account_id, slug, name) VALUES ('p', 'a', 'p', 'p');
            INSERT INTO environments (id, account_id, project_id, slug, name) VALUES ('e', 'a', 'p', 'e', 'e');
            INSERT INTO users (id, account_id, email, password_hash) VALUES ('u', 'a', 'u@example.com', '');
            INSERT INTO applications (id, account_id, environment_id, name, client_id, client_secret_sha256)
            VALUES ('o1', 'a', 'e', 'open', 'one', NULL), ('o2', 'a', 'e', 'closed', 'two', 'digest');
            INSERT INTO access_tokens (sha256, user_id, application_id, expires_at)
            VALUES (repeat('1', 64), 'u', 'o1', now() + interval '1 hour');
            INSERT INTO refresh_tokens (sha256, user_id, application_id, expires_at)
            VALUES (repeat('2', 64), 'u', 'o1', now() + interval '1 hour');
            """
        )
    finally:
        await connection.close()

    await migrate.migrate(empty_database_url)

    db = await Database.connect(empty_database_url, max_size=1)
    try:
        one, two = [await applications.find_client(db, client_id) for client_id in ("one", "two")]
        assert one is not None
        assert two is not None
        assert (one.id, one.confidential, one.client_secret_sha256) == ("o1", False, None)
        assert (two.id, two.confidential, two.client_secret_sha256) == ("o2", True, "digest")
        assert await access.find_access_token(db, "1" * 64) is not None
        ids = [await db.fetchval(f"SELECT id FROM {table}") for table in ("access_tokens", "refresh_tokens")]
        assert all(is_record_id(id_) and abs(record_time(id_).timestamp() - time.time()) < 600 for id_ in ids)
        used = await access.use_refresh_token(db, "2" * 64)
        assert used is not None
        assert (used.user_id, used.authorization_id) == ("u", None)
    finally:
        await db.close()
