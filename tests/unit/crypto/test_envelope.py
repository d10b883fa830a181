import asyncio
import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import Envelope, Sealed
from shared.crypto.master_keys import KeyRing, LocalMasterKey, new_master_key, parse_master_keys
from shared.domain.errors import BrokenSealError, UnavailableError
from tests.support.envelopes import MASTER_KEY, an_envelope

OLD, NEW = bytes([1, 2] * 16), bytes([3, 4] * 16)


def sealed_for(plain: bytes, bound_to: str) -> Sealed:
    return asyncio.run(an_envelope().seal(plain, bound_to))


def opened(sealed: Sealed, bound_to: str, *keys: bytes) -> bytes:
    """Open with a fresh envelope: nothing is remembered."""
    return asyncio.run(an_envelope(*keys).open(sealed, bound_to))


def part(sealed: Sealed, field: str) -> bytes:
    return sealed.wrapped_key if field == "wrapped_key" else sealed.sealed


def with_part(sealed: Sealed, field: str, content: bytes) -> Sealed:
    return replace(sealed, wrapped_key=content) if field == "wrapped_key" else replace(sealed, sealed=content)


@given(plain=st.binary(max_size=6000), bound_to=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: bytes, bound_to: str) -> None:
    bound_to = bound_to.encode("utf-8", "replace").decode()

    assert opened(sealed_for(plain, bound_to), bound_to) == plain


@given(plain=st.binary(max_size=200), data=st.data())
def test_a_value_with_any_byte_changed_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed = sealed_for(plain, "sec_1")
    field = data.draw(st.sampled_from(["wrapped_key", "sealed"]))
    content = part(sealed, field)
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]

    with pytest.raises(BrokenSealError):
        opened(with_part(sealed, field, changed), "sec_1")


@given(plain=st.binary(max_size=100), data=st.data())
def test_a_value_cut_short_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed = sealed_for(plain, "sec_1")
    field = data.draw(st.sampled_from(["wrapped_key", "sealed"]))
    content = part(sealed, field)

    with pytest.raises(BrokenSealError):
        opened(with_part(sealed, field, content[: data.draw(st.integers(0, len(content) - 1))]), "sec_1")


def test_a_value_does_not_open_in_another_row() -> None:
    sealed = sealed_for(b"tide", "sec_1")

    with pytest.raises(BrokenSealError):
        opened(sealed, "sec_2")


async def test_a_value_moved_to_another_row_does_not_open_though_its_data_key_is_remembered() -> None:
    envelope = an_envelope()
    one, other = await envelope.seal(b"one", "sec_1"), await envelope.seal(b"other", "sec_2")
    await envelope.open(one, "sec_1")
    await envelope.open(other, "sec_2")

    with pytest.raises(BrokenSealError):
        await envelope.open(replace(other, sealed=one.sealed), "sec_2")
    with pytest.raises(BrokenSealError):
        await envelope.open(one, "sec_2")


def test_the_same_value_is_never_sealed_the_same_way() -> None:
    one, other = sealed_for(b"tide", "sec_1"), sealed_for(b"tide", "sec_1")

    assert one.sealed != other.sealed
    assert one.wrapped_key != other.wrapped_key
    assert b"tide" not in one.sealed


async def test_only_the_current_key_seals_and_all_open() -> None:
    before = await an_envelope(OLD).seal(b"tide", "sec_1")
    rotated = an_envelope(NEW, OLD)
    after = await rotated.seal(b"mill", "sec_1")

    assert rotated.current_id == after.master_key_id != before.master_key_id
    assert await rotated.open(before, "sec_1") == b"tide"
    assert await an_envelope(NEW).open(after, "sec_1") == b"mill"


async def test_a_rewrapped_value_needs_the_new_key_alone_and_is_itself_unchanged() -> None:
    before = await an_envelope(OLD).seal(b"tide", "sec_1")
    after = await an_envelope(NEW, OLD).rewrap(before, "sec_1")

    assert after.sealed == before.sealed
    assert await an_envelope(NEW).open(after, "sec_1") == b"tide"
    with pytest.raises(UnavailableError, match=after.master_key_id):
        await an_envelope(OLD).open(after, "sec_1")


async def test_a_damaged_value_is_not_rewrapped() -> None:
    before = await an_envelope(OLD).seal(b"tide", "sec_1")

    with pytest.raises(BrokenSealError):
        await an_envelope(NEW, OLD).rewrap(replace(before, sealed=before.sealed + b"x"), "sec_1")


async def test_without_a_master_key_nothing_is_sealed_or_opened() -> None:
    without = Envelope(KeyRing(()))

    assert without.key_ids == ()
    with pytest.raises(UnavailableError, match="no master key"):
        await without.seal(b"tide", "sec_1")
    with pytest.raises(UnavailableError, match="not among those set"):
        await without.open(await an_envelope().seal(b"tide", "sec_1"), "sec_1")


class CountingKey(LocalMasterKey):
    """A master key far away: it counts the trips."""

    trips = 0

    async def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        self.trips += 1
        return await super().unwrap(wrapped, bound_to)


async def test_a_data_key_is_unwrapped_once_in_a_while_not_every_time() -> None:
    now = [1000.0]
    key = CountingKey(MASTER_KEY)
    envelope = Envelope(KeyRing([key]), clock=lambda: now[0])
    sealed = await envelope.seal(b"tide", "sec_1")
    for _ in range(3):
        await envelope.open(sealed, "sec_1")
    assert key.trips == 1

    now[0] += 61
    await envelope.open(sealed, "sec_1")
    assert key.trips == 2


async def test_only_so_many_data_keys_are_remembered() -> None:
    key = CountingKey(MASTER_KEY)
    envelope = Envelope(KeyRing([key]))
    rows = [(f"sec_{number}", await envelope.seal(b"tide", f"sec_{number}")) for number in range(1001)]
    for name, sealed in rows:
        await envelope.open(sealed, name)

    await envelope.open(rows[-1][1], rows[-1][0])
    assert key.trips == 1001
    await envelope.open(rows[0][1], rows[0][0])
    assert key.trips == 1002
    assert len(envelope._unwrapped) == 1000


def test_master_keys_are_read_in_each_way_they_are_written() -> None:
    given = [new_master_key(), base64.urlsafe_b64encode(NEW).decode().rstrip("="), OLD.hex()]

    keys = parse_master_keys(", ".join(given))

    assert keys == (base64.b64decode(given[0]), NEW, OLD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "00" * 32,
        base64.b64encode(bytes(31) + b"x" * 2).decode(),
        f"{new_master_key()},",
        f"{OLD.hex()},{base64.b64encode(OLD).decode()}",
        "zz" * 32,
    ],
    ids=["empty", "password", "zeros", "33 bytes", "empty second", "one key twice", "no hex"],
)
def test_what_is_no_master_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_master_keys(text)

    assert text == "" or text not in str(caught.value)


def test_the_id_of_a_key_tells_keys_apart_and_not_what_they_are() -> None:
    one, other = LocalMasterKey(OLD), LocalMasterKey(NEW)

    assert one.id == LocalMasterKey(OLD).id
    assert one.id != other.id
    assert OLD.hex()[:16] not in one.id
