"""
OAuth applications and their versions, each with a key and a secret: how a program says which it is.

A version of an OAuth2 application is a client: it shows its secret, and the digest is kept; a public one has none. A
version of an OAuth 1.0 application is a consumer: it signs with its secret, which is kept sealed, bound to the
version's id. Who seals and opens is not known here.
"""

from dataclasses import dataclass

from shared.crypto.envelope import Sealed
from shared.database.pool import Queries
from shared.database.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    """A client of OAuth2: a version, and what its application may. ``id`` is the application's."""

    id: str
    account_id: str
    environment_id: str
    confidential: bool
    redirect_uris: tuple[str, ...]
    client_id: str
    client_secret_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerRow:
    """A consumer of OAuth 1.0: a version, and whose application it is. ``sealed`` is bound to ``version_id``."""

    version_id: str
    application_id: str
    account_id: str
    environment_id: str
    consumer_key: str
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApplication:
    """An application to be kept, without versions; ``type`` is ``oauth1`` or ``oauth2``."""

    id: str
    account_id: str
    environment_id: str
    type: str
    name: str
    description: str = ""
    logo: str | None = None
    redirect_uris: tuple[str, ...] = ()
    confidential: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A version of an OAuth2 application to be kept."""

    id: str
    application_id: str
    name: str
    client_id: str
    client_secret_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConsumer:
    """A version of an OAuth 1.0 application to be kept; ``sealed`` is bound to ``id``."""

    id: str
    application_id: str
    name: str
    consumer_key: str
    sealed: Sealed


async def find_client(db: Queries, client_id: str) -> ClientRow | None:
    """Return the client with that id."""
    row = await db.fetchrow(
        """
        SELECT a.id, a.account_id, a.environment_id, a.confidential, a.redirect_uris,
               c.client_id, c.client_secret_sha256
        FROM oauth2_clients c JOIN applications a ON a.id = c.application_id WHERE c.client_id = $1
        """,
        storable(client_id),
    )
    return None if row is None else ClientRow(**{**row, "redirect_uris": tuple(row["redirect_uris"])})


async def find_consumer(db: Queries, consumer_key: str) -> ConsumerRow | None:
    """Return the consumer with that key."""
    row = await db.fetchrow(
        """
        SELECT c.id AS version_id, c.application_id, a.account_id, a.environment_id, c.consumer_key,
               c.master_key_id, c.wrapped_key, c.sealed
        FROM oauth1_consumers c JOIN applications a ON a.id = c.application_id WHERE c.consumer_key = $1
        """,
        storable(consumer_key),
    )
    if row is None:
        return None
    return ConsumerRow(
        version_id=row["version_id"],
        application_id=row["application_id"],
        account_id=row["account_id"],
        environment_id=row["environment_id"],
        consumer_key=row["consumer_key"],
        sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
    )


async def insert_application(db: Queries, new: NewApplication) -> None:
    """Keep an application."""
    await db.execute(
        """
        INSERT INTO applications
            (id, account_id, environment_id, type, name, description, logo, redirect_uris, confidential)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        new.id,
        new.account_id,
        new.environment_id,
        new.type,
        storable(new.name),
        storable(new.description),
        new.logo,
        [storable(uri) for uri in new.redirect_uris],
        new.confidential,
    )


async def insert_client(db: Queries, new: NewClient) -> None:
    """Keep a version of an OAuth2 application."""
    await db.execute(
        """
        INSERT INTO oauth2_clients (id, application_id, name, client_id, client_secret_sha256)
        VALUES ($1, $2, $3, $4, $5)
        """,
        new.id,
        new.application_id,
        storable(new.name),
        storable(new.client_id),
        new.client_secret_sha256,
    )


async def insert_consumer(db: Queries, new: NewConsumer) -> None:
    """Keep a version of an OAuth 1.0 application."""
    await db.execute(
        """
        INSERT INTO oauth1_consumers (id, application_id, name, consumer_key, master_key_id, wrapped_key, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        new.id,
        new.application_id,
        storable(new.name),
        storable(new.consumer_key),
        new.sealed.master_key_id,
        new.sealed.wrapped_key,
        new.sealed.sealed,
    )


async def reseal_consumer(db: Queries, version_id: str, sealed: Sealed) -> None:
    """Give a consumer another secret."""
    await db.execute(
        "UPDATE oauth1_consumers SET master_key_id = $2, wrapped_key = $3, sealed = $4 WHERE id = $1",
        version_id,
        sealed.master_key_id,
        sealed.wrapped_key,
        sealed.sealed,
    )
