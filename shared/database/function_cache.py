"""
Functions as one process remembers them, so that a synchronous call touches no database.

Entries are hints with a revision: a notice with a higher revision drops one, a command may demand a minimum,
a gap in the notices clears all, and nothing is believed for longer than ``max_age_s``. The cache is bounded;
the least recently used entry goes first. Loads of the same function are made once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.database import functions
from shared.database.pool import Database
from shared.domain.errors import FunctionNotFoundError, UnavailableError
from shared.domain.function import Function
from shared.messages.messages import FunctionChanged

_LOAD_DEADLINE_S = 10.0


Find = Callable[[], Awaitable[Function | None]]


class _GivenUpError(Exception):
    """Whoever did the work was cancelled."""


@dataclass(slots=True)
class _Entry:
    function: Function
    stale_at: float


class FunctionCache:
    """A bounded cache of functions by id, with an index by environment and name."""

    def __init__(self, db: Database, *, max_entries: int = 20_000, max_age_s: float = 30.0) -> None:
        self._db = db
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._ids: dict[tuple[str, str], str] = {}
        self._loading: dict[tuple[int, object], asyncio.Future[Function]] = {}
        self._generation = 0

    async def get(self, function_id: str, *, revision: int = 0) -> Function:
        """Return the function at ``revision`` or later; raise ``FunctionNotFoundError``."""
        entry = self._fresh(function_id)
        if entry is not None and entry.revision >= revision:
            return entry
        return await self._load(function_id, lambda: functions.find_function(self._db, function_id), revision)

    async def get_by_name(self, environment_id: str, name: str) -> Function:
        """Return the function of that name in the environment; raise ``FunctionNotFoundError``."""
        function_id = self._ids.get((environment_id, name))
        entry = self._fresh(function_id) if function_id is not None else None
        if entry is not None:
            return entry
        return await self._load((environment_id, name), lambda: functions.find_by_name(self._db, environment_id, name))

    def on_change(self, notice: FunctionChanged) -> None:
        """Drop what a notice has made old."""
        entry = self._entries.get(notice.function_id)
        self._generation += 1
        if entry is not None and (notice.deleted or entry.function.revision < notice.revision):
            self._drop(notice.function_id)

    def clear(self) -> None:
        """Forget everything: notices may have been missed."""
        self._generation += 1
        self._entries.clear()
        self._ids.clear()

    def _fresh(self, function_id: str) -> Function | None:
        entry = self._entries.get(function_id)
        if entry is None or entry.stale_at < time.monotonic():
            return None
        self._entries.move_to_end(function_id)
        return entry.function

    async def _load(self, key: object, find: Find, revision: int = 0) -> Function:
        """
        Load once for all who ask at the same time; the first asker does the work.

        Who asks after a change was announced does not join a load that was begun before it.
        """
        while True:
            flight = (self._generation, key)
            loading = self._loading.get(flight)
            if loading is None:
                return await self._fly(flight, find)
            try:
                function = await asyncio.shield(loading)
            except _GivenUpError:
                continue
            return function if function.revision >= revision else await _found(find)

    async def _fly(self, flight: tuple[int, object], find: Find) -> Function:
        loading: asyncio.Future[Function] = asyncio.get_running_loop().create_future()
        # An error is raised to the first asker; this keeps asyncio quiet when nobody else waits for it.
        loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._loading[flight] = loading
        try:
            function = await _found(find)
        except BaseException as error:
            # Only errors are everybody's; when the first asker alone is called off, the others ask again.
            loading.set_exception(error if isinstance(error, Exception) else _GivenUpError())
            raise
        finally:
            del self._loading[flight]
        # A change that was announced while we read may not be in what we read: use it, do not keep it.
        if flight[0] == self._generation:
            self._keep(function)
        loading.set_result(function)
        return function

    def _keep(self, function: Function) -> None:
        self._drop(function.id)
        self._entries[function.id] = _Entry(function, time.monotonic() + self._max_age_s)
        self._ids[function.environment_id, function.name] = function.id
        while len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, function_id: str) -> None:
        entry = self._entries.pop(function_id, None)
        if entry is not None:
            self._ids.pop((entry.function.environment_id, entry.function.name), None)


async def _found(find: Find) -> Function:
    try:
        async with asyncio.timeout(_LOAD_DEADLINE_S):
            function = await find()
    except TimeoutError as error:
        raise UnavailableError("the function could not be looked up in time") from error
    if function is None:
        raise FunctionNotFoundError("no such function")
    return function
