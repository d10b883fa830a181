"""
Entering the AWS accounts of customers, and calling AWS there without holding anybody up.

Every call is made as the customer's own deploy role, which lets us in by an external id that only the two of us
know. What AWS gives for it is kept until five minutes before it ends; it is used only when the account behind it is
the one in the role's ARN. boto3 blocks: its calls run in a bounded number of threads, each call under a deadline.

AWS takes 15 calls a second that change functions, in one account and region, and refuses more (reading a function and
running it are counted apart). We make no more either: many deployments at once would else only hold up others who
work in the account, and our own calls of functions beside them.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import boto3
from aiolimiter import AsyncLimiter
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.cloud.aws.errors import is_expired, not_known, translate, unanswered
from shared.domain.cloud_errors import CloudDeniedError, CloudRefusedError, CloudUnavailableError
from shared.process.aws_settings import AwsSettings

MANAGE = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 3})
"""For calls that change and describe: safe to repeat."""

INVOKE = Config(connect_timeout=5, read_timeout=920, retries={"mode": "standard", "total_max_attempts": 1})
"""For runs of functions: they may last 15 minutes, and are never repeated behind our back."""

CALL_S = 90.0
_ENTER = Config(connect_timeout=4, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
_ENTER_S = 20.0
_VALID_S = 3600  # more is refused to a role that was itself entered by a role
_EARLY_S = 300.0
_ROLE_PAUSE_S = 0.5
_MOST_ENTERED = 500
_MOST_CLIENTS = 20  # regions times services in one account
_MOST_PACED = 1000
_CLOSE_S = 5.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConnection:
    """A way into a customer's account: the role that lets us in and the secret it asks for."""

    id: str
    role_arn: str
    external_id: str = field(repr=False)

    @property
    def account_id(self) -> str:
        """The account's twelve digits."""
        return self.role_arn.split(":")[4]


