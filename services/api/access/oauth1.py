"""
From a signed request to who has signed it (contracts/extrahorizon.md section 2.3).

First the application, then the token, then the signature, then whether it is a copy of a request that was taken
before: a nonce is used up by a right signature alone. A timestamp more than ``WINDOW_S`` away from our clock is
refused, so nonces need not be kept longer than that. They are shared by all replicas, through the database.
"""

import time
from dataclasses import dataclass

from services.api.access.credentials import Consumer, SignedToken, Verdict
from services.api.access.oauth1_signature import SignedRequest
from services.api.platform import Platform
from shared.crypto.tokens import sha256_hex
from shared.database import applications, oauth1
from shared.database.oauth1 import UsedNonce
from shared.domain.identity import Identity
from shared.domain.login_errors import (
    ReusedNonceError,
    UnknownConsumerError,
    UnknownSignedTokenError,
    WrongSignatureError,
)

WINDOW_S = 300
"""How far a caller's clock may be from ours."""
_CLOCKS_S = 60
"""How far our own clocks may be from each other: nonces are kept for so much longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who has signed a request: an application, for a user when there is a token."""

    consumer: Consumer
    token: SignedToken | None = None

    @property
    def identity(self) -> Identity | None:
        """The user the application acts for; None when it has signed for itself."""
        return self.token.identity if self.token is not None else None


async def identify_signer(platform: Platform, signed: SignedRequest) -> Signer:
    """
    Return who has signed a request; the same request is taken once.

    Raises:
        UnknownConsumerError: no application has the consumer key.
        UnknownSignedTokenError: no token has that name, or it is another application's.
        WrongSignatureError: the signature does not fit, or was not made just now.
        ReusedNonceError: the request was taken before.
        UnavailableError: the secrets cannot be opened, or the nonce cannot be written down.
    """
    consumer = await platform.credentials.consumers.identify(
        consumer_digest(signed.consumer_key), lambda _: _find_consumer(platform, signed.consumer_key)
    )
    token = None if signed.token is None else await _token(platform, signed.token, consumer)
    if not signed.is_signed_with(consumer.secret, token.secret if token is not None else ""):
        raise WrongSignatureError("The signature is wrong.")
    await _use_up(platform, signed)
    if token is not None:
        platform.token_usage.note(token.token_id)
    return Signer(consumer=consumer, token=token)


def consumer_digest(consumer_key: str) -> str:
    """Return the digest under which a consumer is remembered, and told of when it is revoked."""
    return sha256_hex(f"oauth1 consumer {consumer_key}")


def token_digest(token: str) -> str:
    """Return the digest under which a token is remembered, and told of when it is revoked."""
    return sha256_hex(f"oauth1 token {token}")


async def _token(platform: Platform, name: str, consumer: Consumer) -> SignedToken:
    token = await platform.credentials.signed_tokens.identify(token_digest(name), lambda _: _find_token(platform, name))
    if token.identity.application_id != consumer.application_id:
        raise UnknownSignedTokenError("The token is unknown.")
    return token


async def _find_consumer(platform: Platform, consumer_key: str) -> Verdict[Consumer]:
    row = await applications.find_consumer(platform.db, consumer_key)
    if row is None:
        return Verdict(refusal=UnknownConsumerError("The consumer key is unknown."))
    secret = (await platform.envelope.open(row.sealed, row.version_id)).decode()
    return Verdict(found=Consumer(application_id=row.application_id, account_id=row.account_id, secret=secret))


async def _find_token(platform: Platform, name: str) -> Verdict[SignedToken]:
    row = await oauth1.find_token(platform.db, name)
    if row is None:
        return Verdict(refusal=UnknownSignedTokenError("The token is unknown."))
    identity = Identity(
        account_id=row.account_id,
        environment_id=row.environment_id,
        permissions=frozenset(row.permissions),
        user_id=row.user_id,
        application_id=row.application_id,
    )
    secret = (await platform.envelope.open(row.sealed, row.id)).decode()
    return Verdict(found=SignedToken(token_id=row.id, identity=identity, secret=secret))


async def _use_up(platform: Platform, signed: SignedRequest) -> None:
    if abs(time.time() - signed.timestamp) > WINDOW_S:
        raise WrongSignatureError(f"The oauth_timestamp is more than {WINDOW_S} s away from the server's clock.")
    nonce = UsedNonce(signed.digest(), signed.timestamp + WINDOW_S + _CLOCKS_S)
    if not await platform.nonces.submit(nonce):
        raise ReusedNonceError("The request was taken before: its nonce and timestamp are used up.")
