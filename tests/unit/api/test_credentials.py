"""Credentials are remembered for a while, never longer than they count, and bounded."""

from datetime import UTC, datetime, timedelta

import pytest

from services.api.access.credentials import CredentialCache, Verdict
from shared.domain.errors import ExpiredTokenError, UnauthenticatedError, UnknownTokenError
from shared.domain.identity import Identity

START = datetime(2026, 1, 2, tzinfo=UTC)
SOMEBODY = Identity(account_id="a", environment_id="e", permissions=frozenset({"read"}), key_id="key_1")


class Clock:
    def __init__(self) -> None:
        self.now = START.timestamp()

    def __call__(self) -> float:
        return self.now


class Database:
    """Counts how often it is asked."""

    def __init__(self, verdict: Verdict[Identity]) -> None:
        self.verdict = verdict
        self.asked = 0

    async def look(self, _sha256: str) -> Verdict[Identity]:
        self.asked += 1
        return self.verdict


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_known_credential_is_not_looked_up_again_for_half_a_minute(clock: Clock) -> None:
    cache, database = CredentialCache[Identity](now=clock), Database(Verdict(found=SOMEBODY))

    for _ in range(3):
        assert await cache.identify("k", database.look) == SOMEBODY
    clock.now += 29.9
    await cache.identify("k", database.look)
    assert database.asked == 1

    clock.now += 0.2
    await cache.identify("k", database.look)
    assert database.asked == 2


async def test_a_token_is_not_believed_past_its_expiry(clock: Clock) -> None:
    cache: CredentialCache[Identity] = CredentialCache(now=clock)
    database = Database(Verdict(found=SOMEBODY, expires_at=START + timedelta(seconds=10)))
    await cache.identify("t", database.look)
    database.verdict = Verdict(refusal=ExpiredTokenError("the access token has expired"))

    clock.now += 9.9
    assert await cache.identify("t", database.look) == SOMEBODY
    clock.now += 0.1
    with pytest.raises(ExpiredTokenError):
        await cache.identify("t", database.look)


async def test_a_refused_credential_is_remembered_briefly_with_its_reason(clock: Clock) -> None:
    cache, database = CredentialCache[Identity](now=clock), Database(Verdict(refusal=UnknownTokenError("unknown")))

    for _ in range(3):
        with pytest.raises(UnknownTokenError, match="unknown"):
            await cache.identify("x", database.look)
    assert database.asked == 1

    clock.now += 5.1
    database.verdict = Verdict(found=SOMEBODY)
    assert await cache.identify("x", database.look) == SOMEBODY


async def test_a_verdict_without_anybody_is_refused(clock: Clock) -> None:
    with pytest.raises(UnauthenticatedError):
        await CredentialCache[Identity](now=clock).identify("x", Database(Verdict()).look)


async def test_a_revocation_counts_at_once(clock: Clock) -> None:
    cache, database = CredentialCache[Identity](now=clock), Database(Verdict(found=SOMEBODY))
    await cache.identify("k", database.look)
    database.verdict = Verdict(refusal=UnauthenticatedError("revoked"))

    cache.drop("k")

    with pytest.raises(UnauthenticatedError):
        await cache.identify("k", database.look)


async def test_a_gap_in_the_notices_clears_everything(clock: Clock) -> None:
    cache, database = CredentialCache[Identity](now=clock), Database(Verdict(found=SOMEBODY))
    await cache.identify("k", database.look)

    cache.clear()
    await cache.identify("k", database.look)

    assert database.asked == 2


async def test_a_revocation_during_the_lookup_is_not_overwritten_by_what_was_seen_before(clock: Clock) -> None:
    cache, database = CredentialCache[Identity](now=clock), Database(Verdict(found=SOMEBODY))

    async def look(sha256: str) -> Verdict[Identity]:
        verdict = await database.look(sha256)
        cache.drop(sha256)  # the notice arrives while the answer is on its way
        return verdict

    await cache.identify("k", look)
    await cache.identify("k", database.look)

    assert database.asked == 2


async def test_both_memories_are_bounded_and_wrong_keys_push_out_no_right_one(clock: Clock) -> None:
    cache: CredentialCache[Identity] = CredentialCache(max_entries=2, max_rejected=2, now=clock)
    known, unknown = Database(Verdict(found=SOMEBODY)), Database(Verdict(refusal=UnauthenticatedError("no")))
    await cache.identify("k1", known.look)
    await cache.identify("k2", known.look)
    for number in range(10):
        with pytest.raises(UnauthenticatedError):
            await cache.identify(f"x{number}", unknown.look)
    await cache.identify("k1", known.look)
    assert known.asked == 2

    await cache.identify("k3", known.look)  # pushes out k2, the least recently used
    await cache.identify("k1", known.look)
    assert known.asked == 3
    await cache.identify("k2", known.look)
    assert known.asked == 4
    with pytest.raises(UnauthenticatedError):
        await cache.identify("x0", unknown.look)
    assert unknown.asked == 11
