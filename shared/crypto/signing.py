"""
Signed documents: JSON objects with the Ed25519 signature of this platform's key.

A signature is over the canonical JSON of all the other members, ``keyId`` and ``algorithm`` among them. It shows
that the holder of the key stated this, and no more: whoever operates the platform holds the key.

A key's id is made of its public half, so a document cannot name one key and be checked with another. Where keys
are kept, and which one is in use, is not known here.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.crypto.canonical import canonical_of

ALGORITHM = "Ed25519"
PUBLIC_KEY_BYTES = 32
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_SHOWN_DIGITS = 16

Document = Mapping[str, Any]


class SigningKey:
    """A key that signs. ``id`` and ``public_key`` (32 bytes) may be told to anybody."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        self.id = key_id(self.public_key)

    @classmethod
    def new(cls) -> Self:
        """Make a key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Return the key of which ``secret`` was kept; raise ``ValueError`` when it is none."""
        return cls(Ed25519PrivateKey.from_private_bytes(secret))

    def secret(self) -> bytes:
        """Return what must be kept, sealed, to have the key again."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: 64 bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"


def key_id(public_key: bytes) -> str:
    """Return the id of a key: ``sgn_`` and the first 16 hex digits of the SHA-256 of its public half."""
    return f"sgn_{hashlib.sha256(public_key).hexdigest()[:_SHOWN_DIGITS]}"


def signed(document: Document, key: SigningKey) -> dict[str, Any]:
    """Return the document with ``keyId``, ``algorithm`` and ``signature`` (hex)."""
    stated = {**document, "keyId": key.id, "algorithm": ALGORITHM}
    return {**stated, "signature": key.sign(canonical_of(stated)).hex()}


def flaw(document: Document, public_key: bytes) -> str | None:
    """Return why this is no document signed with that key, naming the member at fault; None when it is."""
    algorithm, signature = document.get("algorithm"), document.get("signature")
    if algorithm != ALGORITHM:
        return f"algorithm: it is not {ALGORITHM}"
    if document.get("keyId") != key_id(public_key):
        return f"keyId: it does not name the key {key_id(public_key)}"
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        return "signature: it is not 128 hex digits"
    stated = {name: value for name, value in document.items() if name != "signature"}
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(signature), canonical_of(stated))
    except (InvalidSignature, ValueError):
        return "signature: it does not match; a member was changed, or it was signed with another key"
    return None
