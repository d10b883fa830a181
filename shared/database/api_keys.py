"""
API keys as their account manages them: listed, made within a limit, replaced, revoked.

How a key is found when somebody presents it is in ``access.py``. A key that was replaced keeps its row and counts
until its grace is over; a revoked one keeps its row and counts no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.database.access import NewKey, insert_api_key
from shared.database.pool import Connection, Database, Queries, Row
from shared.database.text import storable
from shared.domain.errors import IllegalStateError, QuotaExceededError

_COLUMNS = """
    id, environment_id, name, prefix, permissions, expires_at, revoked_at, rotated_at, last_used_at, created_at
"""
_COUNTS = "revoked_at IS NULL AND rotated_at IS NULL AND (expires_at IS NULL OR expires_at > now())"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedKey:
    """What an account may know of one of its keys. ``rotated_at`` is when another took its place."""

    id: str
    environment_id: str
    name: str
    prefix: str
    permissions: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


async def list_keys(db: Queries, account_id: str, *, limit: int, offset: int) -> tuple[Sequence[ManagedKey], int]:
    """Return one page of an account's keys, revoked ones included, newest first, and how many there are."""
    total: int = await db.fetchval("SELECT count(*) FROM api_keys WHERE account_id = $1", account_id)
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM api_keys WHERE account_id = $1
        ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3
        """,  # noqa: S608 - built from constants
        account_id,
        limit,
        offset,
    )
    return [_key_of(row) for row in rows], total


async def find_key(db: Queries, account_id: str, key_id: str) -> ManagedKey | None:
    """Return one of an account's keys."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM api_keys WHERE account_id = $1 AND id = $2",  # noqa: S608 - built from constants
        account_id,
        storable(key_id),
    )
    return None if row is None else _key_of(row)


async def add_key(db: Database, new: NewKey, *, most: int | None) -> ManagedKey | None:
    """
    Keep a key; None when its id or digest is taken.

    Raises:
        QuotaExceededError: ``most`` keys of the account count already.
    """

    async def work(connection: Connection) -> ManagedKey | None:
        await _lock(connection, new.account_id)
        if most is not None:
            counting = await connection.fetchval(
                f"SELECT count(*) FROM api_keys WHERE account_id = $1 AND {_COUNTS}",  # noqa: S608 - constants
                new.account_id,
            )
            if counting >= most:
                raise QuotaExceededError(f"the account may not have more than {most} API keys", limit=most)
        return await _inserted(connection, new)

    return await db.in_transaction(work)


async def replace_key(
    db: Database, old: ManagedKey, new: NewKey, *, grace_s: float
) -> tuple[ManagedKey, ManagedKey, str] | None:
    """
    Keep a key in the place of another, which counts for ``grace_s`` more at most.

    Return the new one, the old one as it is then, and the digest of the old one; None when the new one's id or
    digest is taken.

    Raises:
        IllegalStateError: the old one counts no more, or was replaced already.
    """

    async def work(connection: Connection) -> tuple[ManagedKey, ManagedKey, str] | None:
        await _lock(connection, new.account_id)
        row = await connection.fetchrow(
            f"""
            UPDATE api_keys SET
                rotated_at = now(),
                expires_at = least(coalesce(expires_at, 'infinity'), now() + make_interval(secs => $3))
            WHERE account_id = $1 AND id = $2 AND {_COUNTS} RETURNING {_COLUMNS}, sha256
            """,  # noqa: S608 - built from constants
            new.account_id,
            old.id,
            grace_s,
        )
        if row is None:
            raise IllegalStateError("a key that was revoked, replaced or has expired is not replaced again")
        made = await _inserted(connection, new)
        if made is None:
            raise _TakenError
        return made, _key_of(row), row["sha256"]

    try:
        return await db.in_transaction(work)
    except _TakenError:
        return None


async def revoke_key(db: Queries, account_id: str, key_id: str) -> str | None:
    """Let a key count no more; return its digest, also when it was revoked before. None: there is no such key."""
    sha256: str | None = await db.fetchval(
        """
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
        WHERE account_id = $1 AND id = $2 RETURNING sha256
        """,
        account_id,
        storable(key_id),
    )
    return sha256


async def note_use(db: Queries, used_at: Mapping[str, float]) -> None:
    """Note when keys were last used (by id, Unix seconds); a later moment that is known already stays."""
    await db.execute(
        """
        UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, used.at)
        FROM unnest($1::text[], $2::timestamptz[]) AS used (id, at) WHERE k.id = used.id
        """,
        list(used_at),
        [datetime.fromtimestamp(moment, UTC) for moment in used_at.values()],
    )


class _TakenError(Exception):
    """The new key's id or digest is taken: nothing is to change."""


async def _inserted(connection: Connection, new: NewKey) -> ManagedKey | None:
    if not await insert_api_key(connection, new):
        return None
    return await find_key(connection, new.account_id, new.id)


async def _lock(connection: Connection, account_id: str) -> None:
    """Let nobody else add keys to this account until the transaction ends; references to the account go on."""
    await connection.execute("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)


def _key_of(row: Row) -> ManagedKey:
    return ManagedKey(
        **{name: row[name] for name in ManagedKey.__slots__ if name != "permissions"},
        permissions=tuple(row["permissions"]),
    )
