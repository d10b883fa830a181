"""
When each package was last asked to be kept, and which ones nothing needs any more.

Packages may be outside of this database, so whoever asks for one and whoever deletes it meet at its row here: the one
marks it before looking into the store or writing to it, the other holds it until the package is gone. So a
package that was seen is there, and one that is just being deleted is waited for and then put again.
"""

from collections.abc import Awaitable, Callable, Sequence

from shared.database.pool import Connection, Database, Queries

_LONGEST_DELETE = "2min"

_UNNEEDED = """
    u.used_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM function_versions v WHERE v.package_sha256 = u.sha256)
    AND NOT EXISTS (SELECT FROM deployments d WHERE d.state IN ('pending', 'running')
                    AND u.sha256 IN (d.upload_sha256, d.package_sha256))
"""
"""A version names what it runs, a deployment that has not ended what was uploaded for it or is being built for it."""


async def mark(db: Queries, sha256: str) -> None:
    """Say that a package is wanted now, whether it is there or not; whoever is deleting it is waited for."""
    await db.execute(
        """
        INSERT INTO package_uses (sha256) VALUES ($1)
        ON CONFLICT (sha256) DO UPDATE SET used_at = clock_timestamp()
        """,
        sha256,
    )


async def unneeded(db: Queries, older_than_s: float, *, limit: int) -> Sequence[str]:
    """Return up to ``limit`` packages that nothing needs and nobody has wanted for so long, by their digests."""
    rows = await db.fetch(
        f"SELECT u.sha256 FROM package_uses u WHERE {_UNNEEDED} ORDER BY u.used_at LIMIT $2",  # noqa: S608 - constants
        older_than_s,
        limit,
    )
    return [row["sha256"] for row in rows]


async def delete(db: Database, sha256: str, older_than_s: float, from_store: Callable[[str], Awaitable[None]]) -> bool:
    """
    Delete a package, ``from_store`` and then its row; return False, and delete nothing, if it is needed after all.

    Nobody gets hold of the row before both are done. When ``from_store`` raises, the row stays.
    """

    async def work(connection: Connection) -> bool:
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_DELETE}'")
        gone = await connection.fetchval(
            f"DELETE FROM package_uses u WHERE u.sha256 = $2 AND {_UNNEEDED} RETURNING u.sha256",  # noqa: S608 - constants
            older_than_s,
            sha256,
        )
        if gone is not None:
            await from_store(sha256)
        return gone is not None

    return await db.in_transaction(work)