@dataclass(slots=True)
class _Entered:
    """One account that was entered, and the clients that are inside. ``lock`` is held while it is entered anew."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    credentials: dict[str, str] = field(default_factory=dict)
    ends_at: float = 0.0
    clients: OrderedDict[tuple[str, str], Any] = field(default_factory=OrderedDict)


class AwsSessions:
    """
    All accounts this process is in. Close it, or connections and threads stay.

    ``clock`` gives seconds since 1970.
    """

    def __init__(
        self,
        settings: AwsSettings,
        *,
        threads: int = 16,
        config: Config = MANAGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = settings.endpoint_url
        self._calls_per_second = settings.calls_per_second
        self._config = config.merge(Config(max_pool_connections=threads))
        self._clock = clock
        self._threads = threads
        self._free = asyncio.Semaphore(threads)
        self._is_closed = False
        self._entered: OrderedDict[AwsConnection, _Entered] = OrderedDict()
        self._paces: OrderedDict[tuple[str, str], AsyncLimiter] = OrderedDict()
        self._session: boto3.Session | None = None
        self._making = threading.Lock()  # boto3 makes clients in one thread at a time only

    async def close(self) -> None:
        """Take nothing more, wait a moment for what runs, and close the connections."""
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                for _ in range(self._threads):
                    await self._free.acquire()
        while self._entered:
            _close(self._entered.popitem()[1])

    async def call(
        self,
        connection: AwsConnection,
        region: str,
        request: Callable[[Any], Answer],
        *,
        what: str,
        role: str = "",
        service: str = "lambda",
        deadline_s: float = CALL_S,
        paced: bool = False,
    ) -> Answer:
        """
        Make one call as the customer's role; ``request`` is given the boto3 client and runs in a thread.

        ``what`` and ``role`` are for the text of an error: see ``errors.translate``. A call that is ``paced`` waits
        until the account's region may be asked for one more.

        Raises:
            PlatformError: AWS's answer, translated; ``CloudUnavailableError`` when none came within the deadline.
        """
        try:
            async with asyncio.timeout(deadline_s):
                if paced:
                    await self._pace(connection.account_id, region).acquire()
                try:
                    return await self._call(connection, region, service, request)
                except ClientError as error:
                    if not is_expired(error):
                        raise
                    # Nothing was done; whoever enters anew is known again.
                    self.forget(connection.id)
                    return await self._call(connection, region, service, request)
        except TimeoutError as error:
            raise unanswered(deadline_s) from error
        except (BotoCoreError, ClientError) as error:
            if is_expired(error):
                self.forget(connection.id)
            raise translate(error, what, role=role) from error

    async def check(self, connection: AwsConnection, region: str, *, patience_s: float = 0.0) -> None:
        """
        See whether we are let in, whatever is known from before.

        AWS takes some seconds to know a role that was just made, and denies it until then: for so long it is asked
        again.

        Raises:
            CloudDeniedError: the role does not exist, does not trust us, or asks for another external id.
            CloudRefusedError: it is a role of another account.
            CloudUnavailableError: AWS is out of reach.
        """
        self.forget(connection.id)
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                await self.call(connection, region, _who, what="enter the account", service="sts")
            except CloudDeniedError:
                if time.monotonic() + _ROLE_PAUSE_S > give_up_at:
                    raise
            else:
                return
            await asyncio.sleep(_ROLE_PAUSE_S)

    def forget(self, connection_id: str) -> None:
        """Leave an account: what was given for the connection is used no more."""
        for connection in [each for each in self._entered if each.id == connection_id]:
            _close(self._entered.pop(connection))

    async def _call(
        self, connection: AwsConnection, region: str, service: str, request: Callable[[Any], Answer]
    ) -> Answer:
        entered = await self._enter(connection, region)
        return await self._in_thread(partial(self._request, entered, service, region, request))

    async def _enter(self, connection: AwsConnection, region: str) -> _Entered:
        entered = self._entered.get(connection)
        if entered is None:
            entered = self._entered[connection] = _Entered()
            if len(self._entered) > _MOST_ENTERED:
                _close(self._entered.popitem(last=False)[1])
        else:
            self._entered.move_to_end(connection)
        async with entered.lock:
            if entered.ends_at - _EARLY_S <= self._clock():
                try:
                    async with asyncio.timeout(_ENTER_S):
                        credentials, ends_at = await self._in_thread(partial(self._assume, connection, region))
                except TimeoutError as error:
                    raise unanswered(_ENTER_S) from error
                _close(entered)
                entered.credentials, entered.ends_at = credentials, ends_at
        return entered

    def _assume(self, connection: AwsConnection, region: str) -> tuple[dict[str, str], float]:
        """Enter an account and see that it is the right one; runs in a thread."""
        sts = self._client("sts", region, _ENTER)
        try:
            given = sts.assume_role(
                RoleArn=connection.role_arn,
                RoleSessionName=f"tidemill-{connection.id}"[:64],
                ExternalId=connection.external_id,
                DurationSeconds=_VALID_S,
            )["Credentials"]
        except (BotoCoreError, ClientError) as error:
            if is_expired(error):
                raise not_known() from error
            raise translate(error, f"enter the account as {connection.role_arn}") from error
        finally:
            sts.close()
        credentials = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        inside = self._client("sts", region, _ENTER, credentials)
        try:
            account = inside.get_caller_identity()["Account"]
        finally:
            inside.close()
        if account != connection.account_id:
            raise CloudRefusedError(
                f"the role let us into account {account}, not {connection.account_id}: nothing is done there",
                issue="wrong account",
            )
        return credentials, given["Expiration"].timestamp()

    def _pace(self, account_id: str, region: str) -> AsyncLimiter:
        pace = self._paces.get((account_id, region))
        if pace is None:
            pace = self._paces[account_id, region] = AsyncLimiter(self._calls_per_second, 1)
            if len(self._paces) > _MOST_PACED:
                self._paces.popitem(last=False)
        return pace

    def _request(self, entered: _Entered, service: str, region: str, request: Callable[[Any], Answer]) -> Answer:
        """Give a request its client; runs in a thread."""
        with self._making:
            client = entered.clients.get((service, region))
        if client is None:
            client = self._client(service, region, self._config, entered.credentials)
            with self._making:
                kept = entered.clients.setdefault((service, region), client)
                spare = [client] if kept is not client else []
                if len(entered.clients) > _MOST_CLIENTS:
                    spare.append(entered.clients.popitem(last=False)[1])
            for each in spare:
                each.close()
            client = kept
        return request(client)

    def _client(self, service: str, region: str, config: Config, credentials: dict[str, str] | None = None) -> Any:
        with self._making:
            if self._session is None:
                self._session = boto3.Session()
            make: Any = self._session.client  # typed for every service by name; here the name is a value
            return make(service, region_name=region, endpoint_url=self._endpoint, config=config, **(credentials or {}))

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        """
        Call something that blocks, in a thread that keeps no process from ending.

        The standard library's pools wait for theirs when the interpreter ends: a function that runs for a quarter of an
        hour would keep a service from stopping for as long.
        """
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        answer: asyncio.Future[Answer] = loop.create_future()

        def ended(done: Callable[[], None]) -> None:
            self._free.release()
            if not answer.done():
                done()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
                told = partial(ended, partial(answer.set_exception, error))
            else:
                told = partial(ended, partial(answer.set_result, result))
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(told)

        if self._is_closed:
            self._free.release()
            raise CloudUnavailableError("the platform is shutting down")
        threading.Thread(target=run, name="aws", daemon=True).start()
        return await answer


def _who(sts: Any) -> None:
    sts.get_caller_identity()


def _close(entered: _Entered) -> None:
    """Close the connections that nobody uses; one in use is closed when its answer has come."""
    while entered.clients:
        entered.clients.popitem()[1].close()
