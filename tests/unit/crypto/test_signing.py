import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.canonical import canonical_of
from shared.crypto.signing import SigningKey, flaw, key_id, signed

KEY = SigningKey.from_secret(bytes(range(32)))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.dictionaries(st.text(), st.recursive(scalars, st.lists, max_leaves=5), max_size=6)


@given(documents)
def test_a_signed_document_is_without_a_flaw_also_after_a_trip_as_text(document: dict[str, Any]) -> None:
    made = signed(document, KEY)

    assert flaw(made, KEY.public_key) is None
    assert flaw(json.loads(json.dumps(made, indent=1)), KEY.public_key) is None


@given(documents, st.data())
def test_with_any_member_changed_it_has_one(document: dict[str, Any], data: st.DataObject) -> None:
    made = signed(document, KEY)
    name = data.draw(st.sampled_from(sorted(made)))
    other = data.draw(scalars.filter(lambda value: canonical_of(value) != canonical_of(made[name])))

    assert flaw({**made, name: other}, KEY.public_key) is not None
    assert flaw({other_name: made[other_name] for other_name in made if other_name != name}, KEY.public_key) is not None


@given(documents, st.text(), scalars)
def test_with_a_member_more_it_has_one(document: dict[str, Any], name: str, value: Any) -> None:
    made = signed(document, KEY)
    if name in made:
        return

    assert flaw({**made, name: value}, KEY.public_key) is not None


def test_another_key_signs_otherwise_and_is_named() -> None:
    other = SigningKey.new()

    assert flaw(signed({"a": 1}, other), KEY.public_key) == f"keyId: it does not name the key {KEY.id}"
    assert flaw({**signed({"a": 1}, other), "keyId": KEY.id}, KEY.public_key) is not None


@pytest.mark.parametrize("signature", [None, 7, "", "00" * 63, "0G" * 64, "00" * 65, "AB" * 64])
def test_what_cannot_be_a_signature_is_said(signature: object) -> None:
    made = {**signed({"a": 1}, KEY), "signature": signature}

    assert flaw(made, KEY.public_key) == "signature: it is not 128 hex digits"


def test_a_key_comes_back_from_its_secret() -> None:
    key = SigningKey.new()
    again = SigningKey.from_secret(key.secret())

    assert (again.id, again.public_key) == (key.id, key.public_key)
    assert again.sign(b"x") == key.sign(b"x")


def test_the_id_is_made_of_the_public_half_and_nothing_shows_the_other() -> None:
    assert KEY.id == key_id(KEY.public_key) == "sgn_56475aa75463474c"
    assert repr(KEY) == "SigningKey(sgn_56475aa75463474c)"
    assert KEY.secret() not in repr(KEY).encode()


def test_what_is_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_secret(b"short")


def test_a_public_key_that_is_none_verifies_nothing() -> None:
    made = {**signed({}, KEY), "keyId": key_id(b"short")}

    assert flaw(made, b"short") is not None
