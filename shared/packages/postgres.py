"""Packages as rows of PostgreSQL: nothing more to run, and one backup holds everything."""

from shared.database import package_uses, packages
from shared.database.pool import Database
from shared.packages.store import digest, is_digest, no_package


class PostgresPackageStore:
    """A ``PackageStore`` on the platform's own database; deadlines and errors are those of ``Database``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, content: bytes) -> str:
        sha256 = await digest(content)
        await package_uses.mark(self._db, sha256)
        await packages.put_package(self._db, sha256, content)
        return sha256

    async def get(self, sha256: str) -> bytes:
        content = await packages.get_package(self._db, sha256)
        if content is None:
            raise no_package(sha256)
        return content

    async def renew(self, sha256: str) -> bool:
        if not is_digest(sha256):
            return False
        await package_uses.mark(self._db, sha256)
        return await packages.has_package(self._db, sha256)

    async def delete(self, sha256: str) -> None:
        await packages.delete_package(self._db, sha256)
