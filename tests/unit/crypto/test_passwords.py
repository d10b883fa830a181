import asyncio
import threading
import time

import pytest

from shared.crypto import passwords
from shared.crypto.passwords import PasswordDesk, hash_password, verify_password
from shared.domain.errors import UnavailableError
from tests.support.eventually import eventually


def test_the_right_password_fits_and_others_do_not() -> None:
    kept = hash_password("correct horse ü \ud800")

    assert kept.startswith("$argon2id$")
    assert verify_password("correct horse ü \ud800", kept)
    assert not verify_password("correct horse", kept)
    assert not verify_password("", kept)


def test_the_same_password_is_kept_differently_each_time() -> None:
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("password", ["", "anything"])
def test_nothing_fits_a_user_who_does_not_exist_or_a_damaged_hash(password: str) -> None:
    assert not verify_password(password, None)
    assert not verify_password(password, "damaged")


def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []

    class Counting:
        """Hashes as ever; notes what it was asked to compare with."""

        real = passwords._hasher

        def hash(self, password: bytes) -> str:
            return self.real.hash(password)

        def verify(self, kept: str, password: bytes) -> bool:
            verified.append(kept.rsplit("$", 2)[0])
            return self.real.verify(kept, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    verify_password("wrong", hash_password("right"))
    verify_password("wrong", None)

    cost_of_known, cost_of_unknown = verified
    assert cost_of_known == cost_of_unknown


class SlowThreads:
    """Stands in for the hashing, to see how many hash at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.now = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, _password: str, _kept: str | None) -> bool:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.release.wait(10)
        with self._lock:
            self.now -= 1
        return True


async def test_passwords_are_hashed_beside_the_event_loop_so_many_at_once_and_no_more_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = SlowThreads()
    monkeypatch.setattr(passwords, "verify_password", threads)
    desk = PasswordDesk(at_once=2, max_waiting=3)
    async with asyncio.TaskGroup() as tasks:
        logins = [tasks.create_task(desk.verify("x", None)) for _ in range(5)]
        await eventually(lambda: threads.now == 2)
        with pytest.raises(UnavailableError):
            await desk.verify("x", None)
        began = time.monotonic()
        await asyncio.sleep(0)
        assert time.monotonic() - began < 1
        logins.pop().cancel()
        await asyncio.sleep(0)
        logins.append(tasks.create_task(desk.verify("x", None)))
        threads.release.set()

    assert all(login.result() for login in logins)
    assert threads.most == 2


async def test_the_desk_hashes_and_verifies() -> None:
    desk = PasswordDesk()

    kept = await desk.hash("secret")

    assert await desk.verify("secret", kept)
    assert not await desk.verify("Secret", kept)
    assert not await desk.verify("secret", None)
