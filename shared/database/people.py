"""
Users as people who log in, belong to workspaces and have a profile (contracts/gateways.md section 2.1).

A user's name is kept as its first word and the rest, which is what the other dialects know of it.
"""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from shared.database.pool import Queries, Row
from shared.database.text import storable
from shared.domain.user_errors import EmailUsedError

PERSON_COLUMNS = """
    u.id, u.number, u.account_id, u.email, u.password_hash, u.first_name, u.last_name, u.activation, u.created_at,
    u.updated_at,
    (SELECT a.number FROM accounts a WHERE a.id = u.default_account_id AND a.deleted_at IS NULL) AS default_workspace
"""
"""What ``person_of`` reads, of users as ``u``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as a person, and the account they began in; ``is_active`` is false for one who gave themselves up."""

    id: str
    number: int
    account_id: str
    email: str
    password_hash: str
    name: str
    is_active: bool
    default_workspace: int | None
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"Person(id={self.id!r}, …)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """A user to be kept, with the account they begin in."""

    id: str
    account_id: str
    email: str
    password_hash: str
    name: str

    def __repr__(self) -> str:
        return f"NewPerson(id={self.id!r}, …)"


async def insert_person(db: Queries, new: NewPerson) -> None:
    """
    Keep a user.

    Raises:
        EmailUsedError: another user has the email, in whatever case.
    """
    first, _, last = new.name.partition(" ")
    try:
        await db.execute(
            """
            INSERT INTO users (id, account_id, default_account_id, email, password_hash, first_name, last_name)
            VALUES ($1, $2, $2, $3, $4, $5, $6)
            """,
            new.id,
            new.account_id,
            storable(new.email),
            new.password_hash,
            storable(first),
            storable(last),
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def find_person(db: Queries, user_id: str) -> Person | None:
    """Return the user with the id."""
    row = await db.fetchrow(f"SELECT {PERSON_COLUMNS} FROM users u WHERE u.id = $1", user_id)  # noqa: S608 - constants
    return None if row is None else person_of(row)


async def find_person_by_email(db: Queries, email: str) -> Person | None:
    """Return the user with the email, in whatever case it is written."""
    row = await db.fetchrow(
        f"SELECT {PERSON_COLUMNS} FROM users u WHERE lower(u.email) = lower($1)",  # noqa: S608 - constants
        storable(email),
    )
    return None if row is None else person_of(row)


async def update_person(db: Queries, user_id: str, *, name: str | None, email: str | None) -> None:
    """
    Change what is given; the rest stays.

    Raises:
        EmailUsedError: another user has the email.
    """
    first, _, last = (name or "").partition(" ")
    try:
        await db.execute(
            """
            UPDATE users SET
                first_name = CASE WHEN $2::boolean THEN $3 ELSE first_name END,
                last_name = CASE WHEN $2::boolean THEN $4 ELSE last_name END,
                email = coalesce($5, email), updated_at = now()
            WHERE id = $1
            """,
            user_id,
            name is not None,
            storable(first),
            storable(last),
            None if email is None else storable(email),
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def set_default_workspace(db: Queries, user_id: str, account_id: str) -> None:
    """Name the workspace that a user's programs open first."""
    await db.execute("UPDATE users SET default_account_id = $2 WHERE id = $1", user_id, account_id)


def person_of(row: Row) -> Person:
    """Return the person of a row that has ``PERSON_COLUMNS``."""
    return Person(
        id=row["id"],
        number=row["number"],
        account_id=row["account_id"],
        email=row["email"],
        password_hash=row["password_hash"],
        name=f"{row['first_name']} {row['last_name']}".strip(),
        is_active=row["activation"],
        default_workspace=row["default_workspace"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _taken() -> EmailUsedError:
    return EmailUsedError("There is a user with this email already.", field="email")
