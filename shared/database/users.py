"""
Users of an account, as a directory: found by what is known of them, added, removed.

What a user may do is the union of the permissions of their roles (``roles.py``); who presents what is looked up in
``access.py``.
"""

from dataclasses import dataclass

import asyncpg

from shared.database.access import USER_PERMISSIONS, UserRow
from shared.database.accounts import OWN_ROLE
from shared.database.passwords import put_out, replace_password
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.query import ListQuery
from shared.database.query_sql import Caseless, Column, Kind, Table, Texts
from shared.database.text import storable
from shared.domain.user_errors import EmailUsedError

_COLUMNS = f"""
    u.id, u.account_id, u.email, u.password_hash, u.first_name, u.last_name, u.language, u.time_zone, u.phone_number,
    u.activation, u.created_at, u.updated_at, {USER_PERMISSIONS} AS permissions
"""
_ROLE_IDS = "ARRAY(SELECT ur.role_id FROM user_roles ur WHERE ur.user_id = u.id)"
_ROLE_NAMES = "ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = u.id)"

USERS = Table(
    sql="users u",
    columns=_COLUMNS,
    noun="users",
    owner="u.account_id",
    fields={
        "id": Column("u.id"),
        "email": Caseless("u.email"),
        "first_name": Column("u.first_name"),
        "last_name": Column("u.last_name"),
        "language": Column("u.language"),
        "time_zone": Column("u.time_zone"),
        "phone_number": Column("u.phone_number"),
        "activation": Column("u.activation::text"),
        "roles": Texts(_ROLE_IDS),
        "roles.id": Texts(_ROLE_IDS),
        "roles.name": Texts(_ROLE_NAMES),
        "creation_timestamp": Column("date_trunc('milliseconds', u.created_at)", Kind.EPOCH_MS),
        "update_timestamp": Column("date_trunc('milliseconds', u.updated_at)", Kind.EPOCH_MS),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be kept; with no role, so with no permission."""

    id: str
    account_id: str
    email: str
    password_hash: str
    first_name: str
    last_name: str
    language: str
    time_zone: str
    phone_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What to change of a user; None leaves it as it is."""

    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    time_zone: str | None = None
    phone_number: str | None = None


async def list_users(db: Queries, account_id: str, query: ListQuery) -> tuple[list[UserRow], int | None]:
    """Return one page of an account's users, and how many match in all (None when not counted)."""
    rows, total = await USERS.page(db, account_id, query)
    return [_user(row) for row in rows], total


async def find_user(db: Queries, account_id: str, user_id: str) -> UserRow | None:
    """Return a user of the account."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM users u WHERE u.account_id = $1 AND u.id = $2",  # noqa: S608 - constants
        account_id,
        storable(user_id),
    )
    return None if row is None else _user(row)


async def add_user(db: Queries, new: NewUser) -> UserRow:
    """
    Keep a user.

    Raises:
        EmailUsedError: there is a user with that email, in this account or another.
    """
    texts = (new.email, new.first_name, new.last_name, new.language, new.time_zone, new.phone_number)
    try:
        row = await db.fetchrow(
            f"""
            INSERT INTO users AS u (id, account_id, password_hash, email, first_name, last_name, language, time_zone,
                                    phone_number)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {_COLUMNS}
            """,  # noqa: S608 - constants
            new.id,
            new.account_id,
            new.password_hash,
            *map(storable, texts),
        )
    except asyncpg.UniqueViolationError as error:
        raise EmailUsedError("There is a user with this email already.") from error
    assert row is not None  # inserted
    return _user(row)


async def update_user(db: Queries, account_id: str, user_id: str, changes: UserChanges) -> UserRow | None:
    """Change what is given of a user of the account; return them, None when there is none."""
    texts = (changes.first_name, changes.last_name, changes.language, changes.time_zone, changes.phone_number)
    row = await db.fetchrow(
        f"""
        UPDATE users u SET first_name = coalesce($3, first_name), last_name = coalesce($4, last_name),
            language = coalesce($5, language), time_zone = coalesce($6, time_zone),
            phone_number = coalesce($7, phone_number), updated_at = now()
        WHERE u.account_id = $1 AND u.id = $2 RETURNING {_COLUMNS}
        """,  # noqa: S608 - constants
        account_id,
        storable(user_id),
        *(None if text is None else storable(text) for text in texts),
    )
    return None if row is None else _user(row)


async def delete_user(db: Queries, account_id: str, user_id: str) -> bool:
    """Remove a user of the account with whatever lets them in and their own role; return False when there is none."""
    gone = await db.fetchval(
        """
        WITH gone AS (DELETE FROM users WHERE account_id = $1 AND id = $2 RETURNING id),
             own AS (DELETE FROM roles WHERE account_id = $1 AND name = $3 || (SELECT id FROM gone))
        SELECT id FROM gone
        """,
        account_id,
        storable(user_id),
        OWN_ROLE,
    )
    return gone is not None


async def set_password(db: Database, user_id: str, password_hash: str, *, but_session: int | None = None) -> None:
    """
    Give a user another password; whoever came in with the earlier one, or is just about to, is out.

    One session may stay: that in which it is done.
    """
    await db.in_transaction(
        lambda connection: replace_password(connection, user_id, password_hash, but_session=but_session)
    )


async def deactivate(db: Database, user_id: str) -> None:
    """Let nobody log in as this user any more; whoever has is out."""

    async def work(connection: Connection) -> None:
        await connection.execute("UPDATE users SET activation = false, updated_at = now() WHERE id = $1", user_id)
        await put_out(connection, user_id)

    await db.in_transaction(work)


def _user(row: Row) -> UserRow:
    return UserRow(**{**row, "permissions": tuple(row["permissions"])})
