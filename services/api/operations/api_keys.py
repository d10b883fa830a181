"""
API keys of the caller's account: made, listed, replaced, revoked.

A key is shown once, to whoever makes it, and kept as a digest. One that is revoked is refused by this replica at
once and by the others as soon as they hear of it; each asks the database anew every half minute in any case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.crypto.tokens import new_api_key, sha256_hex, shown_prefix
from shared.database import api_keys
from shared.database.access import NewKey
from shared.database.api_keys import ManagedKey
from shared.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_key_id
from shared.messages.messages import CredentialRevoked

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedKey:
    """A key as it is asked for. The dialect has checked every field against its own rules."""

    name: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key that has just been made: the only time it is shown. ``replaced`` is the one whose place it takes."""

    plain: str
    key: ManagedKey
    replaced: ManagedKey | None = None

    def __repr__(self) -> str:
        return f"MadeKey(key={self.key!r}, …)"


async def create_key(platform: Platform, identity: Identity, wanted: WantedKey) -> MadeKey:
    """
    Make a key of the caller's account and environment.

    Raises:
        ForbiddenError: the caller may not manage keys.
        InvalidRequestError: it would count from the past, or longer than this platform grants.
        QuotaExceededError: the account has as many as it may.
    """
    authorize(identity, Action.MANAGE_KEYS)
    expires_at = _end(platform, wanted.expires_at)
    for _ in range(_TRIES):
        plain = new_api_key()
        new = _new_key(plain, identity, wanted.name, wanted.permissions, expires_at)
        key = await api_keys.add_key(platform.db, new, most=platform.limits.keys_per_account)
        if key is not None:
            return MadeKey(plain=plain, key=key)
    raise _no_free_id()


async def list_keys(
    platform: Platform, identity: Identity, *, limit: int, offset: int
) -> tuple[Sequence[ManagedKey], int]:
    """Return one page of the account's keys, newest first, and how many there are."""
    authorize(identity, Action.MANAGE_KEYS)
    return await api_keys.list_keys(platform.db, identity.account_id, limit=limit, offset=offset)


async def get_key(platform: Platform, identity: Identity, key_id: str) -> ManagedKey:
    """Return a key of the account; raise ``NotFoundError``."""
    key = await api_keys.find_key(platform.db, identity.account_id, key_id)
    if key is None:
        raise NotFoundError("no such API key")
    return key


async def rotate_key(platform: Platform, identity: Identity, old: ManagedKey) -> MadeKey:
    """
    Make a key that may do what the old one may, for as long as that was made for; the old one counts for a grace more.

    Raises:
        ForbiddenError: the caller may not manage keys.
        IllegalStateError: the old one counts no more, or was replaced already.
    """
    authorize(identity, Action.MANAGE_KEYS)
    expires_at = _end(platform, None)
    if old.expires_at is not None:
        expires_at = datetime.now(UTC) + (old.expires_at - old.created_at)
    for _ in range(_TRIES):
        plain = new_api_key()
        new = _new_key(plain, identity, old.name, old.permissions, expires_at, old.environment_id)
        done = await api_keys.replace_key(platform.db, old, new, grace_s=platform.limits.key_grace_s)
        if done is not None:
            key, replaced, sha256 = done
            # What replicas remember of the old one does not know its new end.
            _revoked(platform, sha256)
            return MadeKey(plain=plain, key=key, replaced=replaced)
    raise _no_free_id()


async def revoke_key(platform: Platform, identity: Identity, key: ManagedKey) -> None:
    """Let a key count no more, everywhere; doing it twice changes nothing."""
    authorize(identity, Action.MANAGE_KEYS)
    sha256 = await api_keys.revoke_key(platform.db, identity.account_id, key.id)
    if sha256 is None:
        raise NotFoundError("no such API key")
    _revoked(platform, sha256)


def _revoked(platform: Platform, sha256: str) -> None:
    platform.credentials.drop(sha256)
    platform.bus.notify(CredentialRevoked(credential_sha256=sha256))


def _new_key(
    plain: str,
    identity: Identity,
    name: str,
    permissions: tuple[str, ...],
    expires_at: datetime | None,
    environment_id: str | None = None,
) -> NewKey:
    return NewKey(
        id=new_key_id(),
        account_id=identity.account_id,
        environment_id=environment_id or identity.environment_id,
        name=name,
        sha256=sha256_hex(plain),
        prefix=shown_prefix(plain),
        permissions=permissions,
        expires_at=expires_at,
    )


def _end(platform: Platform, wanted: datetime | None) -> datetime | None:
    """Return when a new key ends: when it is asked to, or as late as this platform grants."""
    now = datetime.now(UTC)
    days = platform.limits.key_days
    latest = None if days is None else now + timedelta(days=days)
    if wanted is None:
        return latest
    if wanted <= now:
        raise InvalidRequestError("expiresAt must be in the future", field="expiresAt", issue="in the past")
    if latest is not None and wanted > latest:
        raise InvalidRequestError(
            f"expiresAt must be within {days} days on this platform", field="expiresAt", issue="too late"
        )
    return wanted


def _no_free_id() -> UnavailableError:
    return UnavailableError("no free id was found; try again")
