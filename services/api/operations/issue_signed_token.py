"""
Issuing OAuth 1.0 tokens: a name and a secret with which an application signs for a user.

They do not expire. The secret is handed out once and kept sealed, because verifying a signature needs it in plain.
"""

from dataclasses import dataclass, field
from datetime import datetime

from services.api.access.credentials import Consumer
from services.api.operations.issue_tokens import Login, TokenDesk, check_password
from services.api.platform import Platform
from shared.crypto.tokens import new_token
from shared.database import access, oauth1
from shared.database.oauth1 import NewSignedToken
from shared.database.pool import Connection
from shared.domain.errors import WrongPasswordError
from shared.domain.ids import new_record_id


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSignedToken:
    """A new token: this is the only time its secret is seen."""

    id: str
    user_id: str
    application_id: str
    token: str
    secret: str = field(repr=False)
    created_at: datetime


async def issue_signed_token(
    platform: Platform, desk: TokenDesk, consumer: Consumer, login: Login
) -> IssuedSignedToken:
    """
    Give an application that has signed its request a token for a user who knows their password.

    Raises:
        TooManyFailedLoginsError, WrongPasswordError: as for any login.
        UnavailableError: too many logins at once, or nothing can be sealed.
    """
    user = await check_password(platform, desk, consumer.account_id, login)
    token_id, token, secret = new_record_id(), new_token(), new_token()
    new = NewSignedToken(
        id=token_id,
        user_id=user.id,
        application_id=consumer.application_id,
        token=token,
        sealed=await platform.envelope.seal(secret.encode(), token_id),
    )

    async def work(connection: Connection) -> datetime:
        if not await access.has_password(connection, user.id, user.password_hash):
            raise WrongPasswordError("The username or the password is wrong.")
        return await oauth1.insert_token(connection, new)

    return IssuedSignedToken(
        id=token_id,
        user_id=user.id,
        application_id=consumer.application_id,
        token=token,
        secret=secret,
        created_at=await platform.db.in_transaction(work),
    )
