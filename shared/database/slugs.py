"""Slugs that are free, given out one at a time: two who ask for the same one get two."""

from shared.database.pool import Connection, Queries
from shared.domain.slug import RESERVED, slug_of

_LOCK = 0x736C_7567_7300
_IN = {"accounts": "$2::text IS NULL", "projects": "$2::text IS NULL", "environments": "project_id = $2"}


async def free_slug(connection: Connection, table: str, name: str, project_id: str | None = None) -> str:
    """
    Return a slug for ``name`` that no row of the table has, with a number at its end if need be.

    ``table`` is ``accounts``, ``projects``, or ``environments`` with the project they are in. Deleted rows keep
    theirs. The caller inserts the row in the same transaction.
    """
    await lock_slugs(connection)
    wanted = slug_of(name)
    if not await is_taken(connection, table, wanted, project_id):
        return wanted
    last = await connection.fetchval(
        f"""
        SELECT max(substring(slug FROM length($1) + 2)::bigint) FROM {table}
        WHERE {_IN[table]} AND slug LIKE $1 || '-%' AND substring(slug FROM length($1) + 2) ~ '^[0-9]{{1,9}}$'
        """,  # noqa: S608 - constants
        wanted,
        project_id,
    )
    return f"{wanted}-{max(last or 1, 1) + 1}"


async def lock_slugs(connection: Connection) -> None:
    """Let nobody else be given a slug until the transaction ends: whoever chooses one themselves takes this first."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def is_taken(db: Queries, table: str, slug: str, project_id: str | None = None) -> bool:
    """Tell whether a slug is given out already, or never is."""
    if slug in RESERVED:
        return True
    taken: bool = await db.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE slug = $1 AND {_IN[table]})",  # noqa: S608 - constants
        slug,
        project_id,
    )
    return taken
