import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.database import access, accounts, api_keys, applications, roles
from shared.database.access import NewKey, NewTokens
from shared.database.pool import Database
from shared.domain.errors import NameTakenError, NotFoundError
from shared.domain.ids import new_key_id, new_record_id
from shared.domain.permission import API_KEY_PERMISSIONS, EXTRA_HORIZON_PERMISSIONS
from tests.integration.database.world import ADMIN, World


def in_(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


def tokens(world: World, **changes: Any) -> NewTokens:
    given: dict[str, Any] = {
        "access_sha256": "1" * 64,
        "access_expires_at": in_(minutes=5),
        "refresh_sha256": "2" * 64,
        "refresh_expires_at": in_(days=30),
        "user_id": world.first.user_id,
        "application_id": world.first.application_id,
    }
    return NewTokens(**{**given, **changes})


async def test_the_first_account_can_do_everything(db: Database, world: World) -> None:
    user = await access.find_user_by_email(db, "admin@EXAMPLE.com")
    key = await access.find_api_key(db, ADMIN.api_key_sha256)
    application = await applications.find_client(db, ADMIN.oauth_client_id)

    assert user is not None
    assert key is not None
    assert application is not None
    assert (user.id, user.email, user.activation) == (world.first.user_id, "Admin@example.com", True)
    assert user.permissions == tuple(sorted(EXTRA_HORIZON_PERMISSIONS))
    assert [role.name for role in (await roles.of_users(db, [user.id]))[user.id]] == ["admin"]
    assert (key.id, key.permissions, key.prefix) == (world.first.key_id, API_KEY_PERMISSIONS, ADMIN.api_key_prefix)
    assert (application.id, application.client_secret_sha256) == (world.first.application_id, None)
    assert {user.account_id, key.account_id, application.account_id} == {world.first.account_id}
    assert {key.environment_id, application.environment_id} == {world.environment_id}
    assert (world.first.environment.project_slug, world.first.environment.slug) == ("default", "master")
    assert await accounts.default_environment(db) == world.first.environment


async def test_ensuring_the_first_account_again_changes_nothing(db: Database, world: World) -> None:
    before = await _everything(db)

    assert await accounts.ensure_first_account(db, ADMIN) == world.first

    assert await _everything(db) == before


async def test_processes_that_start_together_make_one_account(db: Database) -> None:
    made = await asyncio.gather(*(accounts.ensure_first_account(db, ADMIN) for _ in range(5)))

    assert len(set(made)) == 1
    assert await db.fetchval("SELECT count(*) FROM accounts") == 1


async def test_credentials_that_changed_are_in_force_beside_the_earlier_ones(db: Database, world: World) -> None:
    changed = replace(ADMIN, password_hash="new", api_key_sha256="b" * 64, oauth_client_id="client-2")

    first = await accounts.ensure_first_account(db, changed)

    user = await access.find_user_by_email(db, ADMIN.email)
    assert user is not None
    assert (first.user_id, user.password_hash) == (world.first.user_id, "new")
    assert (first.account_id, first.environment) == (world.first.account_id, world.first.environment)
    assert first.key_id != world.first.key_id
    for sha256 in ("a" * 64, "b" * 64):
        assert await access.find_api_key(db, sha256) is not None
    for client_id in ("client-1", "client-2"):
        assert await applications.find_client(db, client_id) is not None


async def test_before_the_first_account_there_is_no_default_environment(db: Database) -> None:
    with pytest.raises(NotFoundError):
        await accounts.default_environment(db)
    with pytest.raises(NotFoundError):
        await accounts.add_user(db, "a@b.c", "hash", [])


async def test_a_user_that_is_added_has_the_permissions_named_and_no_others(db: Database, world: World) -> None:
    permissions = ["EXECUTE_API_FUNCTION:greeter", "VIEW_TASKS"]

    user_id = await accounts.add_user(db, "bo@example.com", "hash", permissions)
    other_id = await accounts.add_user(db, "cy@example.com", "hash", [])

    user, other = await access.find_user(db, user_id), await access.find_user(db, other_id)
    assert user is not None
    assert other is not None
    assert (user.account_id, user.permissions) == (world.first.account_id, tuple(permissions))
    assert other.permissions == ()


async def test_an_email_belongs_to_one_user_however_it_is_written(db: Database, world: World) -> None:
    with pytest.raises(NameTakenError):
        await accounts.add_user(db, ADMIN.email.upper(), "hash", [])

    assert await db.fetchval("SELECT count(*) FROM users") == 1
    assert await db.fetchval("SELECT count(*) FROM roles") == 1


async def test_permissions_are_the_union_of_all_roles(db: Database, world: World) -> None:
    user_id = await accounts.add_user(db, "bo@example.com", "hash", ["B", "A"])
    role_id = await access.insert_role(db, new_record_id(), world.first.account_id, "more", ["C", "B"])
    for _ in range(2):
        await access.grant_role(db, user_id, role_id)

    user = await access.find_user(db, user_id)

    assert user is not None
    assert user.permissions == ("A", "B", "C")


async def test_a_role_of_the_same_name_gets_the_new_permissions(db: Database, world: World) -> None:
    first = await access.insert_role(db, new_record_id(), world.first.account_id, "r", ["A"])
    again = await access.insert_role(db, new_record_id(), world.first.account_id, "r", ["B"])

    assert first == again
    assert await db.fetchval("SELECT permissions FROM roles WHERE id = $1", first) == ["B"]


async def test_an_unknown_credential_finds_nothing(db: Database, world: World) -> None:
    assert await access.find_api_key(db, "f" * 64) is None
    assert await access.find_access_token(db, "f" * 64) is None
    assert await access.use_refresh_token(db, "f" * 64) is None
    assert await access.find_user_by_email(db, "nobody\0@example.com") is None
    assert await applications.find_client(db, "nothing\0") is None


async def test_a_key_is_kept_once_and_shows_when_it_was_used(db: Database, world: World) -> None:
    key = NewKey(
        id=new_key_id(),
        account_id=world.first.account_id,
        environment_id=world.environment_id,
        name="ci",
        sha256="c" * 64,
        prefix="sl_cccccccc",
        permissions=("read",),
        expires_at=in_(days=1),
    )
    assert await access.insert_api_key(db, key)
    assert not await access.insert_api_key(db, replace(key, id=new_key_id()))
    kept = await access.find_api_key(db, key.sha256)
    assert kept is not None
    assert (kept.last_used_at, kept.revoked_at, kept.expires_at) == (None, None, key.expires_at)

    await api_keys.note_use(db, {key.id: 1_700_000_000.5, "key_unknown": 1.0})
    await api_keys.note_use(db, {key.id: 1_600_000_000.0})

    kept = await access.find_api_key(db, key.sha256)
    assert kept is not None
    assert kept.last_used_at == datetime.fromtimestamp(1_700_000_000.5, UTC)


async def test_an_access_token_tells_whose_it_is_and_what_it_allows(db: Database, world: World) -> None:
    given = tokens(world, access_expires_at=in_(minutes=-1))

    await access.insert_tokens(db, given)

    token = await access.find_access_token(db, given.access_sha256)
    assert token is not None
    assert (token.user_id, token.application_id) == (world.first.user_id, world.first.application_id)
    assert (token.account_id, token.environment_id) == (world.first.account_id, world.environment_id)
    assert (set(token.permissions), token.expires_at) == (set(EXTRA_HORIZON_PERMISSIONS), given.access_expires_at)


async def test_a_refresh_token_is_used_once_also_by_many_at_once(db: Database, world: World) -> None:
    given = tokens(world)
    await access.insert_tokens(db, given)

    used = await asyncio.gather(*(access.use_refresh_token(db, given.refresh_sha256) for _ in range(5)))

    [row] = [each for each in used if each is not None]
    assert (row.user_id, row.application_id) == (world.first.user_id, world.first.application_id)
    assert row.expires_at == given.refresh_expires_at


async def test_a_refresh_token_of_another_application_is_neither_given_nor_used_up(db: Database, world: World) -> None:
    given = tokens(world)
    await access.insert_tokens(db, given)

    assert await access.use_refresh_token(db, given.refresh_sha256, "another") is None
    assert await access.use_refresh_token(db, given.refresh_sha256, world.first.application_id) is not None


async def test_tokens_are_forgotten_a_day_after_they_expire(db: Database, world: World) -> None:
    long_ago = tokens(world, access_expires_at=in_(hours=-25), refresh_expires_at=in_(hours=-25))
    lately = tokens(
        world,
        access_sha256="3" * 64,
        refresh_sha256="4" * 64,
        access_expires_at=in_(hours=-23),
        refresh_expires_at=in_(hours=-23),
    )
    for each in (long_ago, lately):
        await access.insert_tokens(db, each)

    await access.forget_expired_tokens(db)

    assert await access.find_access_token(db, long_ago.access_sha256) is None
    assert await access.use_refresh_token(db, long_ago.refresh_sha256) is None
    assert await access.find_access_token(db, lately.access_sha256) is not None
    assert await access.use_refresh_token(db, lately.refresh_sha256) is not None


async def _everything(db: Database) -> list[object]:
    return [
        await db.fetch(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("accounts", "projects", "environments", "roles", "user_roles", "applications", "api_keys")
    ]
