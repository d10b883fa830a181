"""
What users let applications do: codes to be exchanged for tokens, and everything that was issued, listed and taken back.

A user sees and takes back their own; who may see authorizations, or remove them, does so for the whole account.
Taking a code back takes back what it was exchanged for, too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.api.access.oauth1 import token_digest
from services.api.access.permissions import may
from services.api.platform import Platform
from shared.crypto.tokens import new_token, sha256_hex
from shared.database import applications, authorizations, issued, passwords
from shared.database.applications import ClientRow
from shared.database.authorizations import Authorization, NewAuthorization
from shared.database.issued import ACCESS_TOKENS, AUTHORIZATIONS, SIGNED_TOKENS, Issued
from shared.database.pool import Connection, Row
from shared.database.query import And, Comparison, ListQuery, Operator
from shared.domain.errors import InvalidRequestError, NotFoundError, UnauthenticatedError, UnknownTokenError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id
from shared.domain.login_errors import InvalidCallbackError, UnknownApplicationError, UnsupportedResponseTypeError
from shared.messages.messages import CredentialRevoked

CODE_S = 300
"""How long a code may be exchanged."""

_CHALLENGE = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAuthorization:
    """What a user is asked to allow, as it came: which client, where it shall be answered, its PKCE challenge."""

    response_type: str
    client_id: str
    redirect_uri: str | None = None
    state: str | None = None
    challenge_method: str | None = None
    challenge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAuthorization:
    """A new code: this is the only time it is seen."""

    code: str = field(repr=False)
    authorization: Authorization


async def create_authorization(
    platform: Platform, identity: Identity, wanted: WantedAuthorization
) -> MadeAuthorization:
    """
    Let a client of the caller's account have tokens for the caller, in exchange for a code.

    Raises:
        UnauthenticatedError: the caller is no user, or is not let in any more: that is asked anew, since a code lasts.
        UnsupportedResponseTypeError: something else than a code is asked for.
        UnknownApplicationError: the account has no such client.
        InvalidCallbackError: the client has not registered the redirect URI, or must say which of several.
        InvalidRequestError: the challenge is none.
    """
    if identity.user_id is None:
        raise UnauthenticatedError("No user is authenticated.")
    if wanted.response_type != "code":
        raise UnsupportedResponseTypeError("The response type is expected to be code.")
    client = await applications.find_client(platform.db, wanted.client_id)
    if client is None or client.account_id != identity.account_id:
        raise UnknownApplicationError("The application is unknown.")
    method, challenge = _challenge(wanted)
    code = new_token()
    new = NewAuthorization(
        id=new_record_id(),
        user_id=identity.user_id,
        application_id=client.id,
        client_id=client.client_id,
        redirect_uri=_callback(client, wanted.redirect_uri),
        state=wanted.state,
        challenge_method=method,
        challenge=challenge,
        code_sha256=sha256_hex(code),
        expires_at=datetime.now(UTC) + timedelta(seconds=CODE_S),
    )

    async def work(connection: Connection) -> Authorization:
        await passwords.hold_password(connection, new.user_id)
        if not await passwords.has_token(connection, new.user_id, identity.application_id):
            raise UnknownTokenError("The access token is unknown.")
        return await authorizations.insert_authorization(connection, new)

    return MadeAuthorization(code=code, authorization=await platform.db.in_transaction(work))


async def list_issued(
    platform: Platform, identity: Identity, sort: Issued, query: ListQuery
) -> tuple[Sequence[Row], int | None]:
    """
    Return one page of what was issued to the caller, or in the whole account, and how many match in all.

    Raises:
        UnauthenticatedError: the caller is no user, and may not see the account's.
        InvalidQueryError: the query names a field there is not.
    """
    if not may(identity, Action.READ_AUTHORIZATIONS):
        own = Comparison("userId", Operator.EQ, _user(identity))
        query = ListQuery(
            where=And((own, query.where)), sort=query.sort, limit=query.limit, offset=query.offset, count=query.count
        )
    return await issued.list_issued(platform.db, sort, identity.account_id, query)


async def remove_issued(platform: Platform, identity: Identity, sort: Issued, row_id: str) -> None:
    """
    Take back what was issued: it counts no more, on any replica.

    Raises:
        UnauthenticatedError: the caller is no user, and may not remove the account's.
        NotFoundError: there is none with that id that the caller may take back.
    """
    whose = None if may(identity, Action.DELETE_AUTHORIZATIONS) else _user(identity)
    known_by = await issued.remove(platform.db, sort, identity.account_id, row_id, whose)
    if known_by is None:
        raise NotFoundError("There is none with that id.")
    if sort is SIGNED_TOKENS:
        revoke(platform, token_digest(known_by))
    elif sort is ACCESS_TOKENS:
        revoke(platform, known_by)
    elif sort is AUTHORIZATIONS:
        revoke(platform, *await issued.remove_exchanged(platform.db, known_by))


def revoke(platform: Platform, *digests: str) -> None:
    """Let every replica, this one at once, forget credentials."""
    for digest in digests:
        platform.credentials.drop(digest)
        platform.bus.notify(CredentialRevoked(credential_sha256=digest))


def _user(identity: Identity) -> str:
    if identity.user_id is None:
        raise UnauthenticatedError("No user is authenticated.")
    return identity.user_id


def _callback(client: ClientRow, wanted: str | None) -> str:
    if wanted is None and len(client.redirect_uris) == 1:
        return client.redirect_uris[0]
    if wanted is None or wanted not in client.redirect_uris:
        raise InvalidCallbackError("The redirect URI is not one the application has registered.")
    return wanted


def _challenge(wanted: WantedAuthorization) -> tuple[str | None, str | None]:
    if wanted.challenge is None and wanted.challenge_method is None:
        return None, None
    method = wanted.challenge_method or "plain"
    if method not in {"plain", "S256"}:
        raise InvalidRequestError(
            "The field codeChallengeMethod is expected to be plain or S256.", field="codeChallengeMethod"
        )
    if wanted.challenge is None or not _CHALLENGE.fullmatch(wanted.challenge):
        raise InvalidRequestError(
            "The field codeChallenge is expected to be 43 to 128 letters, digits, and -._~.", field="codeChallenge"
        )
    return method, wanted.challenge
