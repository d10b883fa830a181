"""
The secrets of functions, opened, for as long as they are being called.

What a function is given is found by one query and opened once for each revision of the function: a change of a
secret raises the revision of the functions that list it, so the next run is given the new value, and a warm call
costs nothing here. Values are kept in memory alone, for a short time, up to a bound of bytes; the entry used longest
ago goes first.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.invoker.redaction import Redactor
from shared.crypto.envelope import Envelope
from shared.database import secrets
from shared.database.pool import Database
from shared.domain.errors import UnavailableError
from shared.domain.function import Convention, Function

_LOAD_S = 10.0
_MAX_AGE_S = 30.0
_MAX_BYTES = 32 * 1024 * 1024
_ENTRY_BYTES = 500
"""What an entry costs beside its values, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSecrets:
    """
    What one function is given.

    ``granted`` are the names of ``values``; ``denied`` those it lists and does not get: there is no such secret, or
    its allow-list leaves the function out. ``redactor`` takes the values out of texts.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    denied: tuple[str, ...] = ()
    redactor: Redactor = field(default_factory=lambda: Redactor(()), repr=False)

    @property
    def granted(self) -> tuple[str, ...]:
        return tuple(self.values)


NOTHING = OpenedSecrets()


@dataclass(slots=True)
class _Entry:
    revision: int
    stale_at: float
    size: int
    opened: OpenedSecrets


class Vault:
    """The opened secrets of one invoker. ``now`` gives seconds of a steady clock."""

    def __init__(
        self,
        db: Database,
        envelope: Envelope,
        *,
        max_bytes: int = _MAX_BYTES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._envelope = envelope
        self._max_bytes = max_bytes
        self._now = now
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._held_bytes = 0
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def open(self, function: Function) -> OpenedSecrets:
        """
        Return what a function is given at this revision or a later one.

        Raises:
            UnavailableError: the database or the master key is out of reach, or was too slow.
            BrokenSealError: a value was changed in the database by somebody else.
        """
        if not function.version.spec.secrets or function.version.spec.convention is not Convention.NEO:
            return NOTHING
        known = self._known(function)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(_LOAD_S):
                return await self._load_once(function)
        except TimeoutError as error:
            raise UnavailableError("the secrets of the function could not be read in time") from error

    def forget(self, function_id: str) -> None:
        """Forget what a function was given."""
        entry = self._entries.pop(function_id, None)
        if entry is not None:
            self._held_bytes -= entry.size

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._held_bytes = 0

    def _known(self, function: Function) -> OpenedSecrets | None:
        entry = self._entries.get(function.id)
        if entry is None or entry.revision < function.revision or entry.stale_at < self._now():
            return None
        self._entries.move_to_end(function.id)
        return entry.opened

    async def _load_once(self, function: Function) -> OpenedSecrets:
        """Load; who asks at the same time waits, and finds it there."""
        lock, users = self._locks.get(function.id, (asyncio.Lock(), 0))
        self._locks[function.id] = lock, users + 1
        try:
            async with lock:
                known = self._known(function)
                return known if known is not None else await self._load(function)
        finally:
            lock, users = self._locks.pop(function.id)
            if users > 1:
                self._locks[function.id] = lock, users - 1

    async def _load(self, function: Function) -> OpenedSecrets:
        names = function.version.spec.secrets
        found = {each.name: each for each in await secrets.granted(self._db, function.account_id, names)}
        allowed = [found[name] for name in names if name in found and found[name].allows(function.id)]
        values = {each.name: (await self._envelope.open(each.sealed, each.id)).decode() for each in allowed}
        opened = OpenedSecrets(
            values=values,
            denied=tuple(name for name in names if name not in values),
            redactor=await asyncio.to_thread(Redactor, list(values.values())),
        )
        self._keep(function, opened)
        return opened

    def _keep(self, function: Function, opened: OpenedSecrets) -> None:
        self.forget(function.id)
        size = _ENTRY_BYTES + sum(len(name) + len(value) for name, value in opened.values.items())
        self._entries[function.id] = _Entry(function.revision, self._now() + _MAX_AGE_S, size, opened)
        self._held_bytes += size
        while self._held_bytes > self._max_bytes:
            self.forget(next(iter(self._entries)))
