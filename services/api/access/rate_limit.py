"""
How many requests a caller may send: by API key, else by address (contracts/neo.md section 6).

A quota is a rate a minute and a burst. The contract thinks of a token bucket; here it is said with the moving
windows of the library ``limits``: at most ``burst`` requests in any ``burst / rate`` minutes, and at most ``rate``
in any minute. So 1000 a minute with a burst of 100 is 100 in any 6 seconds, which ten times over is the rate
itself, and one window says both. Bucket and windows alike let a caller send the burst at once and the rate for
ever. They differ after a burst: a bucket gives back one request every 60 ms, a window the whole burst 6 s later.

Counts are this process's own (docs/adr/0009). Refused requests are not counted: whoever waits as long as they
are told is served. Which requests count, and what a refusal looks like, is the dialects' business.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shared.crypto.tokens import sha256_hex
from shared.domain.errors import RateLimitedError, TooManyFailedLoginsError
from shared.process.settings import RateLimitSettings

MAX_CALLERS = 20_000
FAILED_LOGINS_A_MINUTE = 10
FAILED_LOGINS_OF_AN_ADDRESS_A_MINUTE = 100
"""Over all users: many people may be behind one address, but who tries one password on everybody is not many people."""
REGISTRATIONS_A_MINUTE = 10
_MINUTE_S = 60

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What became of one request, and what its sender may do next.

    ``limit`` is the rate a minute; ``remaining`` how many more would be answered now; ``reset_at`` the Unix
    second from which on there are more than that.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    reset_in_s: int


@dataclass(slots=True)
class _Window:
    """When the requests of one caller were answered, oldest first, and for how many seconds that counts."""

    times: deque[float]
    seconds: int

    def forget(self, now: float) -> None:
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()


class Windows(MemoryStorage):
    """
    The moving windows of at most ``max_keys`` callers; the longest unused goes when there are more.

    The library's own memory storage keeps every caller and starts a thread whenever there may be something to
    forget (here one, once, with nothing to do). This one forgets as it counts, in order of last use. Only what
    moving windows need is told apart from it.
    """

    STORAGE_SCHEME = ["memory+bounded"]  # noqa: RUF012 - the type the library declares

    def __init__(self, *, max_keys: int = MAX_CALLERS, now: Clock = time.time) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._now = now
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` more within ``expiry`` seconds; over the limit nothing is counted and it is False."""
        now = self._now()
        window = self._windows.get(key)
        if window is None:
            self._make_room(now)
            window = self._windows[key] = _Window(deque(), expiry)
        else:
            self._windows.move_to_end(key)
            window.forget(now)
        if len(window.times) + amount > limit:
            return False
        window.times.extend([now] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """Return when the oldest one that counts was (now, if none does), and how many count."""
        now = self._now()
        window = self._windows.get(key)
        if window is None:
            return now, 0
        window.forget(now)
        return (window.times[0] if window.times else now), len(window.times)

    def clear(self, key: str) -> None:
        """Forget a caller."""
        self._windows.pop(key, None)

    def _make_room(self, now: float) -> None:
        """Forget idle callers, two for each new one, and the longest unused where all places are taken."""
        for _ in range(2):
            if not self._windows:
                return
            key = next(iter(self._windows))
            self._windows[key].forget(now)
            if self._windows[key].times and len(self._windows) < self._max_keys:
                return
            del self._windows[key]


class Quota:
    """So many requests a minute, so many of them at once, for each of many callers."""

    def __init__(self, rate: int, burst: int, *, max_callers: int = MAX_CALLERS, now: Clock = time.time) -> None:
        self._rate = rate
        self._now = now
        self._windows = _windows(rate, burst)
        self._limiter = MovingWindowRateLimiter(Windows(max_keys=max_callers * len(self._windows), now=now))

    def charge(self, caller: str) -> Verdict:
        """Count a request of a caller, unless it is one too many."""
        first, *others = self._windows
        allowed = all(self._limiter.test(window, caller) for window in others) and self._limiter.hit(first, caller)
        if allowed:
            for window in others:
                self._limiter.hit(window, caller)
        return self._verdict(caller, allowed=allowed)

    def look(self, caller: str) -> Verdict:
        """Say whether one more request would be answered; count nothing."""
        return self._verdict(caller, allowed=all(self._limiter.test(window, caller) for window in self._windows))

    def forget(self, caller: str) -> None:
        """Let a caller begin anew."""
        for window in self._windows:
            self._limiter.clear(window, caller)

    def _verdict(self, caller: str, *, allowed: bool) -> Verdict:
        stats = [self._limiter.get_window_stats(window, caller) for window in self._windows]
        # The window that has the least left decides; of two, the one that is longer in giving some back.
        tightest = min(stats, key=lambda each: (each.remaining, -each.reset_time))
        return Verdict(
            allowed=allowed,
            limit=self._rate,
            remaining=tightest.remaining,
            reset_at=math.ceil(tightest.reset_time),
            reset_in_s=max(1, math.ceil(tightest.reset_time - self._now())),
        )


class RateLimits:
    """The quotas of the settings. Every answer is None when they are switched off."""

    def __init__(self, settings: RateLimitSettings, *, now: Clock = time.time) -> None:
        self.enabled = settings.enabled
        self._keys = Quota(settings.key, settings.key_burst, now=now)
        self._addresses = Quota(settings.address, settings.address_burst, now=now)

    def charge_key(self, key_id: str) -> Verdict | None:
        """Count a request with a valid API key."""
        return self._keys.charge(key_id) if self.enabled else None

    def charge_address(self, address: str) -> Verdict | None:
        """Count a request without one, at the address it came from."""
        return self._addresses.charge(address) if self.enabled else None


class FailedLogins:
    """
    Wrong passwords, by user and by the address they came from: ten a minute, then none is even looked at.

    ``who`` is the user's id, or the name that was given where there is no such user. Another address is not hindered:
    nobody can lock out a user by guessing. A right password clears the count. An address may fail a hundred times a
    minute over all users, whatever it gets right meanwhile: the attacker may have an account, too.
    Those checked at the same time are counted one after the other, so a few more may get through; ``PasswordDesk``
    bounds how many.
    """

    def __init__(self, *, now: Clock = time.time) -> None:
        self._users = Quota(FAILED_LOGINS_A_MINUTE, FAILED_LOGINS_A_MINUTE, now=now)
        most = FAILED_LOGINS_OF_AN_ADDRESS_A_MINUTE
        self._addresses = Quota(most, most, now=now)

    def check(self, address: str, who: str) -> None:
        """Raise ``TooManyFailedLoginsError`` when this user, or nobody, may be tried from there now."""
        for verdict in (self._users.look(_pair(address, who)), self._addresses.look(sha256_hex(address))):
            if not verdict.allowed:
                raise TooManyFailedLoginsError(
                    "Too many failed logins.", limit=verdict.limit, reset_in_seconds=verdict.reset_in_s
                )

    def failed(self, address: str, who: str) -> None:
        """Count a wrong password."""
        self._users.charge(_pair(address, who))
        self._addresses.charge(sha256_hex(address))

    def succeeded(self, address: str, who: str) -> None:
        """Forget the wrong ones of this user."""
        self._users.forget(_pair(address, who))


class Registrations:
    """People who register, by the address they come from: ten a minute. Hashing their passwords is costly."""

    def __init__(self, *, now: Clock = time.time) -> None:
        self._quota = Quota(REGISTRATIONS_A_MINUTE, REGISTRATIONS_A_MINUTE, now=now)

    def charge(self, address: str) -> None:
        """Count a registration; raise ``RateLimitedError`` when it is one too many."""
        verdict = self._quota.charge(sha256_hex(address))
        if not verdict.allowed:
            raise RateLimitedError(
                "Too many registrations from this address.", limit=verdict.limit, reset_in_seconds=verdict.reset_in_s
            )


def _windows(rate: int, burst: int) -> tuple[RateLimitItem, ...]:
    """Return what a quota means; ``burst`` is at least what comes in a second, at most the rate."""
    seconds = burst * _MINUTE_S // rate
    short = RateLimitItemPerSecond(burst, seconds)
    if _MINUTE_S % seconds == 0 and burst * (_MINUTE_S // seconds) == rate:
        return (short,)
    return (short, RateLimitItemPerMinute(rate))


def _pair(address: str, who: str) -> str:
    return sha256_hex(f"{address} {who.casefold()}")
