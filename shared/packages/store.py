"""
Where packages are kept: content addressed by its SHA-256, never changed.

PostgreSQL keeps them as rows (``postgres.py``), S3 as objects (``s3.py``); one suite of contract tests runs on
both. A store does not judge what it keeps: uploads go in before the deployer has looked at them. What nothing needs
any more is deleted by the deployer's sweep, which both stores meet in ``shared.database.package_uses``.
"""

import asyncio
import hashlib
import re
from typing import Protocol

from shared.domain.errors import NotFoundError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INLINE_BYTES = 1 << 16


class PackageStore(Protocol):
    """Keeps packages. Every call has a deadline; ``UnavailableError`` means: try again later."""

    async def put(self, content: bytes) -> str:
        """
        Keep a package and return its SHA-256 in hex, once it is safe. Twice the same content is once.

        It stays for a while by itself, and as long as a version or a deployment names it.
        """

    async def get(self, sha256: str) -> bytes:
        """Return a package; raise ``NotFoundError`` when there is none of that digest."""

    async def renew(self, sha256: str) -> bool:
        """Tell whether there is a package of that digest; if so, it stays as if it had been put just now."""

    async def delete(self, sha256: str) -> None:
        """Delete a package, if it is there: for ``package_uses.delete`` alone, which keeps others from putting it."""


async def digest(content: bytes) -> str:
    """Return the SHA-256 of a package in hex; a large one is hashed in a thread."""
    if len(content) <= _INLINE_BYTES:
        return _sha256(content)
    return await asyncio.to_thread(_sha256, content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def no_package(sha256: str) -> NotFoundError:
    """Return the error of a store that has no such package."""
    return NotFoundError(f"no package {sha256[:64]!r}")


def is_digest(text: str) -> bool:
    """Tell whether a text has the form of a digest; nothing else may become part of a key or a path."""
    return _SHA256.fullmatch(text) is not None
