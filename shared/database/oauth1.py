"""
Tokens of OAuth 1.0, whose secrets are kept sealed, and the nonces of the requests they have signed.

A token's ``sealed`` is bound to its id. It does not expire. A nonce counts for one consumer key, token and timestamp;
only a digest of the four is kept, for as long as the timestamp would be taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.crypto.envelope import Sealed
from shared.database.access import USER_PERMISSIONS
from shared.database.pool import Queries
from shared.database.text import storable

_FORGET_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignedToken:
    """A token to be kept."""

    id: str
    user_id: str
    application_id: str
    token: str
    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTokenRow:
    """A token: whose it is, by which application, what it allows."""

    id: str
    user_id: str
    application_id: str
    account_id: str
    environment_id: str
    permissions: tuple[str, ...]
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class UsedNonce:
    """One signed request: its digest (32 bytes), and the second from which on it would not be taken anyway."""

    digest: bytes
    forget_at: float

    @property
    def size_bytes(self) -> int:
        return len(self.digest)


async def insert_token(db: Queries, new: NewSignedToken) -> datetime:
    """Keep a token; return when it was made."""
    created_at: datetime = await db.fetchval(
        """
        INSERT INTO oauth1_tokens (id, user_id, application_id, token, master_key_id, wrapped_key, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING created_at
        """,
        new.id,
        new.user_id,
        new.application_id,
        new.token,
        new.sealed.master_key_id,
        new.sealed.wrapped_key,
        new.sealed.sealed,
    )
    return created_at


async def find_token(db: Queries, token: str) -> SignedTokenRow | None:
    """Return a token by its name."""
    row = await db.fetchrow(
        f"""
        SELECT t.id, t.user_id, t.application_id, u.account_id, a.environment_id, {USER_PERMISSIONS} AS permissions,
               t.master_key_id, t.wrapped_key, t.sealed
        FROM oauth1_tokens t JOIN users u ON u.id = t.user_id JOIN applications a ON a.id = t.application_id
        WHERE t.token = $1
        """,  # noqa: S608 - built from constants
        storable(token),
    )
    if row is None:
        return None
    return SignedTokenRow(
        id=row["id"],
        user_id=row["user_id"],
        application_id=row["application_id"],
        account_id=row["account_id"],
        environment_id=row["environment_id"],
        permissions=tuple(row["permissions"]),
        sealed=Sealed(master_key_id=row["master_key_id"], wrapped_key=row["wrapped_key"], sealed=row["sealed"]),
    )


async def note_use(db: Queries, used_at: Mapping[str, float]) -> None:
    """Write down when tokens, by id, were last used (Unix seconds); a later use that is known already stays."""
    await db.execute(
        """
        UPDATE oauth1_tokens t SET last_used_at = greatest(t.last_used_at, to_timestamp(used.at))
        FROM unnest($1::text[], $2::float8[]) AS used (id, at) WHERE t.id = used.id
        """,
        list(used_at),
        list(used_at.values()),
    )


async def use_nonces(db: Queries, rows: Sequence[UsedNonce]) -> list[bool]:
    """
    Use nonces up; False for each that was used before. Of equal ones in the same call the first is the one.

    Rows go in by digest: two replicas that use the same ones at once wait for each other, and never in a circle.
    Nobody waits for the disk: it would cost a signed request more than all else it does. A PostgreSQL that crashes
    forgets what it was told in the last half second (docs/adr/0018).
    """
    first: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row.digest, number)
    digests = sorted(first)
    inserted = await db.fetch(
        """
        INSERT INTO oauth1_nonces (digest, forget_at)
        SELECT digest, to_timestamp(at)
        FROM unnest($1::bytea[], $2::float8[]) AS used (digest, at),
             (SELECT set_config('synchronous_commit', 'off', true)) AS quickly
        ON CONFLICT DO NOTHING RETURNING digest
        """,
        digests,
        [rows[first[digest]].forget_at for digest in digests],
    )
    fresh = {bytes(row["digest"]) for row in inserted}
    return [row.digest in fresh and first[row.digest] == number for number, row in enumerate(rows)]


async def forget_nonces(db: Queries) -> None:
    """Forget nonces of requests that would be too old by now, a bounded number at a time."""
    while True:
        forgotten = await db.fetchval(
            """
            WITH old AS (SELECT digest FROM oauth1_nonces WHERE forget_at < $1 LIMIT $2),
                 gone AS (DELETE FROM oauth1_nonces n USING old WHERE n.digest = old.digest RETURNING 1)
            SELECT count(*) FROM gone
            """,
            datetime.now(UTC),
            _FORGET_AT_ONCE,
        )
        if forgotten < _FORGET_AT_ONCE:
            return
