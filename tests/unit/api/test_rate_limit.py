"""How many requests a caller may send, and what they are told (contracts/neo.md section 6)."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.access.rate_limit import (
    FAILED_LOGINS_A_MINUTE,
    FAILED_LOGINS_OF_AN_ADDRESS_A_MINUTE,
    REGISTRATIONS_A_MINUTE,
    FailedLogins,
    Quota,
    RateLimits,
    Registrations,
    Windows,
)
from shared.domain.errors import RateLimitedError, TooManyFailedLoginsError
from shared.process.settings import load_settings

BEGAN = 1_700_000_000.25


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_answered_at_once_and_one_more_is_refused(clock: Clock) -> None:
    quota = Quota(1000, 100, now=clock)

    remaining = [quota.charge("key").remaining for _ in range(100)]
    refused = quota.charge("key")

    assert remaining == list(range(99, -1, -1))
    assert (refused.allowed, refused.limit, refused.remaining) == (False, 1000, 0)
    assert quota.charge("another key").allowed


def test_whoever_waits_as_long_as_told_is_answered_and_not_before(clock: Clock) -> None:
    quota = Quota(1000, 100, now=clock)
    for _ in range(100):
        quota.charge("key")

    told = quota.charge("key")

    assert (told.reset_in_s, told.reset_at) == (6, 1_700_000_007)
    clock.now += 5.99
    assert not quota.charge("key").allowed
    clock.now += 0.01
    assert quota.charge("key").allowed


def test_the_rate_may_be_sent_for_ever(clock: Clock) -> None:
    quota = Quota(1000, 100, now=clock)

    for _ in range(3000):
        clock.now += 0.0625
        assert quota.charge("key").allowed


def test_refused_requests_count_for_nothing(clock: Clock) -> None:
    quota = Quota(100, 20, now=clock)
    for _ in range(200):
        quota.charge("10.0.0.1")

    clock.now += 12

    assert quota.charge("10.0.0.1").remaining == 19


def test_a_burst_that_does_not_divide_the_minute_is_bounded_by_the_rate_too(clock: Clock) -> None:
    quota = Quota(60, 7, now=clock)
    answered = 0
    while clock.now < BEGAN + 59:
        answered += quota.charge("key").allowed
        clock.now += 0.25

    refused = quota.charge("key")

    assert answered == 60
    assert not refused.allowed
    assert refused.reset_in_s == 1
    clock.now = BEGAN + 60
    assert quota.charge("key").allowed


@given(
    quota=st.integers(1, 300).flatmap(lambda rate: st.tuples(st.just(rate), st.integers(-(-rate // 60), rate))),
    pauses=st.lists(st.integers(0, 1200).map(lambda sixty_fourths: sixty_fourths / 64), max_size=80),
)
def test_no_minute_holds_more_than_the_rate_and_the_wait_told_is_enough(
    quota: tuple[int, int], pauses: list[float]
) -> None:
    clock = Clock()
    rate, burst = quota
    tried = Quota(rate, burst, now=clock)
    answered: list[float] = []
    for pause in pauses:
        clock.now += pause
        verdict = tried.charge("key")
        if not verdict.allowed:
            clock.now += verdict.reset_in_s
            verdict = tried.charge("key")
            assert verdict.allowed
        answered.append(clock.now)
        assert 0 <= verdict.remaining < burst
        assert verdict.reset_at >= clock.now
        assert sum(1 for moment in answered if moment > clock.now - 60) <= rate


def test_a_flood_of_callers_does_not_grow_what_is_kept(clock: Clock) -> None:
    windows = Windows(max_keys=1000, now=clock)
    for number in range(5000):
        windows.acquire_entry(f"10.0.{number}", 20, 12)

    assert len(windows) == 1000
    assert windows.get_moving_window("10.0.4999", 20, 12)[1] == 1
    assert windows.get_moving_window("10.0.0", 20, 12)[1] == 0


def test_idle_callers_are_forgotten_as_others_come(clock: Clock) -> None:
    windows = Windows(now=clock)
    for number in range(1000):
        windows.acquire_entry(f"10.0.{number}", 20, 12)

    clock.now += 12
    for number in range(500):
        windows.acquire_entry(f"10.1.{number}", 20, 12)

    assert len(windows) == 500


def test_a_caller_in_use_is_kept_when_idle_ones_go(clock: Clock) -> None:
    windows = Windows(max_keys=2, now=clock)
    for key in ("busy", "idle", "busy", "new"):
        windows.acquire_entry(key, 20, 12)

    assert windows.get_moving_window("busy", 20, 12)[1] == 2
    assert windows.get_moving_window("idle", 20, 12)[1] == 0


def test_counting_starts_no_threads(clock: Clock) -> None:
    quota = Quota(1000, 100, now=clock)
    threads = {thread.ident for thread in threading.enumerate()}

    for number in range(1000):
        quota.charge(f"key {number}")

    assert {thread.ident for thread in threading.enumerate()} <= threads


def test_the_defaults_are_those_of_the_contract() -> None:
    limits = RateLimits(load_settings({}).rate_limit)

    by_key, by_address = limits.charge_key("key"), limits.charge_address("10.0.0.1")

    assert by_key is not None
    assert by_address is not None
    assert (by_key.limit, by_key.remaining) == (1000, 99)
    assert (by_address.limit, by_address.remaining) == (100, 19)


def test_switched_off_nothing_is_judged() -> None:
    limits = RateLimits(load_settings({"TIDEMILL_RATE_LIMIT": "off"}).rate_limit)

    assert [limits.charge_key("key") for _ in range(200)] == [None] * 200
    assert limits.charge_address("10.0.0.1") is None


def test_a_user_is_not_tried_from_one_address_after_ten_wrong_passwords_in_a_minute(clock: Clock) -> None:
    logins = FailedLogins(now=clock)
    for _ in range(FAILED_LOGINS_A_MINUTE):
        logins.check("10.0.0.1", "a@example.com")
        logins.failed("10.0.0.1", "a@example.com")

    with pytest.raises(TooManyFailedLoginsError) as raised:
        logins.check("10.0.0.1", "A@example.com")

    assert raised.value.fields == {"limit": 10, "reset_in_seconds": 60}
    logins.check("10.0.0.2", "a@example.com")
    logins.check("10.0.0.1", "b@example.com")
    clock.now += 60
    logins.check("10.0.0.1", "a@example.com")


def test_a_right_password_clears_the_wrong_ones(clock: Clock) -> None:
    logins = FailedLogins(now=clock)
    for _ in range(9):
        logins.failed("10.0.0.1", "a@example.com")

    logins.succeeded("10.0.0.1", "a@example.com")
    logins.failed("10.0.0.1", "a@example.com")

    logins.check("10.0.0.1", "a@example.com")


def test_nobody_is_tried_from_an_address_after_a_hundred_wrong_passwords_of_whomever(clock: Clock) -> None:
    logins = FailedLogins(now=clock)
    for number in range(FAILED_LOGINS_OF_AN_ADDRESS_A_MINUTE):
        logins.check("10.0.0.1", f"{number}@example.com")
        logins.failed("10.0.0.1", f"{number}@example.com")
        logins.succeeded("10.0.0.1", "attacker@example.com")

    with pytest.raises(TooManyFailedLoginsError) as raised:
        logins.check("10.0.0.1", "new@example.com")

    assert raised.value.fields == {"limit": 100, "reset_in_seconds": 60}
    logins.check("10.0.0.2", "0@example.com")
    clock.now += 60
    logins.check("10.0.0.1", "new@example.com")


def test_ten_register_from_one_address_in_a_minute(clock: Clock) -> None:
    registrations = Registrations(now=clock)
    for _ in range(REGISTRATIONS_A_MINUTE):
        registrations.charge("10.0.0.1")

    with pytest.raises(RateLimitedError) as raised:
        registrations.charge("10.0.0.1")

    assert raised.value.fields == {"limit": 10, "reset_in_seconds": 60}
    registrations.charge("10.0.0.2")
    clock.now += 60
    registrations.charge("10.0.0.1")
