"""
OAuth applications as those see them who manage them: listed by filter, changed, removed, with their versions.

A version is shown without its secret. What is removed is gone with every token it was used for; the digests that
caches know it all by are given back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Connection, Database, Queries, Row
from shared.database.query import ListQuery
from shared.database.query_sql import Column, Field, Kind, Table, Texts
from shared.database.text import storable

_COLUMNS = (
    "id, account_id, environment_id, type, name, description, logo, redirect_uris, confidential, created_at, updated_at"
)
_SHOWN_TO_ALL: Mapping[str, Field] = {
    "name": Column("name"),
    "description": Column("description"),
    "logo": Column("logo"),
    "type": Column("type"),
}

APPLICATIONS = Table(
    sql="applications",
    columns=_COLUMNS,
    noun="applications",
    owner="account_id",
    fields={
        **_SHOWN_TO_ALL,
        "id": Column("id"),
        "redirectUris": Texts("redirect_uris"),
        "confidential": Column("confidential::text"),
        "creationTimestamp": Column("created_at", Kind.TIME),
        "updateTimestamp": Column("updated_at", Kind.TIME),
    },
)
OUTLINES = Table(
    sql="applications", columns=_COLUMNS, noun="applications", owner="account_id", fields=dict(_SHOWN_TO_ALL)
)
"""The same for those who may see no more than what an application calls itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version: ``key`` is the client id or the consumer key."""

    id: str
    name: str
    key: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application of either type, with its versions, the oldest first."""

    id: str
    account_id: str
    environment_id: str
    type: str
    name: str
    description: str
    logo: str | None
    redirect_uris: tuple[str, ...]
    confidential: bool
    created_at: datetime
    updated_at: datetime
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationChange:
    """A change; None leaves a thing as it is."""

    name: str | None = None
    description: str | None = None
    logo: str | None = None
    redirect_uris: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What caches may know of something that is gone: consumer keys, names of tokens, digests of access tokens."""

    consumer_keys: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    access_sha256s: tuple[str, ...] = ()


async def list_applications(
    db: Queries, account_id: str, query: ListQuery, *, whole: bool
) -> tuple[list[Application], int | None]:
    """Return one page of an account's applications, and how many match in all; ``whole`` ones have versions."""
    rows, total = await (APPLICATIONS if whole else OUTLINES).page(db, account_id, query)
    versions = await _versions(db, [row["id"] for row in rows]) if whole else {}
    return [_application(row, versions.get(row["id"], ())) for row in rows], total


async def find_application(db: Queries, account_id: str, application_id: str) -> Application | None:
    """Return an application of an account."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM applications WHERE account_id = $1 AND id = $2",  # noqa: S608 - constants
        account_id,
        application_id,
    )
    if row is None:
        return None
    return _application(row, (await _versions(db, [application_id])).get(application_id, ()))


async def count_applications(db: Queries, account_id: str) -> int:
    """Return how many applications an account has."""
    count: int = await db.fetchval("SELECT count(*) FROM applications WHERE account_id = $1", account_id)
    return count


async def update_application(db: Queries, account_id: str, application_id: str, change: ApplicationChange) -> bool:
    """Change an application; False when the account has none with that id."""
    changed = await db.fetchval(
        """
        UPDATE applications SET
            name = coalesce($3, name),
            description = coalesce($4, description),
            logo = coalesce($5, logo),
            redirect_uris = coalesce($6, redirect_uris),
            updated_at = now()
        WHERE account_id = $1 AND id = $2 RETURNING id
        """,
        account_id,
        application_id,
        None if change.name is None else storable(change.name),
        None if change.description is None else storable(change.description),
        change.logo,
        None if change.redirect_uris is None else [storable(uri) for uri in change.redirect_uris],
    )
    return changed is not None


async def remove_application(db: Database, account_id: str, application_id: str) -> Removed | None:
    """Remove an application, its versions and every token it was given; None when the account has none with that id."""

    async def work(connection: Connection) -> Removed | None:
        locked = await connection.fetchval(
            "SELECT id FROM applications WHERE account_id = $1 AND id = $2 FOR UPDATE", account_id, application_id
        )
        if locked is None:
            return None
        removed = Removed(
            consumer_keys=await _column(connection, "consumer_key", "oauth1_consumers", application_id),
            tokens=await _column(connection, "token", "oauth1_tokens", application_id),
            access_sha256s=await _column(connection, "sha256", "access_tokens", application_id),
        )
        await connection.execute("DELETE FROM applications WHERE id = $1", application_id)
        return removed

    return await db.in_transaction(work)


async def remove_version(db: Queries, application_id: str, reference: str) -> Removed | None:
    """Remove a version of an application by id or name; what was issued stays. None: there is no such version."""
    keys = []
    for table, key in (("oauth1_consumers", "consumer_key"), ("oauth2_clients", "client_id")):
        rows = await db.fetch(
            f"DELETE FROM {table} WHERE application_id = $1 AND (id = $2 OR name = $2) RETURNING {key} AS key",  # noqa: S608 - constants
            application_id,
            storable(reference),
        )
        keys += [row["key"] for row in rows]
    return Removed(consumer_keys=tuple(keys)) if keys else None


async def _column(db: Queries, column: str, table: str, application_id: str) -> tuple[str, ...]:
    rows = await db.fetch(f"SELECT {column} AS it FROM {table} WHERE application_id = $1", application_id)  # noqa: S608 - constants
    return tuple(row["it"] for row in rows)


async def _versions(db: Queries, application_ids: Iterable[str]) -> dict[str, tuple[Version, ...]]:
    rows = await db.fetch(
        """
        SELECT application_id, id, name, client_id AS key, created_at FROM oauth2_clients
        WHERE application_id = ANY($1::text[])
        UNION ALL
        SELECT application_id, id, name, consumer_key, created_at FROM oauth1_consumers
        WHERE application_id = ANY($1::text[])
        ORDER BY id
        """,
        list(application_ids),
    )
    found: dict[str, tuple[Version, ...]] = {}
    for row in rows:
        version = Version(id=row["id"], name=row["name"], key=row["key"], created_at=row["created_at"])
        found[row["application_id"]] = (*found.get(row["application_id"], ()), version)
    return found


def _application(row: Row, versions: tuple[Version, ...]) -> Application:
    return Application(**{**row, "redirect_uris": tuple(row["redirect_uris"])}, versions=versions)
