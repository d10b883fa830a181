"""
People signing up, logging in and out, and changing their passwords (contracts/gateways.md section 2.1).

Whoever signs up gets a workspace of their own. A session lasts a week unless it is ended or renewed; its refresh
token renews it once and is used up by that. An unknown user and a wrong password are one failure, and take the same
time; who fails too often has to wait.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.api.access.addresses import neighbourhood
from services.api.access.people import Caller, Origin, require_session
from services.api.access.rate_limit import FailedLogins, Registrations
from services.api.access.session_tokens import SessionClaims, SessionTokens
from services.api.operations.roles import announce_users
from services.api.platform import Platform
from shared.crypto.passwords import PasswordDesk
from shared.crypto.tokens import new_token, sha256_hex
from shared.database import access, people, sessions, users, workspaces
from shared.database.people import NewPerson, Person
from shared.database.pool import Connection
from shared.database.sessions import NewSession, Session
from shared.database.workspaces import NewWorkspace
from shared.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    UnauthenticatedError,
    UnknownRefreshTokenError,
    WrongPasswordError,
)
from shared.domain.ids import new_record_id
from shared.domain.workspace import Membership, Role

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
SESSION_LIFETIME = timedelta(days=7)
_WRONG = "Invalid email or password"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDesk:
    """
    What signing in needs besides the platform.

    A bounded place for password hashing, who failed and who signed up lately, the tokens.
    """

    passwords: PasswordDesk
    failures: FailedLogins
    registrations: Registrations
    tokens: SessionTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """Who somebody wants to be known as. The dialect has checked the email and the name."""

    email: str
    password: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that has just been opened or renewed, with its tokens: the only time they are seen."""

    person: Person
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime


async def sign_up(platform: Platform, desk: SignInDesk, wanted: SignUp, origin: Origin) -> SignedIn:
    """
    Make a user with a workspace of their own, and open a session.

    Raises:
        ForbiddenError: this platform does not let strangers sign up.
        InvalidRequestError: the password is too short or too long.
        RateLimitedError: too many have signed up from this address.
        EmailUsedError: another user has the email.
        UnavailableError: too many want to log in at once, or sessions cannot be signed.
    """
    if not platform.limits.open_sign_up:
        raise ForbiddenError("Nobody can sign up here: ask whoever runs this platform")
    check_password(wanted.password)
    if platform.rate_limits.enabled:
        desk.registrations.charge(neighbourhood(origin.address))
    await desk.tokens.prepare(platform.db, platform.envelope)
    password_hash = await desk.passwords.hash(wanted.password)
    first_name = wanted.name.split()[0]
    workspace = NewWorkspace(
        name=f"{first_name}'s Workspace",
        description=f"Default workspace for {first_name}",
        plan=platform.limits.plan,
    )

    async def work(connection: Connection) -> str:
        made = await workspaces.insert_workspace(connection, workspace)
        new = NewPerson(
            id=new_record_id(),
            account_id=made.id,
            email=wanted.email,
            password_hash=password_hash,
            name=" ".join(wanted.name.split()),
        )
        await people.insert_person(connection, new)
        await workspaces.add_member(connection, made.id, new.id, Membership(role=Role.OWNER))
        return new.id

    return await _open(platform, desk, await platform.db.in_transaction(work), password_hash, origin)


async def log_in(platform: Platform, desk: SignInDesk, email: str, password: str, origin: Origin) -> SignedIn:
    """
    Open a session for a user who knows their password.

    Raises:
        TooManyFailedLoginsError: wrong passwords came too often for this user from this address.
        WrongPasswordError: no user has that email and password.
        ForbiddenError: the user's account was given up.
        UnavailableError: too many want to log in at once.
    """
    person = await people.find_person_by_email(platform.db, email)
    # By id: which spellings of an email are one is the database's to say, and each other one would be counted anew.
    who = email if person is None else person.id
    address = neighbourhood(origin.address)
    desk.failures.check(address, who)
    known_hash = None if person is None else person.password_hash
    fits = len(password) <= LONGEST_PASSWORD and await desk.passwords.verify(password, known_hash)
    if person is None or not fits:
        desk.failures.failed(address, who)
        raise WrongPasswordError(_WRONG)
    desk.failures.succeeded(address, who)
    if not person.is_active:
        raise ForbiddenError("This account is inactive")
    return await _open(platform, desk, person.id, person.password_hash, origin)


