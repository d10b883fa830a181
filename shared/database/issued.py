"""
What users have let applications do, to be listed and taken back one by one: tokens, and codes for tokens.

Secrets and digests never leave here by a list. Taking something back gives the digest that caches know it by, as far
as there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.database.pool import Queries, Row
from shared.database.query import ListQuery
from shared.database.query_sql import Column, Field, Kind, Table

_COMMON: dict[str, Field] = {
    "id": Column("id"),
    "applicationId": Column("application_id"),
    "userId": Column("user_id"),
    "creationTimestamp": Column("created_at", Kind.TIME),
    "updateTimestamp": Column("updated_at", Kind.TIME),
}
_EXPIRY: dict[str, Field] = {"expiryTimestamp": Column("expires_at", Kind.TIME)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One sort of thing that was issued: its table, how it is listed, and what ``remove`` gives of a row."""

    table: str
    listed: Table
    known_by: str


def _listed(table: str, columns: str, fields: dict[str, Field], where: str = "true") -> Table:
    """Return how rows of a table with a user are listed by the account the user belongs to."""
    return Table(
        sql=f"(SELECT t.*, u.account_id FROM {table} t JOIN users u ON u.id = t.user_id WHERE {where}) AS listed",  # noqa: S608 - constants
        columns=columns,
        noun="tokens and authorizations",
        fields=fields,
        owner="account_id",
    )


SIGNED_TOKENS = Issued(
    table="oauth1_tokens",
    known_by="token",
    listed=_listed(
        "oauth1_tokens",
        "id, application_id, user_id, token, last_used_at, created_at, updated_at",
        {**_COMMON, "token": Column("token"), "lastUsedTimestamp": Column("last_used_at", Kind.TIME)},
    ),
)
ACCESS_TOKENS = Issued(
    table="access_tokens",
    known_by="sha256",
    listed=_listed(
        "(SELECT *, created_at AS updated_at FROM access_tokens)",
        "id, application_id, user_id, refresh_token_id, expires_at, created_at, updated_at",
        {**_COMMON, **_EXPIRY, "refreshTokenId": Column("refresh_token_id")},
        "t.expires_at > now()",
    ),
)
REFRESH_TOKENS = Issued(
    table="refresh_tokens",
    known_by="sha256",
    listed=_listed(
        "(SELECT *, created_at AS updated_at FROM refresh_tokens)",
        "id, application_id, user_id, expires_at, created_at, updated_at",
        {**_COMMON, **_EXPIRY},
        "t.used_at IS NULL AND t.expires_at > now()",
    ),
)
AUTHORIZATIONS = Issued(
    table="oauth2_authorizations",
    known_by="id",
    listed=_listed(
        "(SELECT *, coalesce(used_at, created_at) AS updated_at FROM oauth2_authorizations)",
        "id, client_id, user_id, redirect_uri, state, challenge_method, expires_at, created_at, updated_at",
        {
            **_COMMON,
            **_EXPIRY,
            "clientId": Column("client_id"),
            "redirectUri": Column("redirect_uri"),
            "state": Column("state"),
            "codeChallengeMethod": Column("challenge_method"),
        },
    ),
)


async def list_issued(
    db: Queries, issued: Issued, account_id: str, query: ListQuery
) -> tuple[Sequence[Row], int | None]:
    """Return one page of what users of an account have, and how many match in all (None when not counted)."""
    return await issued.listed.page(db, account_id, query)


async def remove(db: Queries, issued: Issued, account_id: str, row_id: str, user_id: str | None) -> str | None:
    """Take one back, of whatever user when ``user_id`` is None; return what it is known by, None: there is none."""
    known_by: str | None = await db.fetchval(
        f"""
        DELETE FROM {issued.table} t USING users u
        WHERE u.id = t.user_id AND u.account_id = $1 AND t.id = $2 AND t.user_id = coalesce($3, t.user_id)
        RETURNING t.{issued.known_by}
        """,  # noqa: S608 - constants
        account_id,
        row_id,
        user_id,
    )
    return known_by


async def remove_exchanged(db: Queries, authorization_id: str) -> list[str]:
    """Take back what a code was exchanged for; return the digests of the access tokens."""
    await db.execute("DELETE FROM refresh_tokens WHERE authorization_id = $1", authorization_id)
    rows = await db.fetch("DELETE FROM access_tokens WHERE authorization_id = $1 RETURNING sha256", authorization_id)
    return [row["sha256"] for row in rows]
