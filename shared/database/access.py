"""
Who may come in: API keys, OAuth2 tokens, users and their roles.

Keys and tokens are found by their SHA-256 alone; the plain ones are never stored. Rows say when a credential
expires or expired: what that means to a caller is the api's to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from shared.database.pool import Queries
from shared.database.text import storable
from shared.domain.ids import new_record_id
from shared.domain.user_errors import EmailUsedError

USER_PERMISSIONS = """
    coalesce((SELECT array_agg(DISTINCT permission ORDER BY permission)
              FROM user_roles ur JOIN roles r ON r.id = ur.role_id, unnest(r.permissions) AS permission
              WHERE ur.user_id = u.id), '{}')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key, without the key."""

    id: str
    account_id: str
    environment_id: str
    name: str
    prefix: str
    permissions: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """An API key to be kept: its digest, and its first characters to tell it by."""

    id: str
    account_id: str
    environment_id: str
    name: str
    sha256: str
    prefix: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """An access token: whose it is, by which application, what it allows, until when."""

    user_id: str
    application_id: str
    account_id: str
    environment_id: str
    permissions: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRow:
    """A refresh token that has just been used up. One that had expired by then gives nothing any more."""

    user_id: str
    application_id: str
    authorization_id: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """
    A pair of tokens to be kept, as digests.

    ``authorization_id`` says what code they were given for, ``password_hash`` the password that was shown for them.
    """

    access_sha256: str
    access_expires_at: datetime
    refresh_sha256: str
    refresh_expires_at: datetime
    user_id: str
    application_id: str
    access_id: str = field(default_factory=new_record_id)
    refresh_id: str = field(default_factory=new_record_id)
    authorization_id: str | None = None
    password_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A user with the union of the permissions of their roles."""

    id: str
    account_id: str
    email: str
    password_hash: str
    first_name: str
    last_name: str
    language: str
    time_zone: str
    phone_number: str
    activation: bool
    permissions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


async def find_api_key(db: Queries, sha256: str) -> KeyRow | None:
    """Return a key, also an expired or a revoked one."""
    row = await db.fetchrow(
        """
        SELECT id, account_id, environment_id, name, prefix, permissions, expires_at, revoked_at, last_used_at,
               created_at
        FROM api_keys WHERE sha256 = $1
        """,
        sha256,
    )
    return None if row is None else KeyRow(**{**row, "permissions": tuple(row["permissions"])})


async def insert_api_key(db: Queries, key: NewKey) -> bool:
    """Keep a key; return False, and change nothing, when there is one with that digest or id."""
    inserted = await db.fetchval(
        """
        INSERT INTO api_keys (id, account_id, environment_id, name, sha256, prefix, permissions, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id
        """,
        key.id,
        key.account_id,
        key.environment_id,
        storable(key.name),
        key.sha256,
        key.prefix,
        list(key.permissions),
        key.expires_at,
    )
    return inserted is not None


async def find_access_token(db: Queries, sha256: str) -> TokenRow | None:
    """Return an access token, also an expired one; those long expired are forgotten."""
    row = await db.fetchrow(
        f"""
        SELECT t.user_id, t.application_id, u.account_id, a.environment_id, t.expires_at,
               {USER_PERMISSIONS} AS permissions
        FROM access_tokens t JOIN users u ON u.id = t.user_id JOIN applications a ON a.id = t.application_id
        WHERE t.sha256 = $1
        """,  # noqa: S608 - built from constants
        sha256,
    )
    return None if row is None else TokenRow(**{**row, "permissions": tuple(row["permissions"])})


async def insert_tokens(db: Queries, tokens: NewTokens) -> bool:
    """Keep a pair of tokens, both or none; False, and none, when the user has another password by now."""
    if tokens.password_hash is not None and not await has_password(db, tokens.user_id, tokens.password_hash):
        return False
    await db.execute(
        """
        WITH access AS (
            INSERT INTO access_tokens
                (sha256, id, user_id, application_id, expires_at, refresh_token_id, authorization_id)
            VALUES ($1, $7, $5, $6, $2, $8, $9)
        )
        INSERT INTO refresh_tokens (sha256, id, user_id, application_id, expires_at, authorization_id)
        VALUES ($3, $8, $5, $6, $4, $9)
        """,
        tokens.access_sha256,
        tokens.access_expires_at,
        tokens.refresh_sha256,
        tokens.refresh_expires_at,
        tokens.user_id,
        tokens.application_id,
        tokens.access_id,
        tokens.refresh_id,
        tokens.authorization_id,
    )
    return True


