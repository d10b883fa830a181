import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.attestation import KnownKey, attestation, malformed, public_key_of
from shared.crypto.signing import SigningKey, flaw

KEY = SigningKey.from_secret(bytes(range(32)))
OLD = SigningKey.from_secret(bytes(reversed(range(32))))
AT = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
MEASURED = {"server": "a" * 64, "runner": "b" * 64, "node16": None, "node18": "d" * 64}


def made(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "nonce": "00ff",
        "at": AT,
        "measurements": MEASURED,
        "invokers": [{"replicas": 1, **MEASURED}],
        "keys": [
            KnownKey(id=KEY.id, public_key=KEY.public_key, created_at=AT, retired_at=None),
            KnownKey(id=OLD.id, public_key=OLD.public_key, created_at=AT, retired_at=AT),
        ],
        "key": KEY,
    }
    return attestation(**{**given, **changes})


def test_it_says_exactly_this() -> None:
    document = made()

    assert document == {
        "simulated": True,
        "teeType": "none",
        "publicKey": KEY.public_key.hex(),
        "publicKeyHash": hashlib.sha256(KEY.public_key).hexdigest(),
        "keys": [
            {
                "keyId": KEY.id,
                "algorithm": "Ed25519",
                "publicKey": KEY.public_key.hex(),
                "createdAt": "2026-01-02T03:04:05Z",
                "retiredAt": None,
            },
            {
                "keyId": OLD.id,
                "algorithm": "Ed25519",
                "publicKey": OLD.public_key.hex(),
                "createdAt": "2026-01-02T03:04:05Z",
                "retiredAt": "2026-01-02T03:04:05Z",
            },
        ],
        "measurements": MEASURED,
        "invokers": [{"replicas": 1, **MEASURED}],
        "nonce": "00ff",
        "createdAt": "2026-01-02T03:04:05Z",
        "expiresAt": "2026-01-02T04:04:05Z",
        "quote": None,
        "keyId": KEY.id,
        "algorithm": "Ed25519",
        "signature": document["signature"],
    }
    assert malformed(document) is None
    assert flaw(document, KEY.public_key) is None


def test_no_measurement_of_hardware_is_made_up() -> None:
    text = str(made()).lower()

    assert not any(word in text for word in ("mrenclave", "mrsigner", "pcr", "sgx", "nitro"))


@given(st.sampled_from(sorted(made())), st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.none()))
def test_with_any_member_changed_it_is_not_genuine(name: str, value: Any) -> None:
    document = made()
    if document[name] == value and type(document[name]) is type(value):
        return
    changed = {**document, name: value}

    assert (malformed(changed) or flaw(changed, KEY.public_key)) is not None


@pytest.mark.parametrize("name", sorted(made()))
def test_a_member_that_is_missing_is_named(name: str) -> None:
    document = made()
    del document[name]

    assert malformed(document) == f"{name}: it is missing"


def test_a_hash_of_another_key_is_named() -> None:
    document = {**made(), "publicKeyHash": "0" * 64}

    assert malformed(document) == "publicKeyHash: it is not the SHA-256 of publicKey"


def test_it_tells_of_keys_in_use_and_retired() -> None:
    document = made()

    assert public_key_of(document, KEY.id) == KEY.public_key
    assert public_key_of(document, OLD.id) == OLD.public_key
    assert public_key_of(document, "sgn_unknown") is None


@pytest.mark.parametrize("keys", [[None], [{}], [{"keyId": OLD.id}], [{"keyId": OLD.id, "publicKey": "xyz"}]])
def test_a_list_of_keys_that_is_no_such_list_tells_of_none(keys: list[Any]) -> None:
    assert public_key_of({**made(), "keys": keys}, OLD.id) is None
