"""
Secrets of accounts, sealed; and which functions a change of one concerns.

A change of what functions get raises the revision of every function of the account that lists the name, in the
same transaction: whoever knows the new revision finds the new value. The functions' own dates do not move. Changes
of one account's secrets are made one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.crypto.envelope import Sealed
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.text import storable
from shared.domain.errors import NameTakenError, QuotaExceededError
from shared.domain.secret import ChangedFunction, SecretFacts

_FACTS = "id, account_id, name, description, allowed_functions, version, created_at, updated_at"

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret to be kept; ``sealed`` is bound to ``id``."""

    id: str
    account_id: str
    name: str
    description: str
    allowed_functions: tuple[str, ...] | None
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretChange:
    """
    A change; None leaves a thing as it is.

    ``restrict`` says that ``allowed_functions`` replaces the allow-list; None there then allows every function.
    """

    sealed: Sealed | None = None
    description: str | None = None
    restrict: bool = False
    allowed_functions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedSecret:
    """A secret that a function lists, as it is kept."""

    id: str
    name: str
    allowed_functions: tuple[str, ...] | None
    sealed: Sealed

    def allows(self, function_id: str) -> bool:
        """Tell whether the secret's own allow-list lets the function have it."""
        return self.allowed_functions is None or function_id in self.allowed_functions


async def insert_secret(
    db: Database, new: NewSecret, *, limit: int
) -> tuple[SecretFacts, Sequence[ChangedFunction]] | None:
    """
    Keep a secret; return it and the functions that have been waiting for it. None when its id is taken.

    Raises:
        NameTakenError: the account has a secret of that name.
        QuotaExceededError: the account has ``limit`` secrets.
    """

    async def work(connection: Connection) -> tuple[SecretFacts, Sequence[ChangedFunction]] | None:
        await _lock(connection, new.account_id)
        if await connection.fetchval(
            "SELECT 1 FROM secrets WHERE account_id = $1 AND name = $2", new.account_id, new.name
        ):
            raise NameTakenError(f"there is a secret {new.name} already")
        if await connection.fetchval("SELECT count(*) FROM secrets WHERE account_id = $1", new.account_id) >= limit:
            raise QuotaExceededError(f"the account may not have more than {limit} secrets", limit=limit)
        row = await connection.fetchrow(
            f"""
            INSERT INTO secrets
                (id, account_id, name, description, allowed_functions, master_key_id, wrapped_key, sealed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING RETURNING {_FACTS}
            """,  # noqa: S608 - built from constants
            new.id,
            new.account_id,
            new.name,
            storable(new.description),
            new.allowed_functions,
            new.sealed.master_key_id,
            new.sealed.wrapped_key,
            new.sealed.sealed,
        )
        return None if row is None else (_facts_of(row), await _concerned(connection, new.account_id, new.name))

    return await db.in_transaction(work)


async def update_secret(
    db: Database, account_id: str, secret_id: str, change: SecretChange
) -> tuple[SecretFacts, Sequence[ChangedFunction]] | None:
    """Change a secret; return it as it is then and the functions that get something else now. None: there is none."""
    sealed = change.sealed

    async def work(connection: Connection) -> tuple[SecretFacts, Sequence[ChangedFunction]] | None:
        await _lock(connection, account_id)
        row = await connection.fetchrow(
            f"""
            UPDATE secrets SET
                description = coalesce($3, description),
                allowed_functions = CASE WHEN $4 THEN $5::text[] ELSE allowed_functions END,
                version = version + CASE WHEN $8::bytea IS NULL THEN 0 ELSE 1 END,
                master_key_id = coalesce($6, master_key_id),
                wrapped_key = coalesce($7, wrapped_key),
                sealed = coalesce($8, sealed),
                updated_at = now()
            WHERE account_id = $1 AND id = $2 RETURNING {_FACTS}
            """,  # noqa: S608 - built from constants
            account_id,
            secret_id,
            None if change.description is None else storable(change.description),
            change.restrict,
            change.allowed_functions,
            None if sealed is None else sealed.master_key_id,
            None if sealed is None else sealed.wrapped_key,
            None if sealed is None else sealed.sealed,
        )
        if row is None:
            return None
        matters = sealed is not None or change.restrict
        return _facts_of(row), await _concerned(connection, account_id, row["name"]) if matters else ()

    return await db.in_transaction(work)


