"""
A master key in AWS KMS: wrapping and unwrapping are calls to AWS, and the key itself is never here.

boto3 blocks, so its calls run in a few threads of this client's own, each under a deadline. Credentials are the
AWS SDK's own business. The row and the purpose go along as KMS's encryption context: AWS binds the data key to
them, and shows them in its own audit log.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, cast

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.errors import BrokenSealError, PlatformError, UnavailableError

_THREADS = 4
_DEADLINE_S = 8.0
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=_THREADS,
)
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})

Answer = TypeVar("Answer")

logger = structlog.get_logger(__name__)


class _Kms(Protocol):
    def encrypt(self, **request: object) -> dict[str, Any]: ...

    def decrypt(self, **request: object) -> dict[str, Any]: ...

    def close(self) -> None: ...


class KmsClient:
    """The connection to KMS in one region, and its threads. Close it when its keys are used no more."""

    def __init__(self, region: str, endpoint: str | None = None) -> None:
        client: object = boto3.client("kms", region_name=region, endpoint_url=endpoint, config=_CONFIG)
        self._client = cast("_Kms", client)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kms")

    async def close(self) -> None:
        """Drop what waits, let what runs come to its own deadline, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._client.close()

    async def call(self, request: Callable[[_Kms], Answer]) -> Answer:
        """
        Run one request in a thread.

        Raises:
            BrokenSealError: KMS says the data key is not one of this key and this row.
            UnavailableError: KMS refuses, or does not answer in time.
        """
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, request, self._client)
        except TimeoutError as error:
            logger.error("kms_refused", reason=f"no answer within {_DEADLINE_S:g} s")  # noqa: TRY400 - that is all of it
            raise UnavailableError("the master key in AWS KMS is out of reach") from error
        except (BotoCoreError, ClientError) as error:
            raise _translate(error) from error


class KmsMasterKey:
    """A master key that AWS KMS holds; ``id`` is its ARN."""

    def __init__(self, arn: str, client: KmsClient) -> None:
        self.id = arn
        self._client = client

    async def wrap(self, data_key: bytes, bound_to: str) -> bytes:
        answer = await self._client.call(
            lambda kms: kms.encrypt(KeyId=self.id, Plaintext=data_key, EncryptionContext=_context(bound_to))
        )
        return bytes(answer["CiphertextBlob"])

    async def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        answer = await self._client.call(
            lambda kms: kms.decrypt(KeyId=self.id, CiphertextBlob=wrapped, EncryptionContext=_context(bound_to))
        )
        return bytes(answer["Plaintext"])


def region_of(arn: str) -> str:
    """Return the region in a key's ARN."""
    return arn.split(":")[3]


def connect_keys(arns: Sequence[str], endpoint: str | None = None) -> tuple[list[KmsMasterKey], list[KmsClient]]:
    """Return the keys of these ARNs and the clients behind them, one a region, to be closed by the caller."""
    clients = {region: KmsClient(region, endpoint) for region in {region_of(arn) for arn in arns}}
    return [KmsMasterKey(arn, clients[region_of(arn)]) for arn in arns], list(clients.values())


def _context(bound_to: str) -> dict[str, str]:
    return {"purpose": "tidemill data key", "row": bound_to}


def _translate(error: BotoCoreError | ClientError) -> PlatformError:
    """Return what callers may be told; addresses, accounts and key ids are for the log."""
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _NOT_OURS:
        return BrokenSealError("AWS KMS does not know this data key as one of this key and row")
    logger.error("kms_refused", reason=str(error))
    return UnavailableError("the master key in AWS KMS is out of reach")
