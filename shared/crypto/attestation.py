"""
The attestation document: what this platform states about itself, signed (contracts/neo.md section 7).

It is honest about what it is not: ``simulated`` is true, ``teeType`` is ``none`` and ``quote`` is null, because no
hardware vouches for the measurements. They are the platform's own word about its files, and the signature shows
only who gave it. Names of hardware measurements (``mrenclave``, PCRs) are never filled in.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.crypto.forms import ANY_TEXT, HASH, LIST, MOMENT, NULL, OBJECT, SIGNED, TRUE, Form, misfit, or_null, text
from shared.crypto.receipts import moment
from shared.crypto.signing import ALGORITHM, SigningKey, signed

LIFETIME_S = 3600
"""How long a document counts as news."""

_FORMS: Mapping[str, Form] = {
    "simulated": TRUE,
    "teeType": text("none", "none"),
    "publicKey": HASH,
    "publicKeyHash": HASH,
    "keys": LIST,
    "measurements": OBJECT,
    "invokers": LIST,
    "nonce": or_null(ANY_TEXT),
    "createdAt": MOMENT,
    "expiresAt": MOMENT,
    "quote": NULL,
    **SIGNED,
}

Attestation = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that documents of this platform are or were signed with."""

    public_key: bytes
    id: str
    created_at: datetime
    retired_at: datetime | None


def attestation(
    *,
    nonce: str | None,
    at: datetime,
    measurements: Mapping[str, str | None],
    invokers: Sequence[Mapping[str, Any]],
    keys: Sequence[KnownKey],
    key: SigningKey,
) -> Attestation:
    """Return the signed document of this moment."""
    return signed(
        {
            "simulated": True,
            "teeType": "none",
            "publicKey": key.public_key.hex(),
            "publicKeyHash": hashlib.sha256(key.public_key).hexdigest(),
            "keys": [_told(each) for each in keys],
            "measurements": dict(measurements),
            "invokers": [dict(each) for each in invokers],
            "nonce": nonce,
            "createdAt": moment(at),
            "expiresAt": moment(at + timedelta(seconds=LIFETIME_S)),
            "quote": None,
        },
        key,
    )


def malformed(document: Mapping[str, Any]) -> str | None:
    """
    Return what keeps a document from being an attestation, naming the member at fault; None when it has the form.

    Whether its signature is right is for ``signing.flaw`` to say.
    """
    problem = misfit(document, _FORMS)
    if problem is not None:
        return problem
    if document["publicKeyHash"] != hashlib.sha256(bytes.fromhex(document["publicKey"])).hexdigest():
        return "publicKeyHash: it is not the SHA-256 of publicKey"
    return None


def public_key_of(document: Mapping[str, Any], key_id: str) -> bytes | None:
    """Return the key that an attestation (well-formed) tells of under this id, in use or retired."""
    if document["keyId"] == key_id:
        return bytes.fromhex(document["publicKey"])
    is_key, _ = HASH
    for each in document["keys"]:
        if isinstance(each, dict) and each.get("keyId") == key_id and is_key(each.get("publicKey")):
            return bytes.fromhex(each["publicKey"])
    return None


def _told(key: KnownKey) -> dict[str, str | None]:
    return {
        "keyId": key.id,
        "algorithm": ALGORITHM,
        "publicKey": key.public_key.hex(),
        "createdAt": moment(key.created_at),
        "retiredAt": None if key.retired_at is None else moment(key.retired_at),
    }