async def delete_secret(db: Database, account_id: str, secret_id: str) -> Sequence[ChangedFunction] | None:
    """Delete a secret; return the functions that miss it now, whose lists keep the name. None: there is none."""

    async def work(connection: Connection) -> Sequence[ChangedFunction] | None:
        await _lock(connection, account_id)
        name = await connection.fetchval(
            "DELETE FROM secrets WHERE account_id = $1 AND id = $2 RETURNING name", account_id, secret_id
        )
        return None if name is None else await _concerned(connection, account_id, name)

    return await db.in_transaction(work)


async def find_secret(db: Queries, account_id: str, reference: str) -> SecretFacts | None:
    """Return the secret of the account that has this id or this name."""
    row = await db.fetchrow(
        f"SELECT {_FACTS} FROM secrets WHERE account_id = $1 AND (id = $2 OR name = $2)",  # noqa: S608 - constants
        account_id,
        storable(reference),
    )
    return None if row is None else _facts_of(row)


async def list_secrets(db: Queries, account_id: str, *, limit: int, offset: int) -> tuple[list[SecretFacts], int]:
    """Return one page of an account's secrets, by name, and how many there are."""
    total: int = await db.fetchval("SELECT count(*) FROM secrets WHERE account_id = $1", account_id)
    rows = await db.fetch(
        f"SELECT {_FACTS} FROM secrets WHERE account_id = $1 ORDER BY name LIMIT $2 OFFSET $3",  # noqa: S608 - constants
        account_id,
        limit,
        offset,
    )
    return [_facts_of(row) for row in rows], total


async def granted(db: Queries, account_id: str, names: Sequence[str]) -> list[GrantedSecret]:
    """Return those of an account's secrets that have these names, sealed."""
    rows = await db.fetch(
        """
        SELECT id, name, allowed_functions, master_key_id, wrapped_key, sealed
        FROM secrets WHERE account_id = $1 AND name = ANY($2::text[])
        """,
        account_id,
        list(names),
    )
    return [
        GrantedSecret(
            id=row["id"],
            name=row["name"],
            allowed_functions=_or_none(row["allowed_functions"]),
            sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
        )
        for row in rows
    ]


async def _lock(connection: Connection, account_id: str) -> None:
    """Let nobody else change this account's secrets until the transaction ends; references to the account go on."""
    await connection.execute("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)


async def _concerned(connection: Connection, account_id: str, name: str) -> Sequence[ChangedFunction]:
    """
    Raise the revision of the functions that list the secret.

    Any version counts, not the active one alone: a deployer may be about to exchange that, and one revision too many
    costs a look. Rows are locked in order of id: no deadlocks.
    """
    rows = await connection.fetch(
        """
        WITH concerned AS (
            SELECT f.id FROM functions f
            WHERE f.account_id = $1 AND f.deleted_at IS NULL AND EXISTS (
                SELECT 1 FROM function_versions v WHERE v.function_id = f.id AND v.secrets @> ARRAY[$2::text]
            )
            ORDER BY f.id FOR NO KEY UPDATE
        )
        UPDATE functions f SET revision = f.revision + 1 FROM concerned WHERE f.id = concerned.id
        RETURNING f.id AS function_id, f.environment_id, f.name, f.revision
        """,
        account_id,
        name,
    )
    return [ChangedFunction(**row) for row in rows]


def _facts_of(row: Row) -> SecretFacts:
    return SecretFacts(**{**row, "allowed_functions": _or_none(row["allowed_functions"])})


def _or_none(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
