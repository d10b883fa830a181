"""
Passwords: Argon2id, never on the event loop, a bounded number at a time.

One hash takes tens of milliseconds of a core and tens of megabytes on purpose, so a burst of logins must neither
stop other requests nor use up the machine. A login of an unknown user costs the same as one of a known user.
"""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.domain.errors import UnavailableError

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 1024
"""What a new password may be, in characters; a longer one is none of anybody's."""

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password; blocks for tens of milliseconds."""
    return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def verify_password(password: str, password_hash: str | None) -> bool:
    """
    Tell whether the password belongs to the hash; blocks as long as ``hash_password``.

    None stands for a user who does not exist: it takes as long, and is False.
    """
    try:
        _hasher.verify(password_hash or _nobodys_hash(), password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@functools.cache
def _nobodys_hash() -> str:
    return hash_password("")


class PasswordDesk:
    """Hashes and verifies off the event loop: ``at_once`` at a time, ``max_waiting`` in the queue, no more."""

    def __init__(self, *, at_once: int = 2, max_waiting: int = 100) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._max_present = at_once + max_waiting
        self._present = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password; raise ``UnavailableError`` when too many wait."""
        async with self._place():
            return await asyncio.to_thread(hash_password, password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the password belongs to the hash (None: no such user); raise ``UnavailableError``."""
        async with self._place():
            return await asyncio.to_thread(verify_password, password, password_hash)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._present >= self._max_present:
            raise UnavailableError("too many logins at once")
        self._present += 1
        try:
            async with self._places:
                yield
        finally:
            self._present -= 1
