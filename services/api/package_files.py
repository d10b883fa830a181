"""
The files inside packages, for those who read them: small packages stay in memory for a while, by their digest.

Nothing is inflated but the one file that is asked for, in a thread; how many packages are looked into at once is
bounded, since each may be large.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from services.api.platform import Platform
from shared.packages.files import PackageFile, list_files, read_text

MAX_TEXT_BYTES = 6 * 1024 * 1024
"""The largest file whose text is shown."""
_KEPT_BYTES = 32 * 1024 * 1024
_MAX_KEPT_BYTES = 1024 * 1024
_AT_ONCE = 2

Answer = TypeVar("Answer")


class PackageFiles:
    """Reads the packages of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def files(self, sha256: str) -> Sequence[PackageFile]:
        """Return the files of a package by path; raise ``NotFoundError`` when there is no such package."""
        return await self._look(sha256, list_files)

    async def text(self, sha256: str, path: str) -> str:
        """
        Return the text of a file.

        Raises:
            NotFoundError: there is no such file, or no such package.
            InvalidRequestError: it is not text, or larger than ``MAX_TEXT_BYTES``.
            InvalidPackageError: the path is none that a file may have.
        """
        return await self._look(sha256, lambda content: read_text(content, path, MAX_TEXT_BYTES))

    async def _look(self, sha256: str, look: Callable[[bytes], Answer]) -> Answer:
        async with self._turn:
            content = self._kept.get(sha256)
            if content is None:
                content = await self._platform.packages.get(sha256)
                self._keep(sha256, content)
            else:
                self._kept.move_to_end(sha256)
            return await asyncio.to_thread(look, content)

    def _keep(self, sha256: str, content: bytes) -> None:
        if len(content) > _MAX_KEPT_BYTES or sha256 in self._kept:
            return
        self._kept[sha256] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
