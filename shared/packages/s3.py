"""
Packages as objects in S3, or in anything that speaks its protocol.

boto3 blocks, so its calls run in a few threads of this store's own. Every call has its deadline from the client's
timeouts and bounded retries. Credentials are the AWS SDK's own business. An object is checked against its digest
when it is read: the bucket is not ours alone. When each was last used is in the database (``package_uses.py``).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.database import package_uses
from shared.database.pool import Database
from shared.domain.errors import NotFoundError, PlatformError, UnavailableError
from shared.packages.store import digest, is_digest, no_package
from shared.process.settings import PackageStoreSettings

_THREADS = 4
_DEADLINE_S = 60.0  # over all attempts, and for a body that comes in drop by drop
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=_THREADS,
)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})

Answer = TypeVar("Answer")


class S3PackageStore:
    """A ``PackageStore`` in one bucket, below one prefix. Close it, or use it as an async context manager."""

    def __init__(self, settings: PackageStoreSettings, db: Database) -> None:
        if settings.s3_url is None:
            raise ValueError("no S3 URL is set")
        self._db = db
        location = urlsplit(settings.s3_url)
        prefix = location.path.strip("/")
        self._bucket = location.netloc
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = boto3.client("s3", endpoint_url=settings.s3_endpoint, config=_CONFIG)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-packages")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop what waits, let what runs come to its own deadline, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._client.close()

    async def put(self, content: bytes) -> str:
        sha256 = await digest(content)
        await package_uses.mark(self._db, sha256)
        await self._call(
            sha256,
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + sha256, Body=content, ContentType="application/zip"
            ),
        )
        return sha256

    async def get(self, sha256: str) -> bytes:
        content = await self._call(sha256, partial(self._read, self._prefix + sha256))
        if await digest(content) != sha256:
            raise UnavailableError(f"package {sha256} is damaged in S3")
        return content

    async def renew(self, sha256: str) -> bool:
        if not is_digest(sha256):
            return False
        await package_uses.mark(self._db, sha256)
        try:
            await self._call(sha256, lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + sha256))
        except NotFoundError:
            return False
        return True

    async def delete(self, sha256: str) -> None:
        if not is_digest(sha256):
            raise no_package(sha256)
        request = partial(self._client.delete_object, Bucket=self._bucket, Key=self._prefix + sha256)
        deleting = asyncio.get_running_loop().run_in_executor(self._threads, request)
        try:
            await asyncio.shield(deleting)
        except (BotoCoreError, ClientError) as error:
            raise _translate(error, sha256) from error
        except asyncio.CancelledError:
            # No deadline and no leaving early: a request on its way would delete what is put after this.
            await asyncio.wait({deleting})
            raise

    def _read(self, key: str) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    async def _call(self, sha256: str, request: Callable[[], Answer]) -> Answer:
        if not is_digest(sha256):
            raise no_package(sha256)
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, request)
        except TimeoutError as error:
            raise UnavailableError(f"the package store took longer than {_DEADLINE_S:g} s") from error
        except (BotoCoreError, ClientError) as error:
            raise _translate(error, sha256) from error


def _translate(error: BotoCoreError | ClientError, sha256: str) -> PlatformError:
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _MISSING:
        return no_package(sha256)
    return UnavailableError(f"the package store does not answer: {error}")
