"""
Exchanging an authorization code for tokens.

A code is exchanged once. One that comes a second time may have been stolen: what it was exchanged for is taken back,
from whoever has it (RFC 6749 section 4.1.2). A client that shows a verifier for a code without a challenge is refused:
somebody has taken the challenge out of the request for the code.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.api.operations.authorizations import revoke
from services.api.operations.issue_tokens import Client, IssuedTokens, TokenDesk, find_client, issue
from services.api.platform import Platform
from shared.crypto.tokens import same, sha256_hex
from shared.database import authorizations, issued, passwords
from shared.database.authorizations import Authorization
from shared.database.pool import Connection
from shared.domain.login_errors import (
    ExpiredAuthorizationError,
    InvalidCallbackError,
    MissingVerifierError,
    UnknownAuthorizationError,
    WrongVerifierError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A code and what goes with it: the PKCE verifier, and the redirect URI where the client repeats it."""

    code: str = field(repr=False)
    verifier: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None


async def issue_by_code(platform: Platform, desk: TokenDesk, client: Client, exchange: Exchange) -> IssuedTokens:
    """
    Give tokens to the client a user has allowed to have them.

    Raises:
        UnknownClientError, MissingClientError, WrongClientSecretError: the application is not who it says.
        UnknownAuthorizationError: nobody issued the code to this application, or it was used before.
        ExpiredAuthorizationError: its time is over.
        MissingVerifierError, WrongVerifierError: the verifier does not fit the challenge.
        InvalidCallbackError: the redirect URI is another than the code was issued for.
    """
    application = await find_client(platform, client)
    code = await authorizations.find_by_code(platform.db, sha256_hex(exchange.code), application.id)
    if code is None:
        raise UnknownAuthorizationError("The authorization code is unknown.")
    _check(code, client, exchange)

    async def work(connection: Connection) -> IssuedTokens | None:
        # Whoever changes the password waits for this, and then takes back what it gives.
        await passwords.hold_password(connection, code.user_id)
        if not await authorizations.use_up(connection, code.id):
            return None
        return await issue(connection, desk.lifetimes, code.user_id, application, authorization_id=code.id)

    # In one transaction: whoever comes second finds the tokens of the first, and takes them back.
    tokens = await platform.db.in_transaction(work)
    if tokens is None:
        revoke(platform, *await issued.remove_exchanged(platform.db, code.id))
        raise UnknownAuthorizationError("The authorization code was used before.")
    return tokens


def _check(code: Authorization, client: Client, exchange: Exchange) -> None:
    if code.client_id != client.client_id:
        raise UnknownAuthorizationError("The authorization code is unknown.")
    if exchange.redirect_uri is not None and exchange.redirect_uri != code.redirect_uri:
        raise InvalidCallbackError("The redirect URI is not the one the code was issued for.")
    if code.used_at is None and code.expires_at <= datetime.now(UTC):
        raise ExpiredAuthorizationError("The authorization code has expired.")
    if code.challenge is not None and exchange.verifier is None:
        raise MissingVerifierError("The code_verifier is missing.")
    if exchange.verifier is not None and not _fits(exchange.verifier, code):
        raise WrongVerifierError("The code_verifier does not fit the code.")


def _fits(verifier: str, code: Authorization) -> bool:
    if code.challenge is None:
        return False
    if code.challenge_method == "plain":
        return same(verifier, code.challenge)
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return same(base64.urlsafe_b64encode(digest).decode().rstrip("="), code.challenge)
