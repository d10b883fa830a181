"""Deployment packages as rows, addressed by the SHA-256 of their content."""

from shared.database.pool import Queries


async def put_package(db: Queries, sha256: str, content: bytes) -> None:
    """Keep a package; keeping it twice changes nothing."""
    await db.execute(
        "INSERT INTO packages (sha256, size, content) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING",
        sha256,
        len(content),
        content,
    )


async def get_package(db: Queries, sha256: str) -> bytes | None:
    """Return a package, or None."""
    content: bytes | None = await db.fetchval("SELECT content FROM packages WHERE sha256 = $1", sha256)
    return content


async def has_package(db: Queries, sha256: str) -> bool:
    """Tell whether a package is kept, without reading it."""
    found: bool = await db.fetchval("SELECT EXISTS (SELECT FROM packages WHERE sha256 = $1)", sha256)
    return found


async def delete_package(db: Queries, sha256: str) -> None:
    """Delete a package."""
    await db.execute("DELETE FROM packages WHERE sha256 = $1", sha256)
