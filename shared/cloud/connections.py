"""
The way into a customer's account, from its row: opened for whoever brings or calls functions there.

The row says whether the connection may be used; it is asked each time, or, where that is too often, again after
``keep_s`` seconds: so long an invoker may still use one that was closed.
"""

import time
from collections import OrderedDict

from shared.cloud.aws.sessions import AwsConnection
from shared.crypto.envelope import Envelope
from shared.database import cloud_connections
from shared.database.pool import Database
from shared.domain.cloud_errors import NotConnectedError
from shared.domain.placement import AWS

_MOST_KEPT = 1000


class Connections:
    """The connections of this process."""

    def __init__(self, db: Database, envelope: Envelope, *, keep_s: float = 0.0) -> None:
        self._db = db
        self._envelope = envelope
        self._keep_s = keep_s
        self._kept: OrderedDict[str, tuple[float, AwsConnection]] = OrderedDict()

    async def aws(self, connection_id: str) -> AwsConnection:
        """
        Return the way into an AWS account.

        Raises:
            NotConnectedError: ``issue`` is ``not active``: it is pending, failed, or deleted.
            UnavailableError: there is no master key, or the database is away.
        """
        kept = self._kept.get(connection_id)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        opened = await self._open(connection_id)
        if self._keep_s:
            self._kept[connection_id] = (time.monotonic() + self._keep_s, opened)
            self._kept.move_to_end(connection_id)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return opened

    async def _open(self, connection_id: str) -> AwsConnection:
        row = await cloud_connections.find_connection(self._db, connection_id)
        sealed = await cloud_connections.credential_of(self._db, connection_id)
        usable = row is not None and row.is_usable and row.provider == AWS
        if row is None or sealed is None or row.role_arn is None or not usable:
            raise NotConnectedError("the cloud connection is not active", issue="not active")
        external_id = (await self._envelope.open(sealed, connection_id)).decode()
        return AwsConnection(id=connection_id, role_arn=row.role_arn, external_id=external_id)
