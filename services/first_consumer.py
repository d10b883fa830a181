"""
The first OAuth 1.0 application: what the Extra Horizon CLI and code inside functions sign with.

Made like the rest of the first account (``shared.database.accounts``), except that its secret has to be sealed: where
there is no master key there is no such application, and a line in the log says so.
"""

import structlog

from services.credentials import Credentials
from shared.crypto.envelope import Envelope
from shared.crypto.tokens import same
from shared.database import applications
from shared.database.accounts import FIRST_VERSION, Environment
from shared.database.applications import ConsumerRow, NewApplication, NewConsumer
from shared.database.pool import Connection, Database
from shared.domain.errors import BrokenSealError, UnavailableError
from shared.domain.ids import new_record_id

_LOCK = 0x6F61_7574_6831_6331

logger = structlog.get_logger(__name__)


async def ensure_first_consumer(
    db: Database, envelope: Envelope, environment: Environment, credentials: Credentials
) -> None:
    """Make the application, or give it the secret it shall have; safe to call at every start."""
    try:
        await db.in_transaction(lambda connection: _ensure(connection, envelope, environment, credentials))
    except UnavailableError as error:
        logger.warning("oauth1_application_not_made", reason=error.message)


async def _ensure(
    connection: Connection, envelope: Envelope, environment: Environment, credentials: Credentials
) -> None:
    # Replicas start together; whoever comes second finds it there.
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    secret = credentials.oauth1_consumer_secret
    known = await applications.find_consumer(connection, credentials.oauth1_consumer_key)
    if known is not None:
        if not await _has(envelope, known, secret):
            sealed = await envelope.seal(secret.encode(), known.version_id)
            await applications.reseal_consumer(connection, known.version_id, sealed)
        return
    version_id = new_record_id()
    sealed = await envelope.seal(secret.encode(), version_id)
    application = NewApplication(
        id=new_record_id(),
        account_id=environment.account_id,
        environment_id=environment.id,
        type="oauth1",
        name="default (OAuth 1.0)",
    )
    await applications.insert_application(connection, application)
    consumer = NewConsumer(
        id=version_id,
        application_id=application.id,
        name=FIRST_VERSION,
        consumer_key=credentials.oauth1_consumer_key,
        sealed=sealed,
    )
    await applications.insert_consumer(connection, consumer)


async def _has(envelope: Envelope, known: ConsumerRow, secret: str) -> bool:
    try:
        return same((await envelope.open(known.sealed, known.version_id)).decode(), secret)
    except BrokenSealError:
        return False