async def has_password(db: Queries, user_id: str, password_hash: str) -> bool:
    """Tell whether a user may still log in by that password; in a transaction it stays so until the end of it."""
    held = await db.fetchval(
        "SELECT true FROM users WHERE id = $1 AND password_hash = $2 AND activation FOR SHARE", user_id, password_hash
    )
    return held is not None


async def use_refresh_token(db: Queries, sha256: str, application_id: str | None = None) -> RefreshRow | None:
    """
    Use up a refresh token; None when it is unknown, used already, or another application's.

    Of two that present the same token at once, one gets it.
    """
    row = await db.fetchrow(
        """
        UPDATE refresh_tokens SET used_at = now()
        WHERE sha256 = $1 AND used_at IS NULL AND ($2::text IS NULL OR application_id = $2)
        RETURNING user_id, application_id, authorization_id, expires_at
        """,
        sha256,
        application_id,
    )
    return None if row is None else RefreshRow(**row)


async def forget_expired_tokens(db: Queries, *, limit: int = 5_000) -> int:
    """
    Forget up to ``limit`` tokens of each sort that expired a day ago or earlier; return how many.

    Until then their owners are told what is wrong.
    """
    gone = 0
    for table in ("access_tokens", "refresh_tokens"):
        rows = await db.fetch(
            f"""
            DELETE FROM {table} WHERE sha256 IN (
                SELECT sha256 FROM {table} WHERE expires_at < now() - interval '1 day'
                ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
            ) RETURNING 1
            """,  # noqa: S608 - constants
            limit,
        )
        gone += len(rows)
    return gone


async def find_user_by_email(db: Queries, email: str) -> UserRow | None:
    """Return the user with the email, in whatever case it is written."""
    return await _user(db, "lower(u.email) = lower($1)", storable(email))


async def find_user(db: Queries, user_id: str) -> UserRow | None:
    """Return the user with the id."""
    return await _user(db, "u.id = $1", storable(user_id))


async def _user(db: Queries, condition: str, value: str) -> UserRow | None:
    row = await db.fetchrow(
        f"""
        SELECT u.id, u.account_id, u.email, u.password_hash, u.first_name, u.last_name, u.language, u.time_zone,
               u.phone_number, u.activation, u.created_at, u.updated_at, {USER_PERMISSIONS} AS permissions
        FROM users u WHERE {condition}
        """,  # noqa: S608 - built from constants
        value,
    )
    return None if row is None else UserRow(**{**row, "permissions": tuple(row["permissions"])})


async def insert_user(db: Queries, user_id: str, account_id: str, email: str, password_hash: str) -> None:
    """
    Keep a user, with no role.

    Raises:
        EmailUsedError: another user has the email.
    """
    try:
        await db.execute(
            "INSERT INTO users (id, account_id, email, password_hash) VALUES ($1, $2, $3, $4)",
            user_id,
            account_id,
            storable(email),
            password_hash,
        )
    except asyncpg.UniqueViolationError as error:
        raise EmailUsedError(f"There is a user {email} already.") from error


async def insert_role(
    db: Queries, role_id: str, account_id: str, name: str, permissions: Sequence[str], description: str = ""
) -> str:
    """Keep a role; return its id. A role of that name in the account gets these permissions instead."""
    kept: str = await db.fetchval(
        """
        INSERT INTO roles AS r (id, account_id, name, description, permissions) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, name) DO UPDATE SET
            permissions = excluded.permissions,
            updated_at = CASE WHEN r.permissions = excluded.permissions THEN r.updated_at ELSE now() END
        RETURNING id
        """,
        role_id,
        account_id,
        storable(name),
        storable(description),
        [storable(permission) for permission in permissions],
    )
    return kept


async def grant_role(db: Queries, user_id: str, role_id: str) -> None:
    """Give a role to a user; giving it again changes nothing."""
    await db.execute(
        "INSERT INTO user_roles (user_id, role_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", user_id, role_id
    )
