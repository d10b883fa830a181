"""
Tokens and keys: random, long, handed out once, kept only as a digest.

They have 160 or 256 random bits, so one round of SHA-256 is enough: there is nothing to guess from.
"""

import hashlib
import hmac
import secrets

_TOKEN_BYTES = 20
_KEY_BYTES = 32
_KEY_PREFIX = "sl_"
_SHOWN_LENGTH = 11


def new_token() -> str:
    """Return a fresh access or refresh token: 40 hex digits."""
    return secrets.token_hex(_TOKEN_BYTES)


def new_api_key() -> str:
    """Return a fresh API key: ``sl_`` and 64 hex digits (contracts/neo.md section 2)."""
    return _KEY_PREFIX + secrets.token_hex(_KEY_BYTES)


def shown_prefix(api_key: str) -> str:
    """Return as much of a key as may be shown, to tell keys apart."""
    return api_key[:_SHOWN_LENGTH]


def sha256_hex(credential: str) -> str:
    """Return the digest under which a credential is kept, in hex."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets or digests in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
