"""
Credentials this process has seen lately, so that a call need not ask the database who is calling.

Keyed by the SHA-256 of the credential: the plain one is never kept. What signs requests (OAuth 1.0) must be known in
plain here, and is kept under the digest of its name. An accepted credential is believed until it expires, for 30 s at
most; a rejected one for a few seconds, so that a wrong key in a loop costs the database
little. A revocation notice drops one entry, a gap in the notices drops all. Both parts are bounded; the least
recently used entry goes first, and rejections never push out identities.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from shared.domain.errors import ErrorRecord, PlatformError, UnauthenticatedError, revive
from shared.domain.identity import Identity

_T = TypeVar("_T")
Known = TypeVar("Known")
_BELIEVED_S = 30.0
_REJECTED_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """An OAuth 1.0 application: whose name and secret sign requests."""

    application_id: str
    account_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedToken:
    """An OAuth 1.0 token: who it stands for, and the secret that signs with it."""

    token_id: str
    identity: Identity
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Generic[Known]):
    """What the database knows of a credential: what it stands for and until when, or why it is refused."""

    found: Known | None = None
    expires_at: datetime | None = None
    refusal: UnauthenticatedError | None = None


Look = Callable[[str], Awaitable[Verdict[Known]]]


class CredentialCache(Generic[Known]):
    """A bounded memory of verdicts on one sort of credential. ``now`` gives Unix seconds."""

    def __init__(
        self, *, max_entries: int = 20_000, max_rejected: int = 5_000, now: Callable[[], float] = time.time
    ) -> None:
        self._max_entries = max_entries
        self._max_rejected = max_rejected
        self._now = now
        self._accepted: OrderedDict[str, tuple[Known, float]] = OrderedDict()
        self._rejected: OrderedDict[str, tuple[ErrorRecord, float]] = OrderedDict()
        self._generation = 0

    async def identify(self, sha256: str, look: Look[Known]) -> Known:
        """Return what the credential stands for, asking ``look`` only if unknown here; raise what refuses it."""
        now = self._now()
        accepted = self._accepted.get(sha256)
        if accepted is not None and now < accepted[1]:
            self._accepted.move_to_end(sha256)
            return accepted[0]
        rejected = self._rejected.get(sha256)
        if rejected is not None and now < rejected[1]:
            raise revive(rejected[0])
        generation = self._generation
        verdict = await look(sha256)
        # A revocation announced while we looked may not be in what we saw: use it once, do not keep it.
        return self._conclude(sha256, verdict, keep=generation == self._generation)

    def drop(self, sha256: str) -> None:
        """Forget one credential: it was revoked or has just been made."""
        self._generation += 1
        self._accepted.pop(sha256, None)
        self._rejected.pop(sha256, None)

    def drop_those(self, stale: Callable[[Known], bool]) -> None:
        """Forget what stands for something that is not so any more."""
        self._generation += 1
        for sha256 in [sha256 for sha256, (known, _) in self._accepted.items() if stale(known)]:
            del self._accepted[sha256]

    def clear(self) -> None:
        """Forget everything: revocations may have been missed."""
        self._generation += 1
        self._accepted.clear()
        self._rejected.clear()

    def _conclude(self, sha256: str, verdict: Verdict[Known], *, keep: bool) -> Known:
        now = self._now()
        if verdict.found is None or verdict.refusal is not None:
            refusal: PlatformError = verdict.refusal or UnauthenticatedError("the credential is not valid")
            if keep:
                _put(self._rejected, sha256, (refusal.record(), now + _REJECTED_S), self._max_rejected)
            raise refusal
        if keep:
            until = now + _BELIEVED_S
            if verdict.expires_at is not None:
                until = min(until, verdict.expires_at.astimezone(UTC).timestamp())
            _put(self._accepted, sha256, (verdict.found, until), self._max_entries)
        return verdict.found


class Credentials:
    """What this process remembers of each sort: keys and tokens that are shown, consumers and tokens that sign."""

    def __init__(self) -> None:
        self.bearers: CredentialCache[Identity] = CredentialCache()
        self.consumers: CredentialCache[Consumer] = CredentialCache(max_entries=1_000)
        self.signed_tokens: CredentialCache[SignedToken] = CredentialCache()

    def drop(self, sha256: str) -> None:
        """Forget one credential, of whatever sort."""
        for cache in (self.bearers, self.consumers, self.signed_tokens):
            cache.drop(sha256)

    def drop_users(self, account_id: str, user_ids: Collection[str] = ()) -> None:
        """Forget who these users of the account are (all of its users, without ids): what they may do has changed."""

        def is_one(identity: Identity) -> bool:
            if identity.account_id != account_id or identity.user_id is None:
                return False
            return not user_ids or identity.user_id in user_ids

        self.bearers.drop_those(is_one)
        self.signed_tokens.drop_those(lambda token: is_one(token.identity))

    def clear(self) -> None:
        """Forget everything."""
        for cache in (self.bearers, self.consumers, self.signed_tokens):
            cache.clear()


def _put(entries: OrderedDict[str, _T], key: str, value: _T, bound: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > bound:
        entries.popitem(last=False)
