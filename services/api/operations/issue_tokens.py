"""
Issuing access and refresh tokens to users of OAuth applications.

An access token lives for minutes; a refresh token gets a new pair once, and is used up by it. Both are random
and kept only as digests. Whoever fails is told which part failed, except that an unknown user and a wrong
password are one failure and take the same time. Who fails too often has to wait.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.api.access.rate_limit import FailedLogins
from services.api.platform import Platform
from shared.crypto.passwords import LONGEST_PASSWORD, PasswordDesk
from shared.crypto.tokens import new_token, same, sha256_hex
from shared.database import access, applications, passwords
from shared.database.access import NewTokens, UserRow
from shared.database.applications import ClientRow
from shared.database.pool import Connection, Queries
from shared.domain.errors import (
    ExpiredRefreshTokenError,
    MissingClientError,
    UnknownClientError,
    UnknownRefreshTokenError,
    WrongClientSecretError,
    WrongPasswordError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The OAuth application a caller says it is; a confidential one proves it by its secret."""

    client_id: str
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLifetimes:
    """How long tokens are good for, in seconds. Clients refresh 10 s before an access token ends."""

    access_s: int = 300
    refresh_s: int = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokens:
    """A new pair of tokens, plain: this is the only time they are seen."""

    access_token: str
    refresh_token: str
    expires_in_s: int
    user_id: str
    application_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDesk:
    """What issuing needs besides the platform: a bounded place for password hashing, who failed, the lifetimes."""

    passwords: PasswordDesk
    failures: FailedLogins
    lifetimes: TokenLifetimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who somebody says they are, how they prove it, and the address they say it from."""

    email: str
    password: str = field(repr=False)
    address: str


async def issue_by_password(platform: Platform, desk: TokenDesk, client: Client, login: Login) -> IssuedTokens:
    """
    Give tokens to a user who knows their password.

    Raises:
        UnknownClientError, MissingClientError, WrongClientSecretError: the application is not who it says.
        TooManyFailedLoginsError: wrong passwords came too often for this user from this address.
        WrongPasswordError: no user of the application's account has that email and password.
        UnavailableError: too many logins at once.
    """
    application = await find_client(platform, client)
    user = await check_password(platform, desk, application.account_id, login)

    async def work(connection: Connection) -> IssuedTokens:
        return await issue(connection, desk.lifetimes, user.id, application, password_hash=user.password_hash)

    return await platform.db.in_transaction(work)


async def check_password(platform: Platform, desk: TokenDesk, account_id: str, login: Login) -> UserRow:
    """
    Return the user of an account who knows their password.

    Raises:
        TooManyFailedLoginsError: wrong passwords came too often for this user from this address.
        WrongPasswordError: no user of the account has that email and password.
        UnavailableError: too many logins at once.
    """
    user = await access.find_user_by_email(platform.db, login.email)
    if user is not None and (user.account_id != account_id or not user.activation):
        user = None
    # By id: which spellings of an email are one is the database's to say, and each other one would be counted anew.
    who = user.id if user is not None else login.email
    desk.failures.check(login.address, who)
    known_hash = user.password_hash if user is not None else None
    fits = len(login.password) <= LONGEST_PASSWORD and await desk.passwords.verify(login.password, known_hash)
    if user is None or not fits:
        desk.failures.failed(login.address, who)
        raise WrongPasswordError("The username or the password is wrong.")
    desk.failures.succeeded(login.address, who)
    return user


async def issue_by_refresh(platform: Platform, desk: TokenDesk, client: Client, refresh_token: str) -> IssuedTokens:
    """
    Exchange a refresh token for a new pair; it cannot be used again.

    Raises:
        UnknownClientError, MissingClientError, WrongClientSecretError: the application is not who it says.
        UnknownRefreshTokenError: nobody issued it to this application, or it was used before.
        ExpiredRefreshTokenError: its time is over.
    """
    application = await find_client(platform, client)
    sha256 = sha256_hex(refresh_token)

    async def work(connection: Connection) -> IssuedTokens | None:
        # Before the token, as a change of the password does it: they wait for each other, and do not deadlock.
        await passwords.hold_password_of_token(connection, sha256)
        used = await access.use_refresh_token(connection, sha256, application.id)
        if used is None:
            raise UnknownRefreshTokenError("The refresh token is unknown.")
        if used.expires_at <= datetime.now(UTC):
            return None
        return await issue(
            connection, desk.lifetimes, used.user_id, application, authorization_id=used.authorization_id
        )

    issued = await platform.db.in_transaction(work)
    if issued is None:
        raise ExpiredRefreshTokenError("The refresh token has expired.")
    return issued


async def find_client(platform: Platform, client: Client) -> ClientRow:
    """
    Return the OAuth2 client a caller says it is.

    Raises:
        UnknownClientError: there is none with that id.
        MissingClientError: it is confidential and shows no secret.
        WrongClientSecretError: it shows another than its own.
    """
    known = await applications.find_client(platform.db, client.client_id)
    if known is None:
        raise UnknownClientError("The client_id is unknown.")
    expected = known.client_secret_sha256
    if expected is not None and client.secret is None:
        raise MissingClientError("The client_secret is missing.")
    if expected is not None and not same(sha256_hex(client.secret or ""), expected):
        raise WrongClientSecretError("The client_secret is wrong.")
    return known


async def issue(
    db: Queries,
    lifetimes: TokenLifetimes,
    user_id: str,
    application: ClientRow,
    *,
    authorization_id: str | None = None,
    password_hash: str | None = None,
) -> IssuedTokens:
    """
    Give a pair of tokens for a user; ``authorization_id`` is that of the code it all began with, if any.

    Raises:
        WrongPasswordError: ``password_hash`` is given, and the user has another by now.
    """
    issued = IssuedTokens(
        access_token=new_token(),
        refresh_token=new_token(),
        expires_in_s=lifetimes.access_s,
        user_id=user_id,
        application_id=application.id,
    )
    now = datetime.now(UTC)
    kept = await access.insert_tokens(
        db,
        NewTokens(
            access_sha256=sha256_hex(issued.access_token),
            access_expires_at=now + timedelta(seconds=lifetimes.access_s),
            refresh_sha256=sha256_hex(issued.refresh_token),
            refresh_expires_at=now + timedelta(seconds=lifetimes.refresh_s),
            user_id=user_id,
            application_id=application.id,
            authorization_id=authorization_id,
            password_hash=password_hash,
        ),
    )
    if not kept:
        raise WrongPasswordError("The username or the password is wrong.")
    return issued
