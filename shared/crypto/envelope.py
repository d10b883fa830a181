"""
Values at rest: each sealed with a data key of its own, the data key wrapped by a master key.

A sealed value is a version byte, a nonce and AES-256-GCM over the value, with the id of its row as associated
data: moved to another row, or changed in any bit, it does not open. Another master key only wraps the data key
anew; the sealed value stays as it is.

Opening costs a trip to AWS when the master key is there, so data keys it has unwrapped are kept for a short time,
a bounded number of them. Values themselves are kept by nobody here.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.crypto.master_keys import KEY_BYTES, NONCE_BYTES, KeyRing
from shared.domain.errors import BrokenSealError

_VERSION = b"\x01"
_KEPT_S = 60.0
_MAX_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A sealed value, as it is kept: which master key wrapped its data key, the wrapped key, the value."""

    master_key_id: str
    wrapped_key: bytes
    sealed: bytes = field(repr=False)


class Envelope:
    """
    Seals and opens values with the master keys of this process.

    ``bound_to`` is the id of the row the value is in. Safe to share between tasks.
    """

    def __init__(self, keys: KeyRing, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._unwrapped: OrderedDict[tuple[str, bytes, str], tuple[float, bytes]] = OrderedDict()

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the master keys there are, the current one first; empty when nothing can be sealed."""
        return self._keys.ids

    @property
    def current_id(self) -> str:
        """The id of the master key that wraps; raise ``UnavailableError`` when there is none."""
        return self._keys.current.id

    async def seal(self, plain: bytes, bound_to: str) -> Sealed:
        """
        Seal a value for one row, with a data key of its own.

        Raises:
            UnavailableError: there is no master key, or it is out of reach.
        """
        master = self._keys.current
        data_key = secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return Sealed(
            master_key_id=master.id,
            wrapped_key=await master.wrap(data_key, bound_to),
            sealed=_VERSION + nonce + AESGCM(data_key).encrypt(nonce, plain, _facts(bound_to)),
        )

    async def open(self, sealed: Sealed, bound_to: str) -> bytes:
        """
        Return the value.

        Raises:
            BrokenSealError: it was sealed for another row, or was changed since.
            UnavailableError: its master key is not among those of this process, or is out of reach.
        """
        data_key = await self._data_key(sealed, bound_to)
        header, nonce_end = len(_VERSION), len(_VERSION) + NONCE_BYTES
        try:
            if sealed.sealed[:header] != _VERSION:
                raise BrokenSealError("a sealed value is in no form this version knows")
            return AESGCM(data_key).decrypt(
                sealed.sealed[header:nonce_end], sealed.sealed[nonce_end:], _facts(bound_to)
            )
        except (InvalidTag, ValueError) as error:
            raise BrokenSealError("a sealed value is damaged, or belongs to another row") from error

    async def rewrap(self, sealed: Sealed, bound_to: str) -> Sealed:
        """
        Return the same sealed value with its data key wrapped by the current master key.

        It is opened once, so that nothing damaged is passed on as sound. Raises as ``open`` and ``seal`` do.
        """
        await self.open(sealed, bound_to)
        master = self._keys.current
        data_key = await self._data_key(sealed, bound_to)
        return replace(sealed, master_key_id=master.id, wrapped_key=await master.wrap(data_key, bound_to))

    async def _data_key(self, sealed: Sealed, bound_to: str) -> bytes:
        name = (sealed.master_key_id, sealed.wrapped_key, bound_to)
        now = self._clock()
        known = self._unwrapped.get(name)
        if known is not None and now < known[0]:
            return known[1]
        data_key = await self._keys.find(sealed.master_key_id).unwrap(sealed.wrapped_key, bound_to)
        self._forget_old(now)
        self._unwrapped[name] = (now + _KEPT_S, data_key)
        self._unwrapped.move_to_end(name)
        return data_key

    def _forget_old(self, now: float) -> None:
        """Drop what is past its time, and the oldest while there are too many: the order is that of expiry."""
        while self._unwrapped:
            name, (until, _) = next(iter(self._unwrapped.items()))
            if now < until and len(self._unwrapped) < _MAX_KEPT:
                return
            del self._unwrapped[name]


def _facts(bound_to: str) -> bytes:
    return _VERSION + f"tidemill value\0{bound_to}".encode()
