"""
Authorization codes: a user lets an application have tokens, once and soon.

Codes are found by their SHA-256; the plain ones are never stored. A row stays for a day after it expired, so that a
code that comes again is told from one nobody issued.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.database.pool import Queries, Row
from shared.database.text import storable

_COLUMNS = """
    id, user_id, application_id, client_id, redirect_uri, state, challenge_method, challenge, expires_at, created_at,
    used_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAuthorization:
    """A code to be kept, as its digest, with the PKCE challenge of who will exchange it."""

    id: str
    user_id: str
    application_id: str
    client_id: str
    redirect_uri: str
    state: str | None
    challenge_method: str | None
    challenge: str | None
    code_sha256: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A code, without the code."""

    id: str
    user_id: str
    application_id: str
    client_id: str
    redirect_uri: str
    state: str | None
    challenge_method: str | None
    challenge: str | None
    expires_at: datetime
    created_at: datetime
    used_at: datetime | None


async def insert_authorization(db: Queries, new: NewAuthorization) -> Authorization:
    """Keep a code."""
    row = await db.fetchrow(
        f"""
        INSERT INTO oauth2_authorizations
            (id, user_id, application_id, client_id, redirect_uri, state, challenge_method, challenge, code_sha256,
             expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {_COLUMNS}
        """,  # noqa: S608 - constants
        new.id,
        new.user_id,
        new.application_id,
        new.client_id,
        storable(new.redirect_uri),
        None if new.state is None else storable(new.state),
        new.challenge_method,
        new.challenge,
        new.code_sha256,
        new.expires_at,
    )
    assert row is not None  # an insert gives its row
    return _authorization(row)


async def find_by_code(db: Queries, code_sha256: str, application_id: str) -> Authorization | None:
    """Return an application's code, also one that has expired or is used up."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM oauth2_authorizations WHERE code_sha256 = $1 AND application_id = $2",  # noqa: S608 - constants
        code_sha256,
        application_id,
    )
    return None if row is None else _authorization(row)


async def use_up(db: Queries, authorization_id: str) -> bool:
    """Use a code up; False when it is used up or gone. Of two that do it at once, one does."""
    used = await db.fetchval(
        "UPDATE oauth2_authorizations SET used_at = now() WHERE id = $1 AND used_at IS NULL RETURNING id",
        authorization_id,
    )
    return used is not None


async def forget_expired(db: Queries, *, limit: int = 5_000) -> int:
    """Forget up to ``limit`` codes that expired a day ago or earlier; return how many."""
    gone = await db.fetch(
        """
        DELETE FROM oauth2_authorizations WHERE id IN (
            SELECT id FROM oauth2_authorizations WHERE expires_at < now() - interval '1 day'
            ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
        """,
        limit,
    )
    return len(gone)


def _authorization(row: Row) -> Authorization:
    return Authorization(**row)
