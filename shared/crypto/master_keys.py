"""
Master keys: they wrap data keys and nothing else, and are never in the database.

``LocalMasterKey`` is 32 bytes in this process, from a setting or a file; ``KmsMasterKey`` (``kms.py``) never
leaves AWS. A ``KeyRing`` has one that wraps and any number that still unwrap: that is what rotation needs.
What is wrapped is bound to the row it is for and to the key that wrapped it, so neither can be exchanged.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.domain.errors import BrokenSealError, UnavailableError

KEY_BYTES = 32
NONCE_BYTES = 12
_HEX_LENGTH = 2 * KEY_BYTES
_ID_PURPOSE = b"tidemill master key id"
_ID_LENGTH = 16


class MasterKey(Protocol):
    """One key that wraps data keys. ``id`` is what rows name it by."""

    @property
    def id(self) -> str: ...

    async def wrap(self, data_key: bytes, bound_to: str) -> bytes:
        """Return the data key wrapped, for this row only; raise ``UnavailableError`` when the key is out of reach."""
        ...

    async def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        """
        Return the data key.

        Raises:
            BrokenSealError: it was not wrapped by this key for this row, or was changed since.
            UnavailableError: the key is out of reach.
        """
        ...


class LocalMasterKey:
    """A master key in this process: AES-256-GCM. Its id is made from it, and does not give it away."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self.id = "local:" + hmac.new(key, _ID_PURPOSE, hashlib.sha256).hexdigest()[:_ID_LENGTH]

    async def wrap(self, data_key: bytes, bound_to: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data_key, self._facts(bound_to))

    async def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._facts(bound_to))
        except (InvalidTag, ValueError) as error:
            raise BrokenSealError("a data key is damaged, or belongs to another row") from error

    def _facts(self, bound_to: str) -> bytes:
        return f"tidemill data key\0{self.id}\0{bound_to}".encode()


class KeyRing:
    """The master keys a process has: ``current`` wraps, the others still unwrap. There may be none at all."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self._current = keys[0] if keys else None

    @property
    def current(self) -> MasterKey:
        """
        The key that wraps.

        Raises:
            UnavailableError: this process has no master key.
        """
        if self._current is None:
            raise UnavailableError("no master key is set: secrets can be neither kept nor read")
        return self._current

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys there are, the current one first."""
        return tuple(self._keys)

    def find(self, key_id: str) -> MasterKey:
        """
        Return the key of that id.

        Raises:
            UnavailableError: this process does not have it.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise UnavailableError(f"master key {key_id} is not among those set: what it sealed cannot be read")
        return key


def new_master_key() -> str:
    """Return a fresh master key as it is written in settings: 32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def parse_master_keys(text: str) -> tuple[bytes, ...]:
    """
    Read master keys, separated by commas, each 32 bytes in base64 (either alphabet) or in hex; the first is current.

    Raises:
        ValueError: one is not that, or one is given twice. The text of a key is never in the message.
    """
    keys = tuple(_parse(part.strip(), number) for number, part in enumerate(text.split(","), 1))
    if len(set(keys)) < len(keys):
        raise ValueError("expected different keys: one is given twice")
    return keys


def _parse(text: str, number: int) -> bytes:
    key = b""
    try:
        if len(text) == _HEX_LENGTH:
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES or len(set(key)) == 1:
        raise ValueError(
            f"expected {KEY_BYTES} random bytes in base64 or hex (openssl rand -base64 32), and key {number} is not"
        )
    return key