async def renew(platform: Platform, desk: SignInDesk, refresh_token: str) -> SignedIn:
    """
    Let a session go on for another week, with new tokens; the refresh token is used up.

    Raises:
        UnknownRefreshTokenError: it is no open session's, or was used before.
    """
    next_token = new_token()
    expires_at = _in_a_week()
    session = await sessions.renew_session(platform.db, sha256_hex(refresh_token), sha256_hex(next_token), expires_at)
    if session is None:
        raise UnknownRefreshTokenError("The refresh token is not valid")
    return await _signed_in(platform, desk, session.user_id, session.id, next_token, expires_at)


async def log_out(platform: Platform, caller: Caller) -> None:
    """End the caller's session; raise ``ForbiddenError`` for a program with a key."""
    await sessions.end_session(platform.db, caller.person.id, require_session(caller))


async def log_out_everywhere(platform: Platform, caller: Caller) -> None:
    """End every session of the caller; raise ``ForbiddenError`` for a program with a key."""
    require_session(caller)
    await sessions.end_sessions(platform.db, caller.person.id)


async def change_password(platform: Platform, desk: SignInDesk, caller: Caller, current: str, wanted: str) -> None:
    """
    Give the caller another password; their other sessions end, and so do their tokens of other dialects.

    Raises:
        ForbiddenError: the caller is a program with a key.
        InvalidRequestError: the new password is too short or too long.
        WrongPasswordError, TooManyFailedLoginsError: as in ``confirm_password``.
    """
    session_id = require_session(caller)
    check_password(wanted)
    await confirm_password(desk, caller, current)
    password_hash = await desk.passwords.hash(wanted)
    await users.set_password(platform.db, caller.person.id, password_hash, but_session=session_id)
    announce_users(platform, caller.person.account_id, (caller.person.id,))


async def give_up_account(platform: Platform, desk: SignInDesk, caller: Caller, password: str) -> None:
    """
    Let nobody log in as the caller any more; what they made stays with its workspaces.

    Raises:
        ForbiddenError: the caller is a program with a key.
        WrongPasswordError, TooManyFailedLoginsError: as in ``confirm_password``.
    """
    require_session(caller)
    await confirm_password(desk, caller, password)
    await users.deactivate(platform.db, caller.person.id)
    announce_users(platform, caller.person.account_id, (caller.person.id,))


async def confirm_password(desk: SignInDesk, caller: Caller, password: str) -> None:
    """
    Let a caller pass who knows their own password.

    Raises:
        WrongPasswordError: it is not theirs.
        TooManyFailedLoginsError: wrong ones came too often.
    """
    address = neighbourhood(caller.address)
    desk.failures.check(address, caller.person.id)
    if len(password) > LONGEST_PASSWORD or not await desk.passwords.verify(password, caller.person.password_hash):
        desk.failures.failed(address, caller.person.id)
        raise WrongPasswordError("The password is wrong")


def check_password(password: str) -> None:
    """Raise ``InvalidRequestError`` for a password that nobody should have."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidRequestError(
            f"The password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
            field="password",
            issue="too weak",
        )


async def _open(platform: Platform, desk: SignInDesk, user_id: str, password_hash: str, origin: Origin) -> SignedIn:
    """Open a session for whoever has shown that password, if it is still the user's."""
    refresh_token = new_token()
    expires_at = _in_a_week()
    new = NewSession(
        user_id=user_id,
        refresh_sha256=sha256_hex(refresh_token),
        expires_at=expires_at,
        address=origin.address,
        user_agent=origin.user_agent,
    )

    async def work(connection: Connection) -> Session:
        # Whoever changes the password waits for this, and then ends the session with the others.
        if not await access.has_password(connection, user_id, password_hash):
            raise WrongPasswordError(_WRONG)
        return await sessions.open_session(connection, new)

    session = await platform.db.in_transaction(work)
    return await _signed_in(platform, desk, user_id, session.id, refresh_token, expires_at)


async def _signed_in(
    platform: Platform, desk: SignInDesk, user_id: str, session_id: int, refresh_token: str, expires_at: datetime
) -> SignedIn:
    person = await people.find_person(platform.db, user_id)
    if person is None:
        raise UnauthenticatedError("The user is gone")
    claims = SessionClaims(session_id=session_id, user_number=person.number)
    token = await desk.tokens.issue(platform.db, platform.envelope, claims, expires_at)
    return SignedIn(person=person, token=token, refresh_token=refresh_token, expires_at=expires_at)


def _in_a_week() -> datetime:
    # Tokens tell their end in whole seconds; what is told to callers is the same moment.
    return datetime.now(UTC).replace(microsecond=0) + SESSION_LIFETIME
