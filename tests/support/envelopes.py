"""An envelope with a master key that is the same in every test."""

from shared.crypto.envelope import Envelope
from shared.crypto.master_keys import KeyRing, LocalMasterKey

MASTER_KEY = bytes(range(32))


def an_envelope(*keys: bytes) -> Envelope:
    """Return an envelope with these master keys, the first current; with one fixed key when none are given."""
    return Envelope(KeyRing([LocalMasterKey(key) for key in keys or (MASTER_KEY,)]))
