"""
Whether a cloud lets us in: the one question the api asks of clouds itself.

Everything else at a cloud is done by the deployer and the invokers. The vendor's library is large, so it is loaded when
somebody first asks.
"""

from typing import TYPE_CHECKING

from services.api.platform import Entrance
from shared.process.aws_settings import AwsSettings

if TYPE_CHECKING:
    from shared.cloud.aws.sessions import AwsSessions

_THREADS = 4


class CloudDoors:
    """The doors of one process. Close it, or threads stay."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._sessions: AwsSessions | None = None

    async def enter(self, entrance: Entrance) -> None:
        """
        See whether an AWS account lets us in, whatever is known from before; a role may have been made just now.

        Raises:
            CloudDeniedError: the role does not exist, does not trust us, or asks for another external id.
            CloudRefusedError: it is a role of another account.
            CloudUnavailableError: AWS is out of reach.
        """
        from shared.cloud.aws.sessions import AwsConnection, AwsSessions  # noqa: PLC0415 - loads boto3

        if self._sessions is None:
            self._sessions = AwsSessions(self._settings, threads=_THREADS)
        connection = AwsConnection(
            id=entrance.connection_id, role_arn=entrance.role_arn, external_id=entrance.external_id
        )
        try:
            await self._sessions.check(connection, entrance.region, patience_s=self._settings.role_wait_s)
        finally:
            self._sessions.forget(entrance.connection_id)

    async def close(self) -> None:
        """Leave."""
        if self._sessions is not None:
            await self._sessions.close()
