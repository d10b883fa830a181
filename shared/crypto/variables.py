"""
Sets of environment variables, sealed: each one value bound to its id.

A set never changes, so those used last are remembered in the clear, up to a bound of bytes. Where they are kept is left
to ``shared.database.variables``.
"""

from collections import OrderedDict
from collections.abc import Mapping

import orjson

from shared.crypto.envelope import Envelope, Sealed

_MAX_BYTES = 16 * 1024 * 1024
_ENTRY_BYTES = 300
"""What an entry costs beside its texts, roughly."""


class Variables:
    """Seals and opens sets for one process."""

    def __init__(self, envelope: Envelope, *, max_bytes: int = _MAX_BYTES) -> None:
        self._envelope = envelope
        self._max_bytes = max_bytes
        self._known: OrderedDict[str, Mapping[str, str]] = OrderedDict()
        self._held_bytes = 0

    @property
    def can_seal(self) -> bool:
        """Whether there is a master key."""
        return bool(self._envelope.key_ids)

    def known(self, set_id: str) -> Mapping[str, str] | None:
        """Return a set if it is remembered."""
        if set_id in self._known:
            self._known.move_to_end(set_id)
        return self._known.get(set_id)

    async def seal(self, environment: Mapping[str, str], set_id: str) -> Sealed:
        """Seal a set; raise ``UnavailableError``: the master key is out of reach."""
        return await self._envelope.seal(orjson.dumps(dict(environment)), set_id)

    async def open(self, sealed: Sealed, set_id: str) -> Mapping[str, str]:
        """Open a set and remember it; raises as ``Envelope.open``."""
        environment: dict[str, str] = orjson.loads(await self._envelope.open(sealed, set_id))
        if set_id not in self._known:
            self._known[set_id] = environment
            self._held_bytes += _size(environment)
        while self._held_bytes > self._max_bytes:
            self._held_bytes -= _size(self._known.popitem(last=False)[1])
        return environment


def _size(environment: Mapping[str, str]) -> int:
    return _ENTRY_BYTES + sum(len(name) + len(value) for name, value in environment.items())
